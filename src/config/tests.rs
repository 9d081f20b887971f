use super::*;

fn layers(flags: &[(&str, &str)], variables: &[(&str, &str)], file: &str) -> Layers {
    let own = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    };
    let file = Some(("hotshelf.toml".to_owned(), file.to_owned()));
    Layers {
        flags: own(flags),
        variables: own(variables),
        file,
    }
}

#[test]
fn flag_beats_variable_beats_file_beats_default() {
    let file = "registry = \"file:///r\"\nstreams_max = 3\nretry_max_ms = 4\ncalls_max = 5";
    let variables = [
        ("HOTSHELF_STREAMS_MAX", "30"),
        ("HOTSHELF_RETRY_MAX_MS", "40"),
    ];
    let config = Config::build(&layers(&[("streams_max", "300")], &variables, file)).unwrap();
    assert_eq!(config.streams_max, 300);
    assert_eq!(config.retry_max, Duration::from_millis(40));
    assert_eq!(config.calls_max, 5);
    assert_eq!(config.data_addr, "127.0.0.1:50051".parse().unwrap());
}

#[test]
fn every_problem_is_listed_with_its_source() {
    let file = "streams_max = 0\nno_such = 1\nlog_level = [1]";
    let variables = [("HOTSHELF_DATA_ADDR", "localhost"), ("HOTSHELF_TYPO", "x")];
    let problems = Config::build(&layers(&[("gate_at_start", "maybe")], &variables, file));
    let said = problems.unwrap_err().to_string();
    for part in [
        "hotshelf.toml: streams_max: \"0\" is not a whole number within 1 to 65535",
        "hotshelf.toml: no_such: unknown setting",
        "hotshelf.toml: log_level: expected a string or a whole number, found array",
        "HOTSHELF_DATA_ADDR: \"localhost\" is not an IP address and port",
        "HOTSHELF_TYPO: unknown setting",
        "--gate-at-start: \"maybe\" is not one of serve, refuse",
        "registry: required, as --registry, HOTSHELF_REGISTRY or in the file",
    ] {
        assert!(said.contains(part), "{part:?} is missing in:\n{said}");
    }
}

#[test]
fn model_names_are_parsed_and_distinct() {
    let given = [
        ("registry", "memory:///"),
        ("models", "home, checkout,home,../x"),
    ];
    let said = Config::build(&layers(&given, &[], ""))
        .unwrap_err()
        .to_string();
    assert!(said.contains("\"home\" is listed twice"), "{said}");
    assert!(said.contains("../x"), "{said}");
}

#[test]
fn defaults_are_valid() {
    let config = Config::build(&layers(&[("registry", "memory:///")], &[], ""));
    assert!(config.is_ok(), "{config:?}");
}

#[test]
fn response_cache_can_be_sized_and_disabled() {
    let build = |flags: &[(&str, &str)]| {
        let registry = [("registry", "memory:///")];
        Config::build(&layers(&[&registry, flags].concat(), &[], ""))
    };
    let usual = build(&[]).unwrap();
    assert_eq!(
        (usual.cache_bytes_max, usual.cache_ttl),
        (64 << 20, Duration::from_secs(300))
    );
    let off = build(&[("cache_bytes_max", "0"), ("cache_ttl_ms", "1")]).unwrap();
    assert_eq!(
        (off.cache_bytes_max, off.cache_ttl),
        (0, Duration::from_millis(1))
    );
    let said = build(&[("cache_bytes_max", "64MB"), ("cache_ttl_ms", "0")]);
    let said = said.unwrap_err().to_string();
    for problem in [
        "--cache-bytes-max: \"64MB\" is not a whole number within 0 to",
        "--cache-ttl-ms: \"0\" is not a whole number within 1 to",
    ] {
        assert!(said.contains(problem), "{problem:?} is missing in:\n{said}");
    }
}

#[test]
fn shutdown_takes_at_most_its_steps_and_clients_page_names_the_default() {
    let config = Config::build(&layers(&[], &[], "registry = \"file:///r\"")).unwrap();
    assert_eq!(
        config.shutdown_max(),
        Duration::from_millis(1_000 + 2_000 + 20_000)
    );
    let page = include_str!("../../docs/clients.md");
    let said = format!("with defaults {} s", config.shutdown_max().as_secs());
    assert!(page.contains(&said), "{said}");
}

#[test]
fn settings_override_the_usual_variables_of_s3_clients() {
    let variables = [
        ("AWS_ACCESS_KEY_ID", "who"),
        ("AWS_SECRET_ACCESS_KEY", "hush"),
        ("AWS_ENDPOINT_URL_S3", "http://usual:1"),
        ("AWS_REGION", "usual-1"),
        ("HOTSHELF_S3_REGION", "own-1"),
    ];
    let file =
        "registry = \"s3://shelf/x\"\ns3_endpoint = \"http://file:1\"\ns3_region = \"file-1\"";
    let config = Config::build(&layers(&[("s3_path_style", "never")], &variables, file)).unwrap();
    assert_eq!(config.origin(), "s3://shelf/x at http://file:1");
    let (endpoint, region) = (config.s3.endpoint.unwrap(), config.s3.region.unwrap());
    assert_eq!(endpoint.to_string(), "http://file:1");
    assert_eq!(region.to_string(), "own-1");
    assert_eq!(config.s3.path_style, hotshelf_registry::PathStyle::Never);
}

#[test]
fn variables_of_s3_clients_do_not_affect_other_registries() {
    let variables = [
        ("AWS_REGION", "Not One"),
        ("AWS_SECRET_ACCESS_KEY", "alone"),
    ];
    let build = |registry| Config::build(&layers(&[("registry", registry)], &variables, ""));
    assert!(build("memory:///").is_ok());
    let said = build("s3://shelf/x").unwrap_err().to_string();
    assert!(said.contains("AWS_REGION \"Not One\" is refused"), "{said}");
    assert!(said.contains("AWS_ACCESS_KEY_ID"), "{said}");
}

#[test]
fn s3_settings_are_checked_and_errors_show_no_password() {
    let wrong = [
        ("registry", "s3://key:hush@shelf/x"),
        ("s3_endpoint", "http://key:hush@host/x"),
        ("s3_region", "EU"),
        ("s3_path_style", "maybe"),
    ];
    let said = Config::build(&layers(&wrong, &[], ""))
        .unwrap_err()
        .to_string();
    for part in [
        "--s3-endpoint: \"host/x\" is not http://host or https://host",
        "--s3-region: \"EU\" is not 1 to 63 of",
        "--s3-path-style: \"maybe\" is not auto, always or never",
        "--registry: \"shelf/x\" is not a registry",
    ] {
        assert!(said.contains(part), "{part:?} is missing in:\n{said}");
    }
    assert!(!said.contains("hush"), "{said}");
}

#[test]
fn bucket_without_credentials_is_a_configuration_problem() {
    let said = Config::build(&layers(&[("registry", "s3://shelf/x")], &[], ""));
    let said = said.unwrap_err().to_string();
    assert!(said.contains("registry: AWS_ACCESS_KEY_ID"), "{said}");
}

#[test]
fn guardrails_are_configured_independently() {
    use crate::guardrails::{Guardrail, Mode, Rule};
    let build = |flags: &[(&str, &str)]| {
        let registry = [("registry", "memory:///")];
        Config::build(&layers(&[&registry, flags].concat(), &[], ""))
    };
    let usual = build(&[]).unwrap().guardrails;
    let modes = usual.rules.map(|rule| rule.mode);
    assert_eq!(modes, [Mode::Abort, Mode::Abort, Mode::Warn, Mode::Abort]);
    let own = build(&[
        ("guardrail_slow", "off"),
        ("guardrail_fallbacks", "abort"),
        ("guardrail_fallbacks_tolerance_bp", "25"),
        ("guardrail_slow_ms", "7"),
        ("replicas_max", "3"),
    ]);
    let own = own.unwrap().guardrails;
    let changed = Rule {
        mode: Mode::Abort,
        tolerance: 0.0025,
    };
    assert_eq!(own.rule(Guardrail::Fallbacks), changed);
    assert_eq!(own.rule(Guardrail::Slow).mode, Mode::Off);
    assert_eq!(own.rule(Guardrail::Errors), usual.rule(Guardrail::Errors));
    assert_eq!(
        (own.slow_after, own.replicas_max),
        (Duration::from_millis(7), 3)
    );
    assert!(build(&[("guardrail_empty_tolerance_bp", "10000")]).is_err());
}

#[test]
fn simulations_of_guardrails_use_the_default_settings() {
    let registry = [("registry", "memory:///")];
    let config = Config::build(&layers(&registry, &[], "")).unwrap();
    assert_eq!(config.guardrails, crate::guardrails::simulation::settings());
}

#[test]
fn help_of_every_setting_is_a_verb_phrase_of_at_most_ten_words_in_its_group() {
    let mut seen = Vec::new();
    for setting in SETTINGS {
        let (key, help) = (setting.key, setting.help);
        assert!(help.split_whitespace().count() <= 10, "{key}: {help}");
        assert!(
            !help.ends_with('.') && help.starts_with(char::is_uppercase),
            "{key}: {help}"
        );
        // A heading appears once in `--help`, with all of its settings below it.
        if seen.last() != Some(&setting.group) {
            assert!(
                !seen.contains(&setting.group),
                "{key} stands apart from its group"
            );
            seen.push(setting.group);
        }
    }
}

#[test]
fn page_of_settings_lists_each_with_its_default() {
    let page = include_str!("../../docs/settings.md");
    for setting in SETTINGS {
        let default = match setting.default {
            None => "required".to_owned(),
            Some("") => "none".to_owned(),
            Some(default) => format!("`{default}`"),
        };
        let row = format!("| `{}` | {default} |", setting.key);
        assert!(page.contains(&row), "{row} is missing in docs/settings.md");
    }
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    assert_eq!(rows.count(), SETTINGS.len());
}
