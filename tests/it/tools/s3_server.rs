//! An S3 server outside of the test's process: started on a free port of loopback, killed, started
//! again over the same data.
//!
//! ```text
//! test ──stdin──▶ sh ──▶ server        the test ends: the pipe closes, sh kills the server
//! test ◀──exit─── sh ◀── server        the server ends: sh ends with its status
//! ```
//!
//! The registry's tests mount this file too.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::authority::Certified;

/// What every server here accepts.
pub(crate) const KEY: &str = "tests-of-hotshelf";
/// Its proof.
pub(crate) const SECRET: &str = "known-to-everybody";

/// Longest wait for a server that runs and does not answer (chosen: fifteen times what the slowest takes).
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two health checks.
const POLL: Duration = Duration::from_millis(20);

/// Kills the server once the test's process is gone, then removes a folder; ends when the server ends.
const KEEPER: &str = r#"folder=$1; shift; exec 3<&0
"$@" 3<&- & server=$!
{ read -r _; kill -9 $server; } <&3 & watcher=$!
wait $server; status=$?
kill $watcher 2>/dev/null
[ -z "$folder" ] || rm -rf -- "$folder"
exit $status"#;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Versitygw,
    /// Its program is a Python interpreter that has the package.
    Moto,
}

/// A server, running or killed.
pub(crate) struct S3Server {
    kind: Kind,
    program: PathBuf,
    address: SocketAddr,
    folder: PathBuf,
    /// No test owns it: its folder is removed with it.
    is_shared: bool,
    /// Its certificate and key lie in its folder.
    is_https: bool,
    keeper: Mutex<Option<Child>>,
}

impl S3Server {
    /// One that tests share, or why it did not start.
    pub(crate) async fn shared(kind: Kind, program: PathBuf) -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap().keep();
        let server = Self::new((kind, program), folder, (true, false));
        server.try_start().await.map(|()| server)
    }

    /// One for a test that kills it; its data lies in `folder`.
    pub(crate) async fn own(kind: Kind, program: PathBuf, folder: &Path) -> Self {
        let server = Self::new((kind, program), folder.to_owned(), (false, false));
        server.start().await;
        server
    }

    /// A versitygw that speaks TLS and nothing else.
    pub(crate) async fn https(program: PathBuf, folder: &Path, shown: &Certified) -> Self {
        std::fs::write(folder.join("certificate.pem"), &shown.certificate).unwrap();
        std::fs::write(folder.join("key.pem"), &shown.key).unwrap();
        let program = (Kind::Versitygw, program);
        let server = Self::new(program, folder.to_owned(), (false, true));
        server.start().await;
        server
    }

    fn new(
        (kind, program): (Kind, PathBuf),
        folder: PathBuf,
        (is_shared, is_https): (bool, bool),
    ) -> Self {
        for inner in ["data", "sidecar"] {
            std::fs::create_dir_all(folder.join(inner)).unwrap();
        }
        // Free now; nobody else takes it in the moment until the server does.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Self {
            kind,
            program,
            address: free.local_addr().unwrap(),
            folder,
            is_shared,
            is_https,
            keeper: Mutex::new(None),
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        let scheme = if self.is_https { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts it (again) and waits until it answers.
    ///
    /// # Panics
    /// Where it ends, or does not answer in time, with what it wrote.
    pub(crate) async fn start(&self) {
        if let Err(reason) = self.try_start().await {
            panic!("{reason}");
        }
    }

    async fn try_start(&self) -> Result<(), String> {
        *self.keeper.lock().unwrap() = Some(self.spawn());
        let end = Instant::now() + START_TIMEOUT;
        while !self.answers().unwrap_or(false) {
            let ended = self.keeper.lock().unwrap().as_mut().unwrap().try_wait();
            let reason = match ended.unwrap() {
                Some(status) => format!("ended with {status} before it answered"),
                None if Instant::now() >= end => format!("did not answer within {START_TIMEOUT:?}"),
                None => {
                    tokio::time::sleep(POLL).await;
                    continue;
                }
            };
            let log = std::fs::read_to_string(self.log()).unwrap_or_default();
            let program = self.program.display();
            return Err(format!("{program} {reason}; it wrote: {log}"));
        }
        Ok(())
    }

    fn spawn(&self) -> Child {
        let log = File::options()
            .append(true)
            .create(true)
            .open(self.log())
            .unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "sh"]);
        command.arg(if self.is_shared {
            self.folder.as_os_str()
        } else {
            "".as_ref()
        });
        command.arg(&self.program).args(self.arguments());
        command.envs([("ROOT_ACCESS_KEY", KEY), ("ROOT_SECRET_KEY", SECRET)]);
        if self.is_https {
            let file = |name: &str| self.folder.join(name);
            command.env("VGW_CERT", file("certificate.pem"));
            command.env("VGW_KEY", file("key.pem"));
        }
        command
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        command.spawn().unwrap()
    }

    /// SIGKILL: what it had not written is lost, and its connections end.
    pub(crate) fn kill(&self) {
        let keeper = self.keeper.lock().unwrap().take();
        let mut keeper = keeper.expect("a running server");
        drop(keeper.stdin.take());
        keeper.wait().unwrap();
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn arguments(&self) -> Vec<String> {
        let address = self.address.to_string();
        let inside = |name: &str| self.folder.join(name).display().to_string();
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        match self.kind {
            // Metadata in files beside the data, since not every file system has attributes.
            Kind::Versitygw => own(&[
                "--port",
                &address,
                "--quiet",
                "--health",
                "/health",
                "posix",
                "--sidecar",
                &inside("sidecar"),
                &inside("data"),
            ]),
            Kind::Moto => own(&[&serial_moto(), &self.address.port().to_string()]),
        }
    }

    /// Whether its health check passes; over TLS, whether it listens.
    fn answers(&self) -> io::Result<bool> {
        if self.is_https {
            return TcpStream::connect(self.address).map(|_| true);
        }
        let page = match self.kind {
            Kind::Versitygw => "/health",
            Kind::Moto => "/moto-api/",
        };
        let status = self.ask(&format!("GET {page} HTTP/1.1\r\n"))?;
        Ok(status.contains(" 200 "))
    }

    /// Sends a request without a body; returns the status line.
    pub(crate) fn ask(&self, head: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(START_TIMEOUT))?;
        let rest = format!(
            "Host: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            self.address
        );
        stream.write_all(format!("{head}{rest}").as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        Ok(answer.lines().next().unwrap_or_default().to_owned())
    }
}

/// The script that moto's interpreter runs.
fn serial_moto() -> String {
    let script = super::installed::checkout().join("tests/it/tools/serial_moto.py");
    script.display().to_string()
}

impl Drop for S3Server {
    fn drop(&mut self) {
        if self.keeper.lock().unwrap().is_some() {
            self.kill();
        }
    }
}
