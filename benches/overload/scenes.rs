//! The scenes that are measured one after the other on one server.

use crate::flood::{self, Flood};
use crate::load::{self, Outcome, Pace, Plan, Sample, quantile};
use crate::serving::server::Server;
use crate::serving::stock::Stock;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Connections, and calls in flight on each, for the peak of a few clients.
const FEW: (usize, usize) = (8, 16);
/// And of many (chosen: as many as a server of a service with some hundred clients has). Their peak is their
/// own: answers to one connection each leave in system calls of their own.
const MANY: (usize, usize) = (400, 1);
/// Highest rate of the well-behaved client, in calls per second (chosen: a hundredth of what a core answers).
/// It never asks for more than its equal share of the peak.
const RATE_MAX: f64 = 200.0;
/// Between a scene and the look at what it left behind.
const SETTLE: Duration = Duration::from_secs(1);

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    /// Of each scene.
    pub(crate) seconds: u32,
    /// Times the peak that are offered.
    pub(crate) times: u32,
}

/// The well-behaved client in one scene. Quantiles are p50 and p99.
#[derive(serde::Serialize)]
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) rate_per_s: f64,
    pub(crate) asked: usize,
    pub(crate) failed: usize,
    pub(crate) took_ms: [f64; 2],
    /// Over the same client alone at the same rate.
    pub(crate) ratio: [f64; 2],
    /// Connections that the server closed on the flooding peers.
    pub(crate) closed_per_s: f64,
    /// Anonymous memory after the scene, and how much more than before it.
    pub(crate) memory_mib: f64,
    pub(crate) memory_more_mib: f64,
    pub(crate) descriptors_more: i64,
}

/// The clients that offer too much, and their peak just before. Quantiles are p50 and p99.
#[derive(serde::Serialize)]
pub(crate) struct Greedy {
    pub(crate) name: &'static str,
    pub(crate) peak_per_s: f64,
    pub(crate) goodput_per_s: f64,
    pub(crate) shed_per_s: f64,
    pub(crate) lost: usize,
    pub(crate) rejection_ms: [f64; 2],
    pub(crate) answer_ms: [f64; 2],
}

#[derive(serde::Serialize)]
pub(crate) struct Figures {
    pub(crate) greedy: Vec<Greedy>,
    pub(crate) scenes: Vec<Scene>,
}

/// A load beyond the peak, at a rate in calls per second.
struct Offer {
    name: &'static str,
    clients: (usize, usize),
    pace: fn(f64) -> Pace,
}

const OFFERS: [Offer; 3] = [
    Offer {
        name: "8 connections",
        clients: FEW,
        pace: |rate| Pace::Open { rate },
    },
    Offer {
        name: "8, adding headers",
        clients: FEW,
        pace: |rate| Pace::OpenAdding { rate },
    },
    Offer {
        name: "400 connections",
        clients: MANY,
        pace: |rate| Pace::Open { rate },
    },
];

struct Stage {
    server: Server,
    messages: Arc<Vec<Vec<u8>>>,
    time: Duration,
}

pub(crate) fn measure(folder: &Path, shop: Stock, effort: Effort) -> anyhow::Result<Figures> {
    let settings = [
        ("cache-bytes-max", "0"),
        ("data-threads", "1"),
        ("unread-timeout-ms", "1000"),
    ];
    let stage = Stage {
        server: Server::start_apart(folder, &settings)?,
        messages: Arc::new(shop.requests()),
        time: Duration::from_secs(effort.seconds.into()),
    };
    stage.peak(FEW)?;
    let quiet = stage.scene(("alone", RATE_MAX, None), |_| Ok(0))?;
    let (mut scenes, mut greedy) = (vec![quiet], Vec::new());
    for offer in OFFERS {
        let peak = stage.peak(offer.clients)?;
        let (connections, _) = offer.clients;
        let rate = RATE_MAX.min(peak / (connections + 1) as f64);
        let alone = if rate < RATE_MAX {
            scenes.push(stage.scene(("alone, at that share", rate, None), |_| Ok(0))?);
            scenes[scenes.len() - 1].took_ms
        } else {
            scenes[0].took_ms
        };
        let plan = stage.plan(connections, (offer.pace)(peak * f64::from(effort.times)));
        let mut samples = Vec::new();
        scenes.push(stage.scene((offer.name, rate, Some(alone)), |over| {
            samples = load::run(&plan, over)?;
            Ok(0)
        })?);
        greedy.push(Greedy::of(offer.name, peak, &samples, stage.time));
    }
    let alone = scenes[0].took_ms;
    for (flood, name) in Flood::ALL {
        let to = stage.server.data;
        let scene = (name, RATE_MAX, Some(alone));
        scenes.push(stage.scene(scene, |over| flood::run(flood, to, over))?);
    }
    Ok(Figures { greedy, scenes })
}

impl Greedy {
    fn of(name: &'static str, peak_per_s: f64, samples: &[Sample], time: Duration) -> Self {
        let seconds = time.as_secs_f64();
        let within = samples.iter().filter(|sample| sample.due < time);
        let lost = within.filter(|sample| sample.outcome == Outcome::Lost);
        Self {
            name,
            peak_per_s,
            goodput_per_s: finished(samples, Outcome::Answered, time) / seconds,
            shed_per_s: finished(samples, Outcome::Refused, time) / seconds,
            lost: lost.count(),
            rejection_ms: quantiles(samples, Outcome::Refused, |sample| sample.took_sent),
            answer_ms: quantiles(samples, Outcome::Answered, |sample| sample.took_sent),
        }
    }
}

/// Calls that had this outcome within the time.
fn finished(samples: &[Sample], outcome: Outcome, time: Duration) -> f64 {
    let ended = samples
        .iter()
        .filter(|sample| sample.outcome == outcome && sample.due + sample.took < time);
    ended.count() as f64
}

fn quantiles(samples: &[Sample], outcome: Outcome, by: fn(&Sample) -> Duration) -> [f64; 2] {
    let of = samples.iter().filter(|sample| sample.outcome == outcome);
    let mut took: Vec<Duration> = of.map(by).collect();
    [0.5, 0.99].map(|share| quantile(&mut took, share).as_secs_f64() * 1e3)
}

impl Stage {
    fn plan(&self, connections: usize, pace: Pace) -> Plan {
        Plan {
            to: self.server.data,
            connections,
            pace,
            messages: Arc::clone(&self.messages),
        }
    }

    /// Answers per second of a closed loop, after a shorter one that warms up.
    fn peak(&self, (connections, in_flight): (usize, usize)) -> anyhow::Result<f64> {
        let plan = self.plan(connections, Pace::Closed { in_flight });
        load::run_for(&plan, self.time / 4)?;
        let samples = load::run_for(&plan, self.time)?;
        Ok(finished(&samples, Outcome::Answered, self.time) / self.time.as_secs_f64())
    }

    /// The well-behaved client at a rate beside what `other` does, which returns the connections it lost;
    /// `alone` are the client's quantiles without it.
    fn scene(
        &self,
        (name, rate, alone): (&'static str, f64, Option<[f64; 2]>),
        other: impl FnOnce(&(dyn Fn() -> bool + Sync)) -> anyhow::Result<usize> + Send,
    ) -> anyhow::Result<Scene> {
        let memory = self.server.memory()?.anonymous;
        let descriptors = self.server.descriptors()?;
        let is_over = AtomicBool::new(false);
        let over = || is_over.load(Ordering::Relaxed);
        let healthy = self.plan(1, Pace::Open { rate });
        let (samples, closed) = std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let samples = load::run_for(&healthy, self.time);
                is_over.store(true, Ordering::Relaxed);
                samples
            });
            let others = scope.spawn(|| {
                give_way();
                other(&over)
            });
            let closed = others.join().expect("the load does not panic");
            (asking.join().expect("the load does not panic"), closed)
        });
        let (samples, closed) = (samples?, closed?);
        std::thread::sleep(SETTLE);
        let after = self.server.memory()?.anonymous;
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let took_ms = quantiles(&samples, Outcome::Answered, |sample| sample.took);
        let alone = alone.unwrap_or(took_ms);
        Ok(Scene {
            name,
            rate_per_s: rate,
            asked: samples.len(),
            failed: samples.len() - answered(&samples),
            took_ms,
            ratio: [took_ms[0] / alone[0], took_ms[1] / alone[1]],
            closed_per_s: closed as f64 / self.time.as_secs_f64(),
            memory_mib: mib(after),
            memory_more_mib: mib(after) - mib(memory),
            descriptors_more: self.server.descriptors()? as i64 - descriptors as i64,
        })
    }
}

/// Lets the calling thread run only while no other of its core wants to: where the well-behaved client shares a
/// core with the flooding ones, it must not wait for them there. Without `chrt` it does, some milliseconds at a
/// time.
fn give_way() {
    let thread = rustix::thread::gettid().as_raw_nonzero().to_string();
    let done = std::process::Command::new("chrt")
        .args(["--idle", "--pid", "0", &thread])
        .status();
    if !done.is_ok_and(|status| status.success()) {
        let said = "no chrt: the client's latencies include waits for the load generator";
        // A closed standard error is no reason to fail.
        let _ = writeln!(std::io::stderr(), "{said}");
    }
}

fn answered(samples: &[Sample]) -> usize {
    let answered = samples
        .iter()
        .filter(|sample| sample.outcome == Outcome::Answered);
    answered.count()
}
