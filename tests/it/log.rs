//! A log that cannot be written: full, gone, or never read. It costs lines, which are counted, and
//! nothing else: not a response, not a reload, not the drain, not the exit.

use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::harness::{Season, Server, Shop, http_get, until};

const DROPPED: &str = "hotshelf_log_lines_dropped_total";

/// Of an empty pipe of this system.
const PIPE_BYTES: usize = 64 << 10;

/// Publishes a version, makes it live, and returns it.
async fn serves(server: &Server, shop: &Shop) -> u64 {
    let version = shop.publish(Season::Spring).await.version;
    server.reload(version).await.unwrap();
    server.until_ready().await;
    assert_eq!(server.recommend("u0001").await.unwrap().version, version);
    version
}

async fn drains(mut server: Server) {
    assert_eq!(http_get(server.http, "/livez").await.0, 200);
    server.signal(Signal::TERM);
    assert_eq!(server.ended().await.code(), Some(0));
}

/// Reloads, serves and drains a server that cannot write its log, and sees lines dropped.
async fn serves_and_drains(server: Server, shop: &Shop) {
    let version = serves(&server, shop).await;
    until("a dropped line", async || {
        (server.scrape().await.sum(DROPPED, &[]) > 0.0).then_some(())
    })
    .await;
    assert_eq!(server.recommend("u0001").await.unwrap().version, version);
    drains(server).await;
}

#[tokio::test]
async fn log_on_a_full_disk_costs_lines_only() {
    let shop = Shop::new();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let server = Server::start_logging_to(full.into(), 1, &shop, &[]).await;
    serves_and_drains(server, &shop).await;
}

#[tokio::test]
async fn log_whose_reader_has_gone_costs_lines_only() {
    let shop = Shop::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let server = Server::start_logging_to(writer.into(), 2, &shop, &[]).await;
    serves_and_drains(server, &shop).await;
}

/// The pipe is full from the beginning, so that the first line waits for its reader already.
#[tokio::test]
async fn nothing_waits_for_an_unread_log() {
    let shop = Shop::new();
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&[b'x'; PIPE_BYTES]).unwrap();
    let level = [("log-level", "trace")];
    let server = Server::start_logging_to(writer.into(), 3, &shop, &level).await;
    let version = serves(&server, &shop).await;
    for user in 0..200 {
        let served = server.recommend(&format!("u{user:04}")).await.unwrap();
        assert_eq!(served.version, version);
    }
    drains(server).await;
    drop(reader);
}

#[tokio::test]
async fn log_file_at_its_size_limit_costs_lines_only() {
    let shop = Shop::new();
    let folder = tempfile::tempdir().unwrap();
    let log = File::create(folder.path().join("log")).unwrap();
    // The limit is on every file that the server writes: the log is the one that grows beyond it.
    log.set_len(1 << 30).unwrap();
    let log = File::options()
        .append(true)
        .open(folder.path().join("log"))
        .unwrap();
    let mut server = Command::new("/bin/sh");
    server.args(["-c", r#"ulimit -f 1000000; exec "$0" "$@""#]);
    server.arg(env!("CARGO_BIN_EXE_hotshelf"));
    let server = Server::start_command_logging_to((&mut server, Stdio::from(log)), 4, &shop, &[]);
    serves_and_drains(server.await, &shop).await;
}

#[test]
fn output_into_a_closed_pipe_is_no_failure_and_into_a_full_disk_is_one() {
    for flags in [&[][..], &["--json"]] {
        let folder = tempfile::tempdir().unwrap();
        let list = |stdout: Stdio| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_hotshelf"));
            command
                .args(["models", "list", "--registry"])
                .arg(folder.path());
            command.args(flags).stdout(stdout).stderr(Stdio::piped());
            command.spawn().unwrap().wait_with_output().unwrap()
        };
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let closed = list(writer.into());
        assert_eq!(
            (closed.status.code(), closed.stderr.len()),
            (Some(0), 0),
            "{closed:?}"
        );
        let full = File::options().write(true).open("/dev/full").unwrap();
        let full = list(full.into());
        let said = String::from_utf8(full.stderr).unwrap();
        assert!(said.contains("No space left"), "{said}");
        assert_eq!(full.status.code(), Some(1));
    }
}
