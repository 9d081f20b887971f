//! Which listener of a running server a command calls, and what a failed call means.

use super::WrongCall;
use crate::grpc::client::{Client, ClientError};
use clap::Args;
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest wait for a listener to show that it speaks HTTP/1 (chosen: it answers at once or never).
const HTTP_TIMEOUT: Duration = Duration::from_secs(1);

/// The operators' listener of a running server.
#[derive(Args)]
pub(super) struct AdminAddress {
    /// Connect to this admin listener
    #[arg(
        long,
        alias = "admin",
        value_name = "ADDR",
        env = "HOTSHELF_ADMIN_ADDR",
        hide_env_values = true,
        default_value = "127.0.0.1:50052",
        value_parser = dialled
    )]
    pub(super) admin_addr: String,
}

/// The callers' listener of a running server.
#[derive(Args)]
pub(super) struct DataAddress {
    /// Connect to this data listener
    #[arg(
        long,
        alias = "addr",
        value_name = "ADDR",
        env = "HOTSHELF_DATA_ADDR",
        hide_env_values = true,
        default_value = "127.0.0.1:50051",
        value_parser = dialled
    )]
    pub(super) data_addr: String,
}

impl AdminAddress {
    /// Connects, and makes one call of ModelService.
    pub(super) async fn call<T>(
        &self,
        call: impl AsyncFnOnce(&Client) -> Result<T, ClientError>,
    ) -> anyhow::Result<T> {
        Listener::ADMIN.call(&self.admin_addr, call).await
    }
}

impl DataAddress {
    /// Connects, and makes one call of RecommendationService.
    pub(super) async fn call<T>(
        &self,
        call: impl AsyncFnOnce(&Client) -> Result<T, ClientError>,
    ) -> anyhow::Result<T> {
        Listener::DATA.call(&self.data_addr, call).await
    }
}

/// A listener as messages name it.
struct Listener {
    name: &'static str,
    service: &'static str,
    flag: &'static str,
    default: &'static str,
    /// The listener that it is confused with.
    other: &'static str,
}

impl Listener {
    const ADMIN: Self = Self {
        name: "admin",
        service: "ModelService",
        flag: "--admin-addr",
        default: "127.0.0.1:50052",
        other: "data",
    };
    const DATA: Self = Self {
        name: "data",
        service: "RecommendationService",
        flag: "--data-addr",
        default: "127.0.0.1:50051",
        other: "admin",
    };

    async fn call<T>(
        &self,
        address: &str,
        call: impl AsyncFnOnce(&Client) -> Result<T, ClientError>,
    ) -> anyhow::Result<T> {
        let called = match Client::connect(address).await {
            Ok(client) => call(&client).await,
            Err(error) => Err(error),
        };
        match called {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.explained(address, error).await),
        }
    }

    /// Explains a failed call to the user of the command.
    async fn explained(&self, address: &str, error: ClientError) -> anyhow::Error {
        match &error {
            ClientError::Refused { code, .. } if *code == "UNIMPLEMENTED" => {
                self.wrong_listener(address, self.other).into()
            }
            error if is_of_the_transport(error) && speaks_http(address).await => {
                self.wrong_listener(address, "HTTP").into()
            }
            ClientError::Unreachable { source, .. } => {
                let cause = root_cause(source);
                anyhow::anyhow!("cannot reach {address}: {cause} (is the server running there?)")
            }
            _ => error.into(),
        }
    }

    fn wrong_listener(&self, address: &str, found: &str) -> WrongCall {
        let Self {
            name,
            service,
            flag,
            default,
            ..
        } = self;
        WrongCall(format!(
            "{address} is the {found} listener; {service} is on the {name} listener \
             ({flag}, {default} by default)"
        ))
    }
}

/// Whether no gRPC server answered: its own refusals have a reason of their own.
fn is_of_the_transport(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } => true,
        ClientError::Refused { code, reason, .. } => code == reason,
        ClientError::Address { .. } => false,
    }
}

/// Whether a plain HTTP/1 server answers there.
async fn speaks_http(address: &str) -> bool {
    let host = address.rsplit("//").next().unwrap_or(address);
    let asked = async {
        let mut stream = TcpStream::connect(host).await?;
        stream.write_all(b"GET /livez HTTP/1.0\r\n\r\n").await?;
        let mut head = [0; 7];
        stream.read_exact(&mut head).await?;
        Ok::<_, std::io::Error>(head == *b"HTTP/1.")
    };
    matches!(
        tokio::time::timeout(HTTP_TIMEOUT, asked).await,
        Ok(Ok(true))
    )
}

fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}

/// An address to connect to. The variables are those of the server, which listens on every address of
/// its machine where they say 0.0.0.0: it is reached by the loopback one.
fn dialled(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("give HOST:PORT, such as 127.0.0.1:50052".to_owned());
    }
    let Ok(listening) = text.parse::<SocketAddr>() else {
        return Ok(text.to_owned());
    };
    let loopback: IpAddr = match listening.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    Ok(SocketAddr::new(loopback, listening.port()).to_string())
}

#[cfg(test)]
mod tests {
    use super::dialled;

    #[test]
    fn server_that_listens_everywhere_is_reached_on_loopback() {
        for (typed, address) in [
            ("0.0.0.0:50052", "127.0.0.1:50052"),
            ("[::]:50052", "[::1]:50052"),
            ("10.0.0.7:1", "10.0.0.7:1"),
            ("shop.example:443", "shop.example:443"),
            ("http://127.0.0.1:1", "http://127.0.0.1:1"),
            (" 10.0.0.7:1\n", "10.0.0.7:1"),
        ] {
            assert_eq!(dialled(typed).as_deref(), Ok(address));
        }
        assert!(dialled("").is_err());
    }
}
