//! Publishing against a version that is served: what is live is what a new version has to hold its
//! ground against.

use std::path::Path;
use std::process::{Command, Output};

use crate::harness::{MODEL, Server, Shop, hotshelf};
use crate::tools;

const MAPPING: &str = r#"
[events]
files = ["events.csv"]
[events.columns]
user_id = "user"
product_id = "product"
timestamp = { column = "day", format = "%Y-%m-%d" }
interaction_type = { constant = "purchase" }
[evaluation]
cut = 2024-01-11
seen = "included"
"#;

/// Forty users who buy the same fifteen things again and again.
fn events() -> String {
    let mut text = "user,product,day\n".to_owned();
    for day in 1..=15 {
        for user in 0..40 {
            let product = 2 * ((day * 3 + user * 7) % 15) + user % 2;
            text.push_str(&format!("u{user:02},p{product:02},2024-01-{day:02}\n"));
        }
    }
    text
}

/// Trains and publishes with these flags.
fn train(trainer: &Path, shop: &Shop, flags: &[&str]) -> Output {
    let folder = shop.place();
    std::fs::write(folder.join("shop.toml"), MAPPING).unwrap();
    std::fs::write(folder.join("events.csv"), events()).unwrap();
    let url = shop.url();
    let args = [
        "train",
        "shop.toml",
        "--trials",
        "1",
        "--publish",
        &url,
        "--model",
        MODEL,
    ];
    let mut command = Command::new(trainer);
    command.args(args).args(flags).current_dir(folder);
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn version_worse_than_the_one_served_is_refused_with_a_report_and_a_better_one_is_shown() {
    let Some(trainer) = tools::trainer() else {
        return;
    };
    let shop = Shop::new();
    let good = ["--factors", "16", "--seed", "3"];
    assert!(train(&trainer, &shop, &good).status.success());
    let server = Server::serving(&shop, 1, &[]).await;

    // Factors that are nearly zeros say nothing about anybody.
    let bad = ["--factors", "1", "--regularization", "1000000"];
    let refused = train(&trainer, &shop, &bad);
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    let (report, refusal) = (text(&refused.stdout), text(&refused.stderr));
    assert!(report.contains("live version"), "{report}");
    assert!(
        report.contains("is WORSE than the parameters of version 1, which is live"),
        "{report}"
    );
    assert!(
        refusal.contains("is WORSE than the parameters of version 1, which is live"),
        "{refusal}"
    );
    assert_eq!(shop.versions().await, [1]);
    let answer = server.recommend("u01").await.unwrap();
    assert_eq!(answer.version, 1);

    // The same parameters are not worse than themselves.
    let same = train(&trainer, &shop, &good);
    assert!(same.status.success(), "{same:?}");
    let url = shop.url();
    let show = ["models", "show", "--registry", &url, "--model", MODEL];
    let shown = hotshelf(&show);
    let shown = shown.text();
    for expected in [
        "\nverdict: ",
        "personal_frequency",
        "version 1, live then",
        "answers by default: ",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    server.stop().await;
}
