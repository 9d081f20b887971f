//! The data listener under h2spec, which checks every rule of RFC 7540 and 7541 for servers.

use std::process::Command;

use crate::harness::{Season, Server, Shop};
use crate::tools::{self, Tool};

/// What does not pass, and why.
const KNOWN: [(&str, &str); 1] = [(
    "Sends HEADERS frames that causes their advertised concurrent stream limit to be exceeded",
    "its requests end when they begin and are answered at once: so many are never open. \
     connections::streams_beyond_the_limit_are_refused_and_the_connection_serves_on shows the limit",
)];
/// Cases that it has; fewer would mean that it did not run to its end.
const CASES: usize = 145;

/// The cases of a JUnit report: name, and whether it failed.
fn cases(report: &str) -> Vec<(String, bool)> {
    let attribute = |case: &str, name: &str| {
        let (_, rest) = case.split_once(&format!(" {name}=\"")).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let cases = report.split("<testcase").skip(1);
    cases
        .map(|case| {
            let case = case.split("</testcase>").next().unwrap();
            let is_failed = case.contains("<failure") || case.contains("<error");
            (attribute(case, "classname"), is_failed)
        })
        .collect()
}

#[tokio::test]
async fn data_listener_conforms_to_http2() {
    let Some(h2spec) = tools::find(Tool::H2spec) else {
        return;
    };
    let shop = Shop::new();
    let version = shop.publish(Season::Spring).await.version;
    let server = Server::serving(&shop, version, &[]).await;
    let report = shop.place().join("h2spec.xml");
    let mut command = Command::new(h2spec);
    command
        .args(["--host", &server.data.ip().to_string()])
        .args(["--port", &server.data.port().to_string()])
        // Longer than any answer takes on a busy machine.
        .args(["--timeout", "10", "--junit-report"])
        .arg(&report);
    // Nothing else runs in this test meanwhile.
    let run = command.output().unwrap();
    let output = String::from_utf8_lossy(&[run.stdout, run.stderr].concat()).into_owned();
    let report = std::fs::read_to_string(report);
    let report = report.unwrap_or_else(|error| panic!("no report of h2spec, {error}: {output}"));
    let cases = cases(&report);
    assert_eq!(cases.len(), CASES, "{output}");
    let failed = cases.iter().filter(|(_, is_failed)| *is_failed);
    let unknown: Vec<_> = failed
        .filter(|(name, _)| !KNOWN.iter().any(|(known, _)| name.contains(known)))
        .collect();
    assert!(unknown.is_empty(), "{unknown:#?}\n{output}");
    assert_eq!(server.recommend("u0001").await.unwrap().version, 1);
    server.stop().await;
}

#[test]
fn reports_are_read_case_by_case() {
    let report = r#"<testsuite><testcase package="http2/1" classname="passes" time="0.1"></testcase>
        <testcase package="http2/1" classname="fails" time="0.1"><failure>why</failure></testcase>
        </testsuite>"#;
    let expected = [("passes".to_owned(), false), ("fails".to_owned(), true)];
    assert_eq!(cases(report), expected);
}
