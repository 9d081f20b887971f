//! Open-loop traffic to several servers, as clients with a round-robin balancer send it: in turn, with a
//! retry on the next server if one cannot be reached. That one is then skipped.

use super::super::open_loop::{OpenLoop, Scheduled};
use crate::grpc::client::{Client, ClientError, RecommendAsk};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Requests in flight (chosen: servers that are this far behind have stopped).
const IN_FLIGHT_MAX: usize = 1_000;
/// Deadline of a request (chosen: beyond what anything here takes).
const TIMEOUT: Duration = Duration::from_secs(10);

/// The responses of one server.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Responses by version.
    pub(super) answers: BTreeMap<u64, u64>,
    /// Requests that it did not serve.
    pub(super) refused: u64,
}

/// The outcomes of all requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Count {
    /// In the servers' order.
    pub(super) by_server: Vec<Tally>,
    /// Served by another server than the first one tried.
    pub(super) sent_again: u64,
    /// Served by none.
    pub(super) failed: u64,
    /// Messages of failed attempts, each once.
    pub(super) errors: Vec<String>,
}

/// One position of the round robin; empty while its server cannot be reached.
#[derive(Default)]
struct Seat {
    client: Option<Client>,
    /// How many servers had this position: failures of an earlier one do not count for this one.
    turn: u64,
}

#[derive(Default)]
struct Shared {
    seats: Mutex<Vec<Seat>>,
    count: Mutex<Count>,
}

impl Shared {
    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seats(&self) -> MutexGuard<'_, Vec<Seat>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seated(&self, at: usize) -> Option<(Client, u64)> {
        let seats = self.seats();
        Some((seats[at].client.clone()?, seats[at].turn))
    }

    /// Requests one user's products, from this server first.
    async fn ask(&self, first: usize, user_id: String) {
        let servers = self.seats().len();
        let mut is_again = false;
        for at in (first..first + servers).map(|at| at % servers) {
            let Some((client, turn)) = self.seated(at) else {
                continue;
            };
            let ask = RecommendAsk {
                user_id: user_id.clone(),
                ..RecommendAsk::default()
            };
            let answered = tokio::time::timeout(TIMEOUT, client.recommend(ask)).await;
            let error = match answered {
                Ok(Ok(list)) => {
                    let mut count = self.count();
                    *count.by_server[at].answers.entry(list.version).or_default() += 1;
                    count.sent_again += u64::from(is_again);
                    return;
                }
                Ok(Err(error)) => error,
                Err(late) => {
                    self.refused(at, late.to_string());
                    break;
                }
            };
            self.refused(at, error.to_string());
            if !is_gone(&error) {
                break;
            }
            self.pass_over(at, turn);
            is_again = true;
        }
        self.count().failed += 1;
    }

    fn refused(&self, at: usize, said: String) {
        let mut count = self.count();
        count.by_server[at].refused += 1;
        if !count.errors.contains(&said) {
            count.errors.push(said);
        }
    }

    fn pass_over(&self, at: usize, turn: u64) {
        let seat = &mut self.seats()[at];
        if seat.turn == turn {
            seat.client = None;
        }
    }
}

/// Whether the transport failed, and not the server: another server may be tried.
fn is_gone(error: &ClientError) -> bool {
    match error {
        // A server's own refusal has its own reason. The transport reports CANCELLED for a request
        // whose connection ended before it was sent; nothing here cancels one.
        ClientError::Refused { code, reason, .. } => {
            code == reason && ["UNAVAILABLE", "UNKNOWN", "CANCELLED"].contains(code)
        }
        ClientError::Address { .. } | ClientError::Unreachable { .. } => false,
    }
}

/// Running traffic; dropped, it stops at once.
pub(super) struct Traffic {
    shared: Arc<Shared>,
    stop: CancellationToken,
    sending: JoinSet<()>,
}

impl Traffic {
    /// Starts to send `rate` requests per second in all, for one user after the other.
    pub(super) fn start(clients: Vec<Client>, users: Vec<String>, rate: u32) -> Self {
        let servers = clients.len();
        let seat = |client| Seat {
            client: Some(client),
            turn: 0,
        };
        let shared = Arc::new(Shared {
            seats: Mutex::new(clients.into_iter().map(seat).collect()),
            count: Mutex::new(Count {
                by_server: vec![Tally::default(); servers],
                ..Count::default()
            }),
        });
        let stop = CancellationToken::new();
        let mut sending = JoinSet::new();
        let load = OpenLoop {
            rate,
            in_flight_max: IN_FLIGHT_MAX,
        };
        let (own, until) = (Arc::clone(&shared), stop.clone());
        sending.spawn(async move {
            let request = |scheduled: Scheduled| {
                let user_id = scheduled.user(&users).to_owned();
                let own = Arc::clone(&own);
                async move { own.ask(scheduled.number % servers, user_id).await }
            };
            let stop = &until;
            let wait = |due: std::time::Instant| async move {
                let due = tokio::time::sleep_until(due.into());
                // A stop need not wait for the next request.
                stop.run_until_cancelled(due).await;
            };
            load.run(wait, |_| stop.is_cancelled(), request).await;
        });
        Self {
            shared,
            stop,
            sending,
        }
    }

    /// Puts a server into a position of the round robin.
    pub(super) fn seat(&self, at: usize, client: Client) {
        let seat = &mut self.shared.seats()[at];
        seat.client = Some(client);
        seat.turn += 1;
    }

    /// So far.
    pub(super) fn count(&self) -> Count {
        self.shared.count().clone()
    }

    /// Stops sending, and returns when every request has ended.
    pub(super) async fn finish(mut self) -> Count {
        self.stop.cancel();
        while self.sending.join_next().await.is_some() {}
        self.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_by_the_server_itself_is_no_lost_connection() {
        let refused = |code, reason: &str| ClientError::Refused {
            code,
            reason: reason.to_owned(),
            message: String::new(),
        };
        assert!(is_gone(&refused("UNAVAILABLE", "UNAVAILABLE")));
        assert!(is_gone(&refused("UNKNOWN", "UNKNOWN")));
        assert!(is_gone(&refused("CANCELLED", "CANCELLED")));
        assert!(!is_gone(&refused("UNAVAILABLE", "OVERLOADED")));
        assert!(!is_gone(&refused("INTERNAL", "INTERNAL")));
    }
}
