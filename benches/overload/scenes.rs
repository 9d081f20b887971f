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

/// Connections and calls under way on each while the peak is measured.
const PEAK: (usize, usize) = (8, 16);
/// Connections of those who ask for too much.
const GREEDY_CONNECTIONS: usize = 8;
/// And of those who are many (chosen: as many as a server of a service with some hundred clients has). Their
/// peak is their own: answers to one connection each leave in system calls of their own.
const MANY_CONNECTIONS: usize = 400;
/// Calls per second of the caller in good order (chosen: a hundredth of what a core answers).
const HEALTHY_RATE: f64 = 200.0;
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

/// A caller in good order in one scene. Quantiles are p50 and p99.
#[derive(serde::Serialize)]
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) asked: usize,
    pub(crate) failed: usize,
    pub(crate) took_ms: [f64; 2],
    /// Connections that the server closed on those who flooded.
    pub(crate) closed_per_s: f64,
    /// Anonymous memory after the scene, and how much more than before it.
    pub(crate) memory_mib: f64,
    pub(crate) memory_more_mib: f64,
    pub(crate) descriptors_more: i64,
}

/// Those who ask for too much, and the peak just before. Quantiles are p50 and p99.
#[derive(serde::Serialize)]
pub(crate) struct Greedy {
    pub(crate) name: &'static str,
    pub(crate) peak_per_s: f64,
    pub(crate) goodput_per_s: f64,
    pub(crate) shed_per_s: f64,
    pub(crate) lost: usize,
    pub(crate) refusal_ms: [f64; 2],
    pub(crate) answer_ms: [f64; 2],
}

#[derive(serde::Serialize)]
pub(crate) struct Figures {
    pub(crate) greedy: Vec<Greedy>,
    pub(crate) scenes: Vec<Scene>,
}

/// What is asked for beyond the peak, at a rate in calls per second.
struct Offer {
    name: &'static str,
    connections: usize,
    peak: (usize, usize),
    pace: fn(f64) -> Pace,
}

const OFFERS: [Offer; 3] = [
    Offer {
        name: "too many calls",
        connections: GREEDY_CONNECTIONS,
        peak: PEAK,
        pace: |rate| Pace::Open { rate },
    },
    Offer {
        name: "adding headers",
        connections: GREEDY_CONNECTIONS,
        peak: PEAK,
        pace: |rate| Pace::OpenAdding { rate },
    },
    Offer {
        name: "on 400 connections",
        connections: MANY_CONNECTIONS,
        peak: (MANY_CONNECTIONS, 1),
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
    stage.peak(PEAK)?;
    let mut scenes = vec![stage.scene("alone", |_| Ok(0))?];
    let mut greedy = Vec::new();
    for Offer {
        name,
        connections,
        peak,
        pace,
    } in OFFERS
    {
        let peak = stage.peak(peak)?;
        let plan = stage.plan(connections, pace(peak * f64::from(effort.times)));
        let mut samples = Vec::new();
        scenes.push(stage.scene(name, |over| {
            samples = load::run(&plan, over)?;
            Ok(0)
        })?);
        greedy.push(Greedy::of(name, peak, &samples, stage.time));
    }
    for (flood, name) in Flood::ALL {
        let to = stage.server.data;
        scenes.push(stage.scene(name, |over| flood::run(flood, to, over))?);
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
            refusal_ms: quantiles(samples, Outcome::Refused, |sample| sample.took_sent),
            answer_ms: quantiles(samples, Outcome::Answered, |sample| sample.took_sent),
        }
    }
}

/// Calls that had this end before the time was over.
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

    /// The caller in good order beside what `other` does, which returns the connections it lost.
    fn scene(
        &self,
        name: &'static str,
        other: impl FnOnce(&(dyn Fn() -> bool + Sync)) -> anyhow::Result<usize> + Send,
    ) -> anyhow::Result<Scene> {
        let memory = self.server.memory()?.anonymous;
        let descriptors = self.server.descriptors()?;
        let is_over = AtomicBool::new(false);
        let over = || is_over.load(Ordering::Relaxed);
        let healthy = self.plan(1, Pace::Open { rate: HEALTHY_RATE });
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
        Ok(Scene {
            name,
            asked: samples.len(),
            failed: samples.len() - answered(&samples),
            took_ms: quantiles(&samples, Outcome::Answered, |sample| sample.took),
            closed_per_s: closed as f64 / self.time.as_secs_f64(),
            memory_mib: mib(after),
            memory_more_mib: mib(after) - mib(memory),
            descriptors_more: self.server.descriptors()? as i64 - descriptors as i64,
        })
    }
}

/// Lets the calling thread run only while no other of its core wants to: where the caller in good
/// order shares a core with those who flood, it must not wait for them there. Without `chrt` it does,
/// some milliseconds at a time.
fn give_way() {
    let thread = rustix::thread::gettid().as_raw_nonzero().to_string();
    let done = std::process::Command::new("chrt")
        .args(["--idle", "--pid", "0", &thread])
        .status();
    if !done.is_ok_and(|status| status.success()) {
        let said = "no chrt: the caller's latencies contain waits for its own neighbours";
        // Who has closed standard error does without.
        let _ = writeln!(std::io::stderr(), "{said}");
    }
}

fn answered(samples: &[Sample]) -> usize {
    let answered = samples
        .iter()
        .filter(|sample| sample.outcome == Outcome::Answered);
    answered.count()
}
