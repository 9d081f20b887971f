//! The configuration of `hotshelf serve`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::harness::{Run, hotshelf_in};

fn serve(variables: &[(&str, &str)], args: &[&str]) -> Run {
    hotshelf_in(Path::new("."), variables, &[&["serve"], args].concat())
}

#[test]
fn every_bad_value_is_listed_with_its_source() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hotshelf.toml");
    let text = "calls_max = 0\nstreem_max = 7\nmodels = \"Home\"\nlog_level = \"info\"\n";
    std::fs::write(&file, text).unwrap();
    let variables = [
        ("HOTSHELF_HTTP_ADDR", "nowhere"),
        ("HOTSHELF_REGISTRI", "x"),
    ];
    let file = file.display().to_string();
    let args = [
        "--config",
        &file,
        "--registry",
        "ftp://nowhere",
        "--data-addr",
        "localhost",
        "--streams-max",
        "many",
        "--log-level",
        "loud",
    ];
    let run = serve(&variables, &args);
    let said = run.refusal(2);
    for problem in [
        "--data-addr: \"localhost\"",
        "--streams-max: \"many\"",
        "--log-level: \"loud\"",
        "HOTSHELF_HTTP_ADDR: \"nowhere\"",
        "HOTSHELF_REGISTRI: unknown setting",
        &format!("{file}: calls_max: \"0\""),
        &format!("{file}: streem_max: unknown setting"),
        "Home",
        "--registry: \"ftp://nowhere\" is not a registry",
    ] {
        assert!(said.contains(problem), "{problem:?} is missing in\n{said}");
    }
    assert!(
        said.contains("invalid configuration, 9 problem(s)"),
        "{said}"
    );
}

#[test]
fn flag_overrides_variable_overrides_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hotshelf.toml");
    std::fs::write(&file, "calls_max = 0\nstreams_max = 0\nretry_max_ms = 0\n").unwrap();
    let file = file.display().to_string();
    let variables = [("HOTSHELF_CALLS_MAX", "-1"), ("HOTSHELF_STREAMS_MAX", "-1")];
    // Each wins with a bad value of its own, so that the error shows which one was read.
    let run = serve(&variables, &["--config", &file, "--calls-max", "none"]);
    let said = run.refusal(2);
    for winner in [
        "--calls-max: \"none\"",
        "HOTSHELF_STREAMS_MAX: \"-1\"",
        "retry_max_ms: \"0\"",
    ] {
        assert!(said.contains(winner), "{winner:?} is missing in\n{said}");
    }
    for loser in [
        "HOTSHELF_CALLS_MAX",
        "calls_max: \"0\"",
        "streams_max: \"0\"",
    ] {
        assert!(!said.contains(loser), "{loser:?} is in\n{said}");
    }
}

#[test]
fn failures_to_open_name_the_setting() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache").display().to_string();
    let registry = format!("file://{}", folder.path().display());
    let place = ["--registry", &registry, "--cache-dir", &cache];
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = serve(&[], &[&place[..], &["--data-addr", &address]].concat());
    assert!(
        run.refusal(1)
            .contains(&format!("data_addr: cannot listen on {address}")),
        "{run:?}"
    );

    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let file = file.display().to_string();
    let run = serve(&[], &["--registry", &registry, "--cache-dir", &file]);
    assert!(run.refusal(1).contains("cache_dir"), "{run:?}");
    let run = serve(&[], &["--cache-dir", &cache]);
    assert!(run.refusal(2).contains("registry: required"), "{run:?}");
    let missing = folder.path().join("none.toml").display().to_string();
    let run = serve(&[], &["--config", &missing]);
    assert!(run.refusal(2).contains(&missing), "{run:?}");
}

#[test]
fn missing_registry_is_refused_at_the_first_start() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache").display().to_string();
    let registry = folder.path().join("none").display().to_string();
    let args = [
        "--registry",
        &registry,
        "--cache-dir",
        &cache,
        "--log-level",
        "error",
    ];
    let run = serve(&[], &args);
    let said = format!("hotshelf: registry file://{registry} does not exist\n");
    assert_eq!(run.refusal(2), said);
    // The same by variables.
    let variables = [
        ("HOTSHELF_REGISTRY", &*registry),
        ("HOTSHELF_CACHE_DIR", &*cache),
    ];
    let run = serve(&variables, &["--log-level", "error"]);
    assert_eq!(run.refusal(2), said);
}

#[test]
fn configuration_file_is_read_within_limits_and_never_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (long, pipe) = (path("long.toml"), path("pipe"));
    std::fs::write(&long, "# a comment\n".repeat(100_000)).unwrap();
    let owner = Mode::RUSR | Mode::WUSR;
    mknodat(CWD, &*pipe, FileType::Fifo, owner, 0).unwrap();
    let folder = folder.path().display().to_string();
    for (file, said) in [
        ("/dev/zero", "and neither a regular file nor a pipe"),
        ("/dev/stdin", ""),
        (&*folder, "and neither a regular file nor a pipe"),
        (&*long, "it is longer than 1048576 bytes"),
        // Without a writer it is empty, and what is required is missing.
        (&*pipe, "registry: required"),
    ] {
        let run = serve(&[], &["--config", file]);
        assert!(run.refusal(2).contains(said), "{run:?}");
    }
    let bucket = ["--registry", "s3://shelf/x"];
    for file in [&*pipe, "/dev/zero"] {
        let run = serve(&[], &[&bucket[..], &["--s3-ca-file", file]].concat());
        assert!(run.refusal(2).contains("and not a file"), "{run:?}");
    }
}

#[test]
fn variables_that_are_not_ours_may_hold_anything_and_ours_are_text() {
    let folder = tempfile::tempdir().unwrap();
    let not_text = OsStr::from_bytes(b"caf\xe9");
    let run = |variables: &[(&str, &OsStr)], args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_hotshelf"))
            .args(args)
            .env_clear()
            .envs(variables.iter().copied())
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), said)
    };
    let other = [("SOME_UNRELATED", not_text), ("LANG", not_text)];
    let (code, said) = run(&other, &["models", "list", "--registry", "."]);
    assert_eq!((code, said.as_str()), (0, ""));
    let (code, said) = run(&other, &["serve", "--registry", "none"]);
    assert!(code == 2 && said.contains("does not exist"), "{said}");
    let ours = [("HOTSHELF_DATA_ADDR", not_text), ("AWS_REGION", not_text)];
    let (code, said) = run(&ours, &["serve", "--registry", "."]);
    assert!(
        code == 2 && said.contains("HOTSHELF_DATA_ADDR: is not UTF-8"),
        "{said}"
    );
    let (code, said) = run(&ours, &["recommend"]);
    assert_eq!(
        (code, said.as_str()),
        (2, "error: HOTSHELF_DATA_ADDR: is not UTF-8\n")
    );
    let registry = [("HOTSHELF_REGISTRY", not_text)];
    let (code, said) = run(&registry, &["models", "list"]);
    assert_eq!(
        (code, said.as_str()),
        (2, "error: HOTSHELF_REGISTRY: is not UTF-8\n")
    );
}

/// Half of a service account's variables would otherwise fail much later, as a missing permission.
#[test]
fn incomplete_web_identity_is_refused_and_names_the_missing_variable() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = ["--registry", "s3://shelf/registry"];
    let serve = |variables: &[(&str, &str)]| {
        let args = [&["serve"], &bucket[..]].concat();
        hotshelf_in(folder.path(), variables, &args)
    };
    let role = ("AWS_ROLE_ARN", "arn:aws:iam::1:role/shelf");
    let token = ("AWS_WEB_IDENTITY_TOKEN_FILE", "token");
    for (there, missing) in [(role, token), (token, role)] {
        let run = serve(&[there]);
        let (there, missing) = (there.0, missing.0);
        let said = format!("{missing} \"\" is refused: it has to be set where {there} is");
        assert!(run.refusal(2).contains(&said), "{run:?}");
    }
    let run = serve(&[role, token, ("AWS_ENDPOINT_URL_STS", "http://sts:1")]);
    let said = "AWS_ENDPOINT_URL_STS \"http://sts:1\" is refused: https://host";
    assert!(run.refusal(2).contains(said), "{run:?}");
    assert!(run.refusal(2).contains("1 problem"), "{run:?}");
}

/// Credentials for a bucket behind which nobody listens, with `key` as the access key.
fn bucket(key: &str) -> [(&str, &str); 3] {
    [
        ("AWS_ACCESS_KEY_ID", key),
        ("AWS_SECRET_ACCESS_KEY", "hush-hush\n"),
        ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1\n"),
    ]
}

#[test]
fn line_break_at_the_end_of_a_key_is_cut_off_and_one_within_refused_by_name() {
    let list = [
        "models",
        "list",
        "--registry",
        "s3://shelf/reg\n",
        "--model",
        "toy",
    ];
    let run = hotshelf_in(Path::new("."), &bucket("key\n"), &list);
    let said = run.refusal(1);
    assert!(said.contains("the store failed"), "{said}");
    let said = hotshelf_in(Path::new("."), &bucket("k\ney"), &list);
    let said = said.refusal(2);
    assert!(
        said.contains("AWS_ACCESS_KEY_ID \"(not shown)\" is refused"),
        "{said}"
    );
    assert!(said.contains("character 2"), "{said}");
    let args = ["--registry", "s3://shelf/reg", "--models", "toy"];
    let run = serve(&bucket("k\ney"), &args);
    assert!(run.refusal(2).contains("AWS_ACCESS_KEY_ID"), "{run:?}");
    assert!(!run.stderr.contains("hush"), "{run:?}");
}

#[test]
fn blanks_around_a_setting_are_cut_off() {
    let variables = [
        ("HOTSHELF_CALLS_MAX", " 7\n"),
        ("HOTSHELF_DATA_ADDR", "127.0.0.1:0\r\n"),
        ("HOTSHELF_STREAMS_MAX", "\n"),
    ];
    let said = serve(&variables, &["--registry", " \n", "--models", "toy"]);
    let said = said.refusal(2);
    assert!(said.contains("2 problem(s)"), "{said}");
    assert!(said.contains("HOTSHELF_STREAMS_MAX: \"\""), "{said}");
}
