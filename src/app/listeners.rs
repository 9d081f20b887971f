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

impl Addresses {
    /// The gRPC listeners that hosts other than this one may reach; see docs/security.md.
    pub(super) fn exposed(self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        let listeners = [("data", self.data), ("admin", self.admin)];
        let is_exposed =
            |(_, address): &(_, SocketAddr)| !address.ip().to_canonical().is_loopback();
        listeners.into_iter().filter(is_exposed)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_off_loopback_are_exposed_and_no_others() {
        for (data, admin, expected) in [
            ("127.0.0.1:1", "[::1]:2", &[][..]),
            ("127.8.0.1:1", "[::ffff:127.0.0.1]:2", &[]),
            ("0.0.0.0:1", "127.0.0.1:2", &["data"]),
            ("127.0.0.1:1", "[::]:2", &["admin"]),
            ("10.0.0.7:1", "[fd00::7]:2", &["data", "admin"]),
        ] {
            let addresses = Addresses {
                data: data.parse().unwrap(),
                admin: admin.parse().unwrap(),
                // Health and metrics are for everybody.
                http: "0.0.0.0:3".parse().unwrap(),
            };
            let exposed: Vec<_> = addresses.exposed().map(|(listener, _)| listener).collect();
            assert_eq!(exposed, expected, "{data} {admin}");
        }
    }
}
