//! The three listeners of a server.

use super::AppError;
use crate::config::Config;
use crate::net;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Where a server listens.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// gRPC, recommendations.
    pub data: SocketAddr,
    /// gRPC, operators.
    pub admin: SocketAddr,
    /// HTTP, probes and metrics.
    pub http: SocketAddr,
}

/// Bound, and not served yet.
pub(super) struct Listeners {
    pub(super) data: TcpListener,
    pub(super) admin: TcpListener,
    pub(super) http: TcpListener,
}

impl Listeners {
    /// Binds all three.
    pub(super) fn bind(config: &Config) -> Result<Self, AppError> {
        Ok(Self {
            data: bind("data_addr", config.data_addr)?,
            admin: bind("admin_addr", config.admin_addr)?,
            http: bind("http_addr", config.http_addr)?,
        })
    }

    /// The addresses, with the ports that the system chose where the configuration says 0.
    pub(super) fn addresses(&self, config: &Config) -> Addresses {
        let local =
            |listener: &TcpListener, configured| listener.local_addr().unwrap_or(configured);
        Addresses {
            data: local(&self.data, config.data_addr),
            admin: local(&self.admin, config.admin_addr),
            http: local(&self.http, config.http_addr),
        }
    }
}

fn bind(setting: &'static str, address: SocketAddr) -> Result<TcpListener, AppError> {
    net::listen(address).map_err(|source| AppError::Bind {
        setting,
        address,
        source,
    })
}
