//! Sockets, connections and the threads that serve them. Knows HTTP/2 but neither gRPC nor models:
//! the services come in as arguments.
//!
//! ```text
//! plane ─▶ accept ─▶ core ─▶ connection ─▶ hyper and h2 ─▶ call_tracking ─▶ the service, polled by executor
//!                                 │            ▲
//!                                 │       write_coalescing: abuse_guard ─▶ frame_budget, connection_stats, stream_resets
//!                                 │                         read_backoff
//!                                 └─▶ connection_watch: decides from connection_stats
//! ```
//!
//! `crate::admission` decides whether a call is served, and when.

mod abuse_guard;
mod accept;
mod call_tracking;
mod connection;
mod connection_stats;
mod connection_watch;
mod core;
mod end;
mod executor;
mod frame_budget;
mod frames;
pub mod http_plane;
mod limits;
mod plane;
mod probe_slots;
mod read_backoff;
mod service;
mod stages;
mod stream_resets;
mod write_coalescing;

#[cfg(test)]
pub(crate) use executor::InlineExecutor;
pub use limits::ConnectionLimits;
pub use plane::{PROBES_MAX, Plane, PlaneConfig};
pub use service::{BoxError, HttpService, Purpose, Services};
pub use stages::Stages;

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
