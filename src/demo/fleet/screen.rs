//! Shows the demo while it runs: on a terminal a table that is refreshed in place below the story;
//! elsewhere one line for each change of a replica; with `--json` nothing.

use super::traffic::Count;
use crate::grpc::client::{ArmInfo, FleetInfo};
use hotshelf_terminal::refresh::Refresh;
use hotshelf_terminal::table::{Column, TextTable};
use std::collections::BTreeMap;
use std::io::Write;

/// How the demo is shown.
enum Kind {
    Terminal(Refresh),
    Lines,
    Nothing,
}

/// Where the demo is shown.
pub(super) struct Screen<'a> {
    out: &'a mut dyn Write,
    kind: Kind,
    /// The last line written for each replica.
    last: BTreeMap<String, String>,
}

impl<'a> Screen<'a> {
    pub(super) fn new(out: &'a mut dyn Write, is_json: bool) -> Self {
        let kind = match (is_json, Refresh::on_stdout()) {
            (true, _) => Kind::Nothing,
            (false, Some(refresh)) => Kind::Terminal(refresh),
            (false, None) => Kind::Lines,
        };
        Self {
            out,
            kind,
            last: BTreeMap::new(),
        }
    }

    /// Adds a line to the story.
    pub(super) fn say(&mut self, line: &str) -> std::io::Result<()> {
        match &self.kind {
            Kind::Nothing => Ok(()),
            Kind::Terminal(refresh) => {
                refresh.print(line);
                Ok(())
            }
            Kind::Lines => {
                writeln!(self.out, "{line}")?;
                self.out.flush()
            }
        }
    }

    /// Shows every replica and what it has answered; `names` in the order of the count.
    pub(super) fn show(
        &mut self,
        names: &[&str],
        (fleet, count): (&FleetInfo, &Count),
    ) -> std::io::Result<()> {
        match &self.kind {
            Kind::Nothing => Ok(()),
            Kind::Lines => self.write_changes(fleet),
            Kind::Terminal(refresh) => {
                refresh.show(&table(names, (fleet, count)).render(2));
                Ok(())
            }
        }
    }

    fn write_changes(&mut self, fleet: &FleetInfo) -> std::io::Result<()> {
        for replica in &fleet.replicas {
            let line = format!("{:8} {}", replica.standing, shares(&replica.arms));
            if self.last.get(&replica.replica) == Some(&line) {
                continue;
            }
            writeln!(self.out, "  {:6} {}", replica.replica, line.trim_end())?;
            self.last.insert(replica.replica.clone(), line);
        }
        self.out.flush()
    }
}

fn table(names: &[&str], (fleet, count): (&FleetInfo, &Count)) -> TextTable<'static> {
    let mut table = TextTable::new([
        Column::Left("replica"),
        Column::Left("state"),
        Column::Left("shares"),
        Column::Right("version 1"),
        Column::Right("version 2"),
        Column::Right("rejected"),
    ]);
    for (name, tally) in names.iter().zip(&count.by_server) {
        let replica = fleet.replicas.iter().find(|seen| seen.replica == *name);
        let (standing, shares) = replica.map_or(("-", String::new()), |replica| {
            (replica.standing.as_str(), shares(&replica.arms))
        });
        let by = |version| tally.answers.get(&version).copied().unwrap_or(0);
        table.row([
            *name,
            standing,
            &shares,
            &by(1).to_string(),
            &by(2).to_string(),
            &tally.refused.to_string(),
        ]);
    }
    table
}

/// `v2 25 %, v1 75 %`.
fn shares(arms: &[ArmInfo]) -> String {
    let arm = |arm: &ArmInfo| {
        let percent = f64::from(arm.share_bp) / 100.0;
        format!("v{} {percent} %", arm.version)
    };
    arms.iter().map(arm).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::traffic::Tally;
    use super::*;
    use crate::grpc::client::{CountsInfo, ReplicaInfo};

    fn fleet(standing: &str, share_bp: u32) -> FleetInfo {
        let arm = |version, share_bp| ArmInfo {
            name: String::new(),
            version,
            share_bp,
            manifest_sha256: String::new(),
        };
        FleetInfo {
            model: String::new(),
            desired: None,
            replicas: vec![ReplicaInfo {
                replica: "one".to_owned(),
                address: String::new(),
                build: String::new(),
                standing: standing.to_owned(),
                live_rollout: Some(2),
                heard_rollout: Some(2),
                lag_s: None,
                held_back_by: String::new(),
                degraded: String::new(),
                arms: vec![arm(2, share_bp), arm(1, 10_000 - share_bp)],
                age_s: 0.0,
                is_asked: true,
                started_at: String::new(),
            }],
            counts: CountsInfo::default(),
            replicas_error: String::new(),
            silent: String::new(),
        }
    }

    fn count() -> Count {
        let tally = Tally {
            answers: BTreeMap::from([(1, 70), (2, 30)]),
            refused: 4,
        };
        Count {
            by_server: vec![tally],
            ..Count::default()
        }
    }

    #[test]
    fn without_a_terminal_each_change_of_a_replica_is_one_line() {
        let mut out = Vec::new();
        let mut screen = Screen {
            kind: Kind::Lines,
            ..Screen::new(&mut out, true)
        };
        for (standing, share_bp) in [("serving", 500), ("serving", 500), ("lost", 500)] {
            let shown = (&fleet(standing, share_bp), &count());
            screen.show(&["one"], shown).unwrap();
        }
        screen.say("the end").unwrap();
        let expected =
            "  one    serving  v2 5 %, v1 95 %\n  one    lost     v2 5 %, v1 95 %\nthe end\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn terminal_shows_every_replica_with_its_answers_by_version() {
        let text = table(&["one", "two"], (&fleet("serving", 2_500), &count())).render(0);
        let expected = "\
replica  state    shares            version 1  version 2  rejected
one      serving  v2 25 %, v1 75 %         70         30         4
";
        assert_eq!(text, expected);
    }
}
