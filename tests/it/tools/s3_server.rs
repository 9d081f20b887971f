//! An S3 server outside of the test's process: started on a free port of loopback, killed, started
//! again over the same data.
//!
//! ```text
//! test ──stdin──▶ sh ──▶ server        whoever ends first, the pipe closes, sh kills the server
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

/// Longest wait for a server to answer (chosen: thirty times what the slowest takes).
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Ends the server when the test's process is gone, however it went, and then removes a folder.
const KEEPER: &str = r#"folder=$1; shift; "$@" & read -r _; kill -9 $!; wait
[ -z "$folder" ] || rm -rf -- "$folder""#;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Versitygw,
    /// Its program is a Python that has it.
    Moto,
    Minio,
}

/// A server, running or killed.
pub(crate) struct S3Server {
    kind: Kind,
    program: PathBuf,
    address: SocketAddr,
    folder: PathBuf,
    /// The folder goes with the server: of one that no test owns.
    is_shared: bool,
    /// Its certificate and key lie in its folder.
    is_https: bool,
    keeper: Mutex<Option<Child>>,
}

impl S3Server {
    /// One that tests share; it takes its folder with it.
    pub(crate) async fn shared(kind: Kind, program: PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap().keep();
        Self::start_in((kind, program), folder, (true, false)).await
    }

    /// One for a test that kills it; its data is kept in `folder`.
    pub(crate) async fn own(kind: Kind, program: PathBuf, folder: &Path) -> Self {
        Self::start_in((kind, program), folder.to_owned(), (false, false)).await
    }

    /// A versitygw that speaks TLS and nothing else.
    pub(crate) async fn https(program: PathBuf, folder: &Path, shown: &Certified) -> Self {
        std::fs::write(folder.join("certificate.pem"), &shown.certificate).unwrap();
        std::fs::write(folder.join("key.pem"), &shown.key).unwrap();
        let server = (Kind::Versitygw, program);
        Self::start_in(server, folder.to_owned(), (false, true)).await
    }

    async fn start_in(
        (kind, program): (Kind, PathBuf),
        folder: PathBuf,
        (is_shared, is_https): (bool, bool),
    ) -> Self {
        for inner in ["data", "sidecar"] {
            std::fs::create_dir_all(folder.join(inner)).unwrap();
        }
        // Free now; nobody else takes it in the moment until the server does.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let server = Self {
            kind,
            program,
            address: free.local_addr().unwrap(),
            folder,
            is_shared,
            is_https,
            keeper: Mutex::new(None),
        };
        drop(free);
        server.start().await;
        server
    }

    pub(crate) fn endpoint(&self) -> String {
        let scheme = if self.is_https { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts it (again) and waits until it answers.
    pub(crate) async fn start(&self) {
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
        command.envs([
            ("ROOT_ACCESS_KEY", KEY),
            ("ROOT_SECRET_KEY", SECRET),
            ("MINIO_ROOT_USER", KEY),
            ("MINIO_ROOT_PASSWORD", SECRET),
            ("MINIO_BROWSER", "off"),
            ("MINIO_UPDATE", "off"),
        ]);
        if self.is_https {
            let file = |name: &str| self.folder.join(name);
            command.env("VGW_CERT", file("certificate.pem"));
            command.env("VGW_KEY", file("key.pem"));
        }
        command
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        *self.keeper.lock().unwrap() = Some(command.spawn().unwrap());
        let end = Instant::now() + START_TIMEOUT;
        while !self.answers().unwrap_or(false) {
            let said = || std::fs::read_to_string(self.log()).unwrap_or_default();
            assert!(
                Instant::now() < end,
                "{:?} did not start: {}",
                self.kind,
                said()
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    /// SIGKILL. What it had not written is lost; whoever is connected sees the connection end.
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
            Kind::Minio => own(&["server", "--address", &address, "--quiet", &inside("data")]),
        }
    }

    /// Whether it is healthy by its own word; over TLS, whether it listens.
    fn answers(&self) -> io::Result<bool> {
        if self.is_https {
            return TcpStream::connect(self.address).map(|_| true);
        }
        let page = match self.kind {
            Kind::Versitygw => "/health",
            Kind::Moto => "/moto-api/",
            Kind::Minio => "/minio/health/ready",
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

/// What moto's interpreter runs; it says why not moto as it is.
fn serial_moto() -> String {
    let tests = super::installed::own_tools().with_file_name("tests");
    tests.join("it/tools/serial_moto.py").display().to_string()
}

impl Drop for S3Server {
    fn drop(&mut self) {
        if self.keeper.lock().unwrap().is_some() {
            self.kill();
        }
    }
}
