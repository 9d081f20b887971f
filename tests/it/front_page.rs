//! The README's Python call, run as it stands.

use std::path::Path;
use std::process::Command;

use crate::harness::{Season, Server, Shop};
use crate::tools::{self, Tool};

/// The first block of this language.
fn block<'a>(page: &'a str, language: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
    rest.split("```").next().unwrap()
}

#[tokio::test]
async fn python_call_of_the_readme_prints_what_it_asks_for() {
    let Some(python) = tools::find(Tool::Python) else {
        return;
    };
    let shop = Shop::new();
    let version = shop.publish(Season::Spring).await.version;
    let server = Server::serving(&shop, version, &[]).await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let call = block(&readme, "python")
        .replace("127.0.0.1:50051", &server.data.to_string())
        .replace("15680", "u0042");
    let output = Command::new(python)
        .args(["-c", &call])
        .current_dir(root)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed.lines().count(), 5, "{printed}");
    assert!(
        printed.lines().all(|line| line.ends_with("(version 1)")),
        "{printed}"
    );
    server.stop().await;
}
