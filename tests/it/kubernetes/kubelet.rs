//! A kubelet's view of a container: probes with their period, timeout and thresholds.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::rendered::Rendered;
use crate::harness::{PATIENCE, Server, http_get};

/// One probe of a container.
pub(super) struct Probe {
    action: Action,
    period: Duration,
    timeout: Duration,
    successes: u64,
    failures: u64,
}

enum Action {
    HttpGet(SocketAddr, String),
    Grpc(SocketAddr, String),
}

impl Probe {
    /// The container's probe of this name, at the ports of the running server.
    pub(super) fn of(rendered: &Rendered, name: &str, server: &Server) -> Self {
        let container = rendered.container();
        let probe = &container[name];
        let ports = container["ports"].as_array().unwrap();
        let port = |port: &Value| {
            let named = ports
                .iter()
                .find(|it| it["name"] == *port || it["containerPort"] == *port);
            match named.unwrap()["name"].as_str().unwrap() {
                "grpc-data" => server.data,
                "grpc-admin" => server.admin,
                _ => server.http,
            }
        };
        let action = match (&probe["httpGet"], &probe["grpc"]) {
            (Value::Null, grpc) => {
                let service = grpc["service"].as_str().unwrap_or_default();
                Action::Grpc(port(&grpc["port"]), service.to_owned())
            }
            (get, _) => {
                let path = get["path"].as_str().unwrap();
                Action::HttpGet(port(&get["port"]), path.to_owned())
            }
        };
        // The defaults are those of Kubernetes.
        let number = |key: &str, default| probe[key].as_u64().unwrap_or(default);
        Self {
            action,
            period: Duration::from_secs(number("periodSeconds", 10)),
            timeout: Duration::from_secs(number("timeoutSeconds", 1)),
            successes: number("successThreshold", 1),
            failures: number("failureThreshold", 3),
        }
    }

    /// Probes once.
    pub(super) async fn succeeds(&self) -> bool {
        let probe = async {
            match &self.action {
                Action::HttpGet(at, path) => {
                    // The server may have ended.
                    if tokio::net::TcpStream::connect(at).await.is_err() {
                        return false;
                    }
                    (200..400).contains(&http_get(*at, path).await.0)
                }
                Action::Grpc(at, service) => {
                    if tokio::net::TcpStream::connect(at).await.is_err() {
                        return false;
                    }
                    Server::is_serving(*at, service).await.unwrap_or(false)
                }
            }
        };
        timeout(self.timeout, probe).await.unwrap_or(false)
    }

    /// Probes every period until the threshold of consecutive results is reached.
    pub(super) async fn until(&self, is_success: bool) {
        let threshold = if is_success {
            self.successes
        } else {
            self.failures
        };
        let mut ticks = interval(self.period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let probe = async {
            let mut consecutive = 0;
            while consecutive < threshold {
                ticks.tick().await;
                let is_expected = self.succeeds().await == is_success;
                consecutive = if is_expected { consecutive + 1 } else { 0 };
            }
        };
        timeout(PATIENCE, probe)
            .await
            .expect("the probe changes in time");
    }
}
