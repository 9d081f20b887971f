//! The built binary, serving on ports of its own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::shop::{MODEL, Shop};
use super::small_disk::SmallDisk;
use super::wait::until;

/// The user `nobody`, who may write nothing.
const NOBODY: u32 = 65_534;

/// A running server; dropping it kills it.
pub(crate) struct Server {
    child: Child,
    log: Arc<Mutex<Vec<Value>>>,
    reader: Option<JoinHandle<()>>,
    /// Removed with the server.
    own_cache: TempDir,
    pub(crate) data: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) http: SocketAddr,
}

impl Server {
    /// Starts it on the shop's registry; nothing is live unless the registry says so. `settings` go
    /// over those that suit tests.
    pub(crate) async fn start(shop: &Shop, settings: &[(&str, &str)]) -> Self {
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_hotshelf"));
        Self::start_binary(&mut Command::new(binary), shop, settings).await
    }

    /// The same, as a user who may not write into the registry, even where the tests run as root.
    pub(crate) async fn start_unprivileged(
        shop: &Shop,
        place: &Path,
        settings: &[(&str, &str)],
    ) -> Self {
        // Folders above the build's may be closed to others.
        let binary = place.join("hotshelf");
        std::fs::copy(env!("CARGO_BIN_EXE_hotshelf"), &binary).unwrap();
        let mut command = Command::new(binary);
        if rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        Self::start_binary(&mut command, shop, settings).await
    }

    /// The same, so that a write beyond a limit set from outside fails and does not end the process.
    pub(crate) async fn start_with_failing_writes(shop: &Shop, settings: &[(&str, &str)]) -> Self {
        Self::start_ignoring("XFSZ", shop, settings).await
    }

    /// The same, started with this signal ignored.
    pub(crate) async fn start_ignoring(
        signal: &str,
        shop: &Shop,
        settings: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!(r#"trap "" {signal}; exec "$0" "$@""#)]);
        command.arg(env!("CARGO_BIN_EXE_hotshelf"));
        Self::start_binary(&mut command, shop, settings).await
    }

    /// The same, with its cache folder on a disk of its own.
    pub(crate) async fn start_on(disk: &SmallDisk, shop: &Shop, settings: &[(&str, &str)]) -> Self {
        let folder = disk.folder().display().to_string();
        let settings = [&[("cache-dir", &*folder)], settings].concat();
        let mut command = disk.command(env!("CARGO_BIN_EXE_hotshelf"));
        Self::start_binary(&mut command, shop, &settings).await
    }

    /// The same, with its log where nobody sees it. So that its ports are known it listens on a loopback
    /// address of its own, by this number.
    pub(crate) async fn start_logging_to(
        log: Stdio,
        own: u8,
        shop: &Shop,
        settings: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hotshelf"));
        Self::start_command_logging_to((&mut command, log), own, shop, settings).await
    }

    /// The same for a command that becomes the server.
    pub(crate) async fn start_command_logging_to(
        (command, log): (&mut Command, Stdio),
        own: u8,
        shop: &Shop,
        settings: &[(&str, &str)],
    ) -> Self {
        let [data, admin, http] =
            [50051, 50052, 9464].map(|port| SocketAddr::from(([127, 77, 0, own], port)));
        let texts = [data, admin, http].map(|address| address.to_string());
        let addresses = [
            ("data-addr", &*texts[0]),
            ("admin-addr", &texts[1]),
            ("http-addr", &texts[2]),
        ];
        let cache = Self::configure(command, shop, &[&addresses, settings].concat());
        let mut server = Self {
            child: command.stderr(log).spawn().unwrap(),
            log: Arc::default(),
            reader: None,
            own_cache: cache,
            data,
            admin,
            http,
        };
        until("the server listens", async || {
            assert_eq!(server.child.try_wait().unwrap(), None, "it ended");
            TcpStream::connect(http).await.ok()
        })
        .await;
        server
    }

    /// The same for a command that becomes the server.
    pub(crate) async fn start_binary(
        command: &mut Command,
        shop: &Shop,
        settings: &[(&str, &str)],
    ) -> Self {
        let cache = Self::configure(command, shop, settings);
        Self::run(command, cache).await
    }

    /// Gives the command all its settings; returns its cache folder.
    fn configure(command: &mut Command, shop: &Shop, settings: &[(&str, &str)]) -> TempDir {
        let cache = tempfile::tempdir().unwrap();
        super::shop::open_to_all(cache.path(), 0o777);
        let mut flags = BTreeMap::from([
            ("registry", shop.url()),
            ("cache-dir", cache.path().display().to_string()),
            ("models", MODEL.to_owned()),
            ("data-addr", "127.0.0.1:0".to_owned()),
            ("admin-addr", "127.0.0.1:0".to_owned()),
            ("http-addr", "127.0.0.1:0".to_owned()),
            ("watch-interval-ms", "50".to_owned()),
            ("download-spread-ms", "0".to_owned()),
            ("drain-delay-ms", "0".to_owned()),
            // Longer than any test on however busy a machine; those about age set their own.
            ("connection-age-ms", "3600000".to_owned()),
            // A debug build on a busy machine is overloaded by what is little to others; those about
            // overload set their own.
            ("wait-max-ms", "60000".to_owned()),
            // Swaps back and forth should load again; tests of rollbacks set their own policy.
            ("previous-version", "free".to_owned()),
            ("log-format", "json".to_owned()),
        ]);
        flags.extend(
            settings
                .iter()
                .map(|(key, value)| (*key, (*value).to_owned())),
        );
        command.env_clear().envs(shop.variables()).arg("serve");
        for (key, value) in flags {
            command.arg(format!("--{key}")).arg(value);
        }
        cache
    }

    /// Starts a command that is the server with all its settings; `cache` goes when the server does.
    pub(crate) async fn run(command: &mut Command, cache: TempDir) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let reader = collect(child.stderr.take().unwrap(), Arc::clone(&log));
        let nowhere: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let (data, admin, http) = (nowhere, nowhere, nowhere);
        let mut server = Self {
            child,
            log,
            reader: Some(reader),
            own_cache: cache,
            data,
            admin,
            http,
        };
        let listening = server.logged("listening").await;
        let address = |key: &str| listening[key].as_str().unwrap().parse().unwrap();
        (server.data, server.admin, server.http) =
            (address("data"), address("admin"), address("http"));
        server
    }

    /// Starts it and makes this version live.
    pub(crate) async fn serving(shop: &Shop, version: u64, settings: &[(&str, &str)]) -> Self {
        let server = Self::start(shop, settings).await;
        let done = server.reload(version).await.unwrap();
        assert!(done.changed, "{done:?}");
        server.until_ready().await;
        server
    }

    /// The first line of the log with this message, as soon as it is there.
    pub(crate) async fn logged(&mut self, message: &str) -> Value {
        until(&format!("{message:?} in the log"), async || {
            let found = self
                .lines()
                .into_iter()
                .find(|line| line["message"] == message);
            let ended = self.child.try_wait().unwrap();
            assert!(
                found.is_some() || ended.is_none(),
                "ended with {ended:?}: {:#?}",
                self.lines()
            );
            found
        })
        .await
    }

    /// How often this message stands in the log so far.
    pub(crate) fn times_logged(&self, message: &str) -> usize {
        let lines = self.lines();
        lines
            .iter()
            .filter(|line| line["message"] == message)
            .count()
    }

    /// All lines so far.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.log.lock().unwrap().clone()
    }

    /// Of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The cache folder, where the settings name no other.
    pub(crate) fn cache(&self) -> &Path {
        self.own_cache.path()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// How the process ended, if it has.
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// How the process ended, once it has.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        until("the server's end", async || self.has_ended()).await
    }

    /// Shuts it down gracefully.
    pub(crate) async fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.ended().await;
        assert_eq!(status.code(), Some(0), "{:#?}", self.lines());
    }
}

fn collect(stderr: ChildStderr, log: Arc<Mutex<Vec<Value>>>) -> JoinHandle<()> {
    let read = move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            // What is no JSON line is kept too: the last words of a process that fails.
            let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
            log.lock().unwrap().push(value);
        }
    };
    std::thread::Builder::new()
        .name("server-log".to_owned())
        .spawn(read)
        .unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            reader.join().ok();
        }
        if std::thread::panicking() {
            for line in self.lines() {
                writeln!(std::io::stderr(), "server: {line}").ok();
            }
        }
    }
}
