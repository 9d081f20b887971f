//! Sockets, connections and the threads that serve them. Knows HTTP/2 but neither gRPC nor models:
//! the services come in as arguments.

mod abuse_guard;
mod accept;
mod call_tracking;
mod connection;
mod frames;
pub mod http_plane;
mod plane;
mod read_backoff;
mod write_coalescing;

pub use call_tracking::{BoxError, HttpService};
pub use connection::ConnectionLimits;
pub use plane::{Plane, PlaneConfig, Services};

use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpSocket};

/// Connections that wait in the kernel to be accepted.
const BACKLOG: u32 = 1024;

/// Binds a listener; port 0 takes a free one.
///
/// # Errors
/// The address is taken or not ours.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
