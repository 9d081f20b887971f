//! What the demo shows: lines of a story, and below them, on a terminal, a table that is written anew over
//! itself. Elsewhere a line for every replica that stands otherwise than before; with `--json` nothing.

use super::traffic::Count;
use crate::grpc::client::{ArmInfo, FleetInfo};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::Duration;
use tokio::time::Instant;

/// Between two tables (chosen: a reader follows; a terminal is not kept busy).
const SHOW_EVERY: Duration = Duration::from_millis(250);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Terminal,
    Lines,
    Nothing,
}

/// Where the demo is shown.
pub(super) struct Screen<'a> {
    out: &'a mut dyn Write,
    kind: Kind,
    /// Of the table that stands below the story.
    table_lines: usize,
    shown: Option<Instant>,
    /// How each replica stood when a line was written for it.
    stood: BTreeMap<String, String>,
}

impl<'a> Screen<'a> {
    pub(super) fn new(out: &'a mut dyn Write, is_json: bool) -> Self {
        let kind = match is_json {
            true => Kind::Nothing,
            false if std::io::stdout().is_terminal() => Kind::Terminal,
            false => Kind::Lines,
        };
        Self {
            out,
            kind,
            table_lines: 0,
            shown: None,
            stood: BTreeMap::new(),
        }
    }

    /// One line more of the story.
    pub(super) fn say(&mut self, line: &str) -> std::io::Result<()> {
        if self.kind == Kind::Nothing {
            return Ok(());
        }
        self.erase()?;
        self.shown = None;
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }

    /// How the replicas stand, and what they have answered; `names` in the order of the count.
    pub(super) fn show(
        &mut self,
        names: &[&str],
        (fleet, count): (&FleetInfo, &Count),
    ) -> std::io::Result<()> {
        match self.kind {
            Kind::Nothing => Ok(()),
            Kind::Lines => self.write_changes(fleet),
            Kind::Terminal => {
                let is_due = self.shown.is_none_or(|at| at.elapsed() >= SHOW_EVERY);
                if !is_due {
                    return Ok(());
                }
                self.shown = Some(Instant::now());
                let lines = table(names, (fleet, count));
                self.erase()?;
                for line in &lines {
                    writeln!(self.out, "{line}")?;
                }
                self.table_lines = lines.len();
                self.out.flush()
            }
        }
    }

    fn write_changes(&mut self, fleet: &FleetInfo) -> std::io::Result<()> {
        for replica in &fleet.replicas {
            let stands = format!("{:8} {}", replica.standing, shares(&replica.arms));
            let before = self.stood.get(&replica.replica);
            if before == Some(&stands) {
                continue;
            }
            writeln!(self.out, "  {:6} {}", replica.replica, stands.trim_end())?;
            self.stood.insert(replica.replica.clone(), stands);
        }
        self.out.flush()
    }

    /// Takes the table off the terminal.
    fn erase(&mut self) -> std::io::Result<()> {
        if self.table_lines > 0 {
            write!(self.out, "\x1b[{}A\x1b[J", self.table_lines)?;
            self.table_lines = 0;
        }
        Ok(())
    }
}

/// Narrower than a terminal, so that no line of it takes two.
fn table(names: &[&str], (fleet, count): (&FleetInfo, &Count)) -> Vec<String> {
    let mut lines = vec![format!(
        "  {:6} {:10} {:24} {:>9} {:>9} {:>7}",
        "", "state", "shares", "by v1", "by v2", "refused"
    )];
    for (name, tally) in names.iter().zip(&count.by_server) {
        let replica = fleet.replicas.iter().find(|seen| seen.replica == *name);
        let (standing, shares) = replica.map_or(("-", String::new()), |replica| {
            (replica.standing.as_str(), shares(&replica.arms))
        });
        let by = |version| tally.answers.get(&version).copied().unwrap_or(0);
        lines.push(format!(
            "  {name:6} {standing:10} {shares:24} {:>9} {:>9} {:>7}",
            by(1),
            by(2),
            tally.refused
        ));
    }
    lines
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

    fn shown(kind: Kind, tell: impl FnOnce(&mut Screen<'_>) -> std::io::Result<()>) -> String {
        let mut out = Vec::new();
        let mut screen = Screen {
            kind,
            ..Screen::new(&mut out, true)
        };
        tell(&mut screen).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn where_nobody_looks_a_replica_is_told_of_when_it_stands_otherwise() {
        let told = shown(Kind::Lines, |screen| {
            for (standing, share_bp) in [("serving", 500), ("serving", 500), ("lost", 500)] {
                screen.show(&["one"], (&fleet(standing, share_bp), &count()))?;
            }
            screen.say("the end")
        });
        let expected =
            "  one    serving  v2 5 %, v1 95 %\n  one    lost     v2 5 %, v1 95 %\nthe end\n";
        assert_eq!(told, expected);
    }

    #[test]
    fn a_terminals_table_is_taken_away_before_anything_else_is_written() {
        let told = shown(Kind::Terminal, |screen| {
            screen.show(&["one"], (&fleet("serving", 2_500), &count()))?;
            screen.say("more")
        });
        let row = "  one    serving    v2 25 %, v1 75 %                70        30       4\n";
        let (head, rest) = told.split_once('\n').unwrap();
        assert!(head.contains("shares"), "{told}");
        assert_eq!(rest, format!("{row}\x1b[2A\x1b[Jmore\n"));
    }
}
