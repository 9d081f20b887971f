//! The registry in a bucket behind TLS, whose authority nobody trusts who is not told to.

use hotshelf_registry::S3Authorities;

use crate::harness::{Run, Season, Server, Shop, hotshelf_in, http_get, until};
use crate::tools::authority::Authority;
use crate::tools::s3_server::S3Server;
use crate::tools::{self, Tool};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bucket_over_https_is_followed_with_the_right_ca_file() {
    let Some(program) = tools::find(Tool::Versitygw) else {
        return;
    };
    let folder = Shop::bucket_folder();
    let authority = Authority::new();
    let file = authority.file(folder.path());
    let shown = authority.certify("127.0.0.1");
    let s3 = S3Server::https(program, folder.path(), &shown).await;
    let trusted = S3Authorities::read(&file).unwrap();
    let shop = Shop::in_bucket_trusting(&folder, &s3.endpoint(), Some(trusted));
    let file = file.display().to_string();

    let spring = shop.publish(Season::Spring).await;
    // A reload waits for a store that it cannot read: not for ten minutes, where the file is not heeded.
    let told = [("s3-ca-file", &*file), ("reload-timeout-ms", "30000")];
    let server = Server::serving(&shop, spring.version, &told).await;
    let answered = server.recommend("u0001").await.unwrap();
    assert_eq!(answered.version, spring.version);
    assert_eq!(server.status().await.registry_error, "");
    server.stop().await;

    let untold = Server::start(&shop, &[]).await;
    let said = "invalid peer certificate: UnknownIssuer";
    until("the trouble", async || {
        let status = untold.status().await;
        status.registry_error.contains(said).then_some(())
    })
    .await;
    assert_eq!(http_get(untold.http, "/livez").await.0, 200);
    assert_eq!(http_get(untold.http, "/readyz").await.0, 503);
    untold.stop().await;

    // The commands that look themselves; what the system trusts may also be said by the usual variable.
    let list = |variable: &str| {
        let mut variables = shop.variables();
        let told = [(variable, file.clone())];
        variables.extend(told.iter().map(|(name, value)| (*name, value.clone())));
        let variables: Vec<_> = variables.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let place = ["--registry", &shop.url(), "--model", crate::harness::MODEL];
        hotshelf_in(
            folder.path(),
            &variables,
            &[&["models", "list"], &place[..]].concat(),
        )
    };
    for told in ["HOTSHELF_S3_CA_FILE", "SSL_CERT_FILE"] {
        let run = list(told);
        assert_eq!(run.code, 0, "{told}: {run:?}");
    }
    let said_by = list("NOT_LOOKED_AT");
    assert!(said_by.refusal(1).contains(said), "{said_by:?}");
}

#[test]
fn invalid_ca_file_stops_the_start_naming_setting_path_and_reason() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty.pem"), "nothing").unwrap();
    let serve = |variables: &[(&str, &str)], args: &[&str]| -> Run {
        let fixed = ["serve", "--registry", "s3://shelf/registry"];
        hotshelf_in(folder.path(), variables, &[&fixed, args].concat())
    };
    let run = serve(&[], &["--s3-ca-file", "missing.pem"]);
    let said = run.refusal(2);
    for part in ["s3-ca-file: \"missing.pem\"", "No such file or directory"] {
        assert!(said.contains(part), "{said}");
    }
    let run = serve(&[("HOTSHELF_S3_CA_FILE", "empty.pem")], &[]);
    let said = run.refusal(2);
    for part in [
        "HOTSHELF_S3_CA_FILE: \"empty.pem\"",
        "it has no certificates",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert!(
        !folder.path().join("hotshelf-cache").exists(),
        "nothing was begun"
    );
}
