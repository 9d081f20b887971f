//! Text that others wrote, on the way to a terminal: no output of any command passes it on raw.

use std::path::Path;

use hotshelf_terminal::text::is_unsafe;

use crate::harness::{MODEL, Server, Shop, hotshelf, until};

/// Ends a line, forges one of `status`, turns the rest around, and hides a character.
const REASON: &str = "ok)\nlive     rollout 99: main version 7 (forged\u{202e}\u{200b}";
const AUTHOR: &str = "eve\u{2066}";
/// Clears the screen, sets the window's title, ends the line.
const ID: &str = "u\u{1b}[2J\u{1b}]0;own\u{7}\u{9b}1m\r\nlive     rollout 99";

#[track_caller]
fn assert_safe(command: &[&str], printed: &str) {
    let unsafe_one = printed.chars().find(|c| *c != '\n' && is_unsafe(*c));
    assert_eq!(unsafe_one, None, "{command:?}: {printed:?}");
    let forged = printed
        .lines()
        .find(|line| line.starts_with("live     rollout 99"));
    assert_eq!(forged, None, "{command:?}: {printed}");
}

#[tokio::test]
async fn no_command_passes_foreign_text_to_the_terminal() {
    let shop = Shop::with_two_versions().await;
    let server = Server::serving(&shop, 1, &[]).await;
    let (data, admin) = (server.data.to_string(), server.admin.to_string());
    let url = shop.url();
    let at_admin = ["--admin-addr", &*admin];
    let signed = ["--author", AUTHOR, "--reason", REASON];
    let at_data = ["--data-addr", &*data];
    let place = ["--registry", &*url, "--model", MODEL];
    until("the replica's report", async || {
        let fleet = hotshelf(&[&["status", "--fleet"][..], &at_admin].concat());
        fleet.text().contains("1 serving").then_some(())
    })
    .await;
    let now = jiff::Timestamp::now().to_string();
    let commands: [Vec<&str>; 17] = [
        [&["reload", "2"][..], &at_admin, &signed].concat(),
        [
            &["rollout", "start", "1", "--share", "1%"][..],
            &at_admin,
            &signed,
        ]
        .concat(),
        [
            &["rollout", "start", "2", "--share", "1%"][..],
            &at_admin,
            &signed,
        ]
        .concat(),
        [&["rollout", "abort"][..], &at_admin, &signed].concat(),
        [&["rollout", "rollback"][..], &at_admin, &signed].concat(),
        [&["status"][..], &at_admin].concat(),
        [&["status", "--fleet"][..], &at_admin].concat(),
        [&["rollout", "status"][..], &at_admin].concat(),
        [&["status", "--model", ID][..], &at_admin].concat(),
        [&["models", "list"][..], &place].concat(),
        [&["models", "show"][..], &place].concat(),
        [&["models", "verify"][..], &place].concat(),
        [&["models", "gc"][..], &place].concat(),
        [&["rollout", "history"][..], &place].concat(),
        [&["who-was-live", "--at", &now, "--user", ID][..], &place].concat(),
        [&["recommend", ID][..], &at_data].concat(),
        [&["similar", ID][..], &at_data].concat(),
    ];
    for command in &commands {
        let json = [command, &["--json"][..]].concat();
        for command in [command, &json] {
            let run = hotshelf(command);
            assert!([0, 1].contains(&run.code), "{run:?}");
            assert_safe(command, &run.stdout);
            assert_safe(command, &run.stderr);
        }
    }
    let history = [&["rollout", "history", "--json"][..], &place].concat();
    let history = hotshelf(&history).json();
    assert_eq!(history[0]["reason"], REASON, "JSON keeps what was written");
    let status = hotshelf(&[&["status"][..], &at_admin].concat());
    assert!(status.text().contains(r"ok)\nlive"), "{status:?}");
    let url = format!(
        "file://{}",
        Path::new("/none/").join("a\u{202e}b").display()
    );
    let run = hotshelf(&["models", "list", "--registry", &url]);
    assert_safe(&["models", "list"], run.refusal(2));
    server.stop().await;
}
