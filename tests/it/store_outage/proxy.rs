//! A proxy before an S3 server that takes one request at a time to a chosen point and holds it there,
//! so that "in the middle" is the same middle in every run. It answers writes by itself if told so, and
//! cuts those behind it off from the server for as long as it is told, and spoils a body.
//!
//! Every connection carries one request: the proxy asks the server to close after its answer, and
//! closes too.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Longest head of a request that is read.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Where a request is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// Half of its body has reached the server.
    HalfSent,
    /// The server has done it; nothing of the answer has reached the client.
    Done,
    /// Half of the answer has reached the client.
    HalfAnswered,
}

/// The next request with this method and this in its path is held.
struct Held {
    method: &'static str,
    part: String,
    point: Point,
}

struct Shared {
    server: SocketAddr,
    held: Mutex<Option<Held>>,
    /// What every write is answered with, if anything.
    writes: Mutex<Option<&'static str>>,
    /// The next answer to a GET with this in its path has a wrong last byte.
    spoilt: Mutex<Option<&'static str>>,
    /// Is every request dropped?
    is_shut: AtomicBool,
    reached: mpsc::Sender<()>,
    /// Counts releases.
    released: watch::Sender<usize>,
}

/// Listens until dropped.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    reached: mpsc::Receiver<()>,
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, reached) = mpsc::channel(1);
        let shared = Arc::new(Shared {
            server,
            held: Mutex::new(None),
            writes: Mutex::new(None),
            spoilt: Mutex::new(None),
            is_shut: AtomicBool::new(false),
            reached: sender,
            released: watch::Sender::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self {
            shared,
            reached,
            address,
            accepting,
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Holds the next such request.
    pub(crate) fn hold(&self, method: &'static str, part: &str, point: Point) {
        let part = part.to_owned();
        *self.shared.held.lock().unwrap() = Some(Held {
            method,
            part,
            point,
        });
    }

    /// Returns when it is held.
    pub(crate) async fn reached(&mut self) {
        let reached = tokio::time::timeout(crate::harness::PATIENCE, self.reached.recv()).await;
        reached.expect("no such request came").unwrap();
    }

    /// Ends the connection of whatever is held.
    pub(crate) fn cut(&self) {
        self.shared.released.send_modify(|count| *count += 1);
    }

    /// Answers every write so from now on, and asks the server nothing.
    pub(super) fn answer_writes(&self, answer: &'static str) {
        *self.shared.writes.lock().unwrap() = Some(answer);
    }

    /// Alters the last byte of the next answer to a GET with this in its path.
    pub(super) fn spoil(&self, part: &'static str) {
        *self.shared.spoilt.lock().unwrap() = Some(part);
    }

    /// Drops every request from now on, or none any more.
    pub(crate) fn shut(&self, is_shut: bool) {
        self.shared.is_shut.store(is_shut, Ordering::Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        // A server that is gone ends the connection, which is what its client shall see.
        tokio::spawn(async move { carry(client, &shared).await.ok() });
    }
}

async fn carry(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    let (head, body) = request(&mut client).await?;
    if shared.is_shut.load(Ordering::Relaxed) {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    let mut words = head.split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default().to_owned();
    let writes = *shared.writes.lock().unwrap();
    if let Some(answer) = writes.filter(|_| !["GET", "HEAD"].contains(&method.as_str())) {
        return client.write_all(answer.as_bytes()).await;
    }
    let point = {
        let mut held = shared.held.lock().unwrap();
        let is_it = |held: &mut Held| held.method == method && target.contains(&held.part);
        held.take_if(is_it).map(|held| held.point)
    };
    let mut server = TcpStream::connect(shared.server).await?;
    let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    server.write_all(head.as_bytes()).await?;
    if point == Some(Point::HalfSent) {
        server.write_all(&body[..body.len() / 2]).await?;
        return hold(shared).await;
    }
    server.write_all(&body).await?;
    let is_spoilt = {
        let mut spoilt = shared.spoilt.lock().unwrap();
        let is_it = |part: &mut &str| method == "GET" && target.contains(*part);
        spoilt.take_if(is_it).is_some()
    };
    if point.is_none() && !is_spoilt {
        return tokio::io::copy(&mut server, &mut client).await.map(drop);
    }
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await?;
    if is_spoilt {
        *answer.last_mut().expect("an answer") ^= 1;
        return client.write_all(&answer).await;
    }
    if point == Some(Point::HalfAnswered) {
        client.write_all(&answer[..answer.len() / 2]).await?;
    }
    hold(shared).await
}

/// Tells the test, and waits for it.
async fn hold(shared: &Shared) -> io::Result<()> {
    let mut released = shared.released.subscribe();
    shared.reached.send(()).await.map_err(io::Error::other)?;
    released.changed().await.map_err(io::Error::other)
}

async fn request(client: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        let found = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(at) = found {
            break at + 4;
        }
        if bytes.len() > HEAD_BYTES_MAX || client.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let mut body = bytes.split_off(end);
    let head = String::from_utf8(bytes).map_err(io::Error::other)?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_it = name.eq_ignore_ascii_case("content-length");
        is_it.then(|| value.trim().parse::<usize>().ok())?
    });
    while body.len() < length.unwrap_or(0) {
        if client.read_buf(&mut body).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok((head, body))
}
