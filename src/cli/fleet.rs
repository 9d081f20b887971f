//! `hotshelf status --fleet`: every replica in one table, once or repeatedly.

use super::address::AdminAddress;
use super::{block_on, rollout_text, write_json};
use crate::grpc::client::{Client, CountsInfo, FleetInfo, ReplicaInfo};
use hotshelf_terminal::quantity;
use hotshelf_terminal::refresh::Refresh;
use hotshelf_terminal::table::{Column, TextTable};
use hotshelf_terminal::text::one_line;
use std::io::Write;
use std::time::Duration;

/// What to show, and how.
pub(super) struct Look<'a> {
    pub(super) address: &'a AdminAddress,
    pub(super) model: &'a str,
    pub(super) is_json: bool,
    /// `None`: once.
    pub(super) every: Option<Duration>,
}

impl Look<'_> {
    /// Shows the fleet once, or until interrupted. If the server does not answer, the first fails; the
    /// second says so and goes on, as the server may be restarting.
    pub(super) fn run(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        let Some(every) = self.every else {
            let fleet = block_on(self.ask())?;
            return self.show(&fleet, out);
        };
        let refresh = if self.is_json {
            None
        } else {
            Refresh::on_stdout()
        };
        block_on(async {
            loop {
                let mut text = Vec::new();
                match self.ask().await {
                    Ok(fleet) => self.show(&fleet, &mut text)?,
                    Err(error) if self.is_json => {
                        let error = super::message(&error);
                        write_json(&mut text, &serde_json::json!({ "error": error }))?;
                    }
                    Err(error) => writeln!(text, "{}", super::message(&error))?,
                }
                match &refresh {
                    Some(refresh) => refresh.show(&String::from_utf8_lossy(&text)),
                    None => {
                        if !self.is_json {
                            text.push(b'\n');
                        }
                        out.write_all(&text)?;
                        out.flush()?;
                    }
                }
                tokio::time::sleep(every).await;
            }
        })
    }

    async fn ask(&self) -> anyhow::Result<FleetInfo> {
        let model = self.model;
        let call = self
            .address
            .call(async |client: &Client| client.fleet(model).await);
        call.await
    }

    fn show(&self, fleet: &FleetInfo, out: &mut dyn Write) -> anyhow::Result<()> {
        if self.is_json {
            return write_json(out, fleet);
        }
        write_text(out, fleet)
    }
}

fn write_text(out: &mut dyn Write, fleet: &FleetInfo) -> anyhow::Result<()> {
    writeln!(out, "model    {}", one_line(&fleet.model))?;
    writeln!(out, "desired  {}", rollout_text(fleet.desired.as_ref()))?;
    writeln!(out, "replicas {}", counted(&fleet.counts))?;
    if !fleet.silent.is_empty() {
        writeln!(out, "not reporting {}", one_line(&fleet.silent))?;
    }
    if !fleet.replicas_error.is_empty() {
        writeln!(
            out,
            "registry {}; other replicas as last observed",
            one_line(&fleet.replicas_error)
        )?;
    }
    let mut table = TextTable::new([
        Column::Left("replica"),
        Column::Left("state"),
        Column::Right("live"),
        Column::Right("observed"),
        Column::Left("serves"),
        Column::Right("behind"),
        Column::Right("reported"),
        Column::Left("address"),
        Column::Text("note"),
    ]);
    for replica in &fleet.replicas {
        table.row(row(replica));
    }
    write!(out, "{}", table.render(0))?;
    Ok(())
}

fn row(replica: &ReplicaInfo) -> [String; 9] {
    let number = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
    let arms = replica.arms.iter().map(|arm| {
        let percent = f64::from(arm.share_bp) / 100.0;
        format!("{} {percent} %", arm.version)
    });
    let arms = arms.collect::<Vec<_>>().join(", ");
    let asked = if replica.is_asked { " *" } else { "" };
    let reported = match replica.is_asked {
        true => "now".to_owned(),
        false => format!("{} ago", age(replica.age_s)),
    };
    [
        format!("{}{asked}", replica.replica),
        replica.standing.clone(),
        number(replica.live_rollout),
        number(replica.heard_rollout),
        if arms.is_empty() {
            "-".to_owned()
        } else {
            arms
        },
        replica.lag_s.map_or("-".to_owned(), age),
        reported,
        replica.address.clone(),
        replica.held_back_by.clone(),
    ]
}

/// `4: 2 serving, 1 loading, 1 lost`, without states that no replica has.
fn counted(counts: &CountsInfo) -> String {
    let all = [
        (counts.serving, "serving"),
        (counts.loading, "loading"),
        (counts.failed, "failed"),
        (counts.lost, "lost"),
        (counts.stopped, "stopped"),
        (counts.unreadable, "unreadable"),
        (counts.name_conflict, "in a name conflict"),
    ];
    let sum: u32 = all.iter().map(|(count, _)| count).sum();
    let some = all.iter().filter(|(count, _)| *count > 0);
    let said: Vec<String> = some
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    match said.as_slice() {
        [] => sum.to_string(),
        said => format!("{sum}: {}", said.join(", ")),
    }
}

/// An age in its one or two largest units: nobody needs the seconds of an hour.
fn age(seconds: f64) -> String {
    let grain_s = match seconds {
        s if s < 120.0 => 1.0,
        s if s < 7_200.0 => 60.0,
        s if s < 172_800.0 => 3_600.0,
        _ => 86_400.0,
    };
    let rounded_s = (seconds / grain_s).round() * grain_s;
    // A float of that size has no fraction; a negative one is a clock's mistake and shows as 0s.
    quantity::duration(Duration::from_secs(rounded_s as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::client::{ArmInfo, RolloutInfo};

    fn replica(name: &str, standing: &str) -> ReplicaInfo {
        ReplicaInfo {
            replica: name.to_owned(),
            address: "10.0.0.7:50051".to_owned(),
            build: "0.1.0".to_owned(),
            standing: standing.to_owned(),
            live_rollout: Some(30),
            heard_rollout: Some(31),
            lag_s: Some(200.0),
            held_back_by: "version 12: part als.safetensors\nis corrupt".to_owned(),
            degraded: String::new(),
            arms: vec![ArmInfo {
                name: "main".to_owned(),
                version: 11,
                share_bp: 9_950,
                manifest_sha256: String::new(),
            }],
            age_s: 7_300.0,
            is_asked: false,
            started_at: String::new(),
        }
    }

    #[test]
    fn fleet_table_shows_every_replica_and_its_problem() {
        let own = ReplicaInfo {
            live_rollout: Some(31),
            lag_s: None,
            held_back_by: String::new(),
            is_asked: true,
            ..replica("pod-1", "serving")
        };
        let unread = ReplicaInfo {
            live_rollout: None,
            heard_rollout: None,
            arms: Vec::new(),
            address: String::new(),
            age_s: 59.6,
            ..replica("pod-3", "unreadable")
        };
        let fleet = FleetInfo {
            model: "shop".to_owned(),
            desired: Some(RolloutInfo {
                ramp: None,
                salt: String::new(),
                number: 31,
                arms: own.arms.clone(),
                author: "ann".to_owned(),
                reason: "fresher".to_owned(),
                created_at: "2026-11-25T10:00:00Z".to_owned(),
            }),
            replicas: vec![own, replica("pod-2", "failed"), unread],
            counts: CountsInfo {
                serving: 1,
                failed: 1,
                unreadable: 1,
                ..CountsInfo::default()
            },
            replicas_error: String::new(),
            silent: "read-only".to_owned(),
        };
        let mut out = Vec::new();
        write_text(&mut out, &fleet).unwrap();
        let said = String::from_utf8(out).unwrap();
        let expected = "\
model    shop
desired  rollout 31: main version 11 at 99.5 % (2026-11-25T10:00:00Z, by ann: fresher)
replicas 3: 1 serving, 1 failed, 1 unreadable
not reporting read-only
replica  state       live  observed  serves     behind  reported  address         note
pod-1 *  serving       31        31  11 99.5 %       -       now  10.0.0.7:50051
pod-2    failed        30        31  11 99.5 %      3m    2h ago  10.0.0.7:50051  version 12: part als.safetensors\\nis corrupt
pod-3    unreadable     -         -  -              3m    1m ago                  version 12: part als.safetensors\\nis corrupt
";
        assert_eq!(said, expected);
    }
}
