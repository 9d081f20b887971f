//! The goal of a change over the newest record: the record to be written, or why there can be none.
//!
//! | change | over one arm | over a candidate and its base | over a test |
//! |---|---|---|---|
//! | reload | the version for all | the version for all | the version for all |
//! | start, test | new salt | refused | refused |
//! | set | refused | same salt, the new ramp from its beginning | refused |
//! | pause, resume | refused | same salt, the ramp where it stands | refused |
//! | promote | refused | the candidate, or the named arm, for all | the named arm for all |
//! | abort | refused | the base for all | the previous version for all |
//! | rollback | the previous version for all | the base for all | the previous version for all |

use super::{ModelManager, Now};
use crate::lifecycle::change::{Change, Goal};
use hotshelf_registry::{Arm, Ramp, RolloutDraft, RolloutRecord, Version, candidate_and_base};

impl ModelManager {
    /// The record that this change asks for; an error is for people.
    pub(super) fn goal(&self, change: &Change, now: Now) -> Result<Goal, String> {
        let newest = || {
            let none = "there is no rollout yet; make a version live with reload first";
            self.desired.newest().ok_or_else(|| none.to_owned())
        };
        match change {
            Change::All(version) => Ok(all_to(*version, None)),
            Change::Start { version, ramp } => start(newest()?, *version, ramp),
            Change::Test { arms } => test(newest()?, arms),
            Change::Set { ramp } => {
                let newest = newest()?;
                let (candidate, base) = under_way(newest)?;
                Ok(ramped(newest, candidate, base, ramp.clone()))
            }
            Change::Pause => self.standing(newest()?, now, true),
            Change::Resume => self.standing(newest()?, now, false),
            Change::Promote { arm } => promote(newest()?, arm.as_deref()),
            Change::Abort => self.before(several(newest()?)?),
            Change::Rollback => self.before(newest()?),
        }
    }

    fn standing(&self, newest: &RolloutRecord, now: Now, is_paused: bool) -> Result<Goal, String> {
        let (candidate, base) = under_way(newest)?;
        let time = now.timestamp();
        let served = self.versions.served_share(newest);
        let share = newest.first_share_at(time).max(served);
        let carried = newest.carried_ramp(time, share);
        let mut ramp = carried.ok_or("the candidate has no ramp")?;
        if ramp.is_paused == is_paused {
            // Nothing to write: the goal is the record as it stands.
            ramp.elapsed_s = newest.ramp.as_ref().map_or(0, |ramp| ramp.elapsed_s);
        }
        ramp.is_paused = is_paused;
        Ok(ramped(newest, candidate, base, ramp))
    }

    /// The version that had all traffic before `newest`: the record names a base, however old the ramp is.
    fn before(&self, newest: &RolloutRecord) -> Result<Goal, String> {
        let base = under_way(newest).ok().map(|(_, base)| base);
        match base.or_else(|| self.desired.previous_version()) {
            Some(version) => {
                let salt = newest.all_to().is_none().then(|| newest.salt.clone());
                Ok(all_to(version, salt))
            }
            None => Err(format!(
                "no other version had all traffic in the last {} rollouts; name the version with reload",
                self.desired.chain.len()
            )),
        }
    }
}

fn all_to(version: Version, salt: Option<String>) -> Goal {
    Goal {
        arms: RolloutDraft::all_to(version, "", "").arms,
        ramp: None,
        salt,
        version,
    }
}

fn ramped(over: &RolloutRecord, candidate: Version, base: Version, ramp: Ramp) -> Goal {
    Goal {
        arms: candidate_and_base(candidate, base, ramp.first_share()),
        ramp: Some(ramp),
        salt: Some(over.salt.clone()),
        version: candidate,
    }
}

fn start(newest: &RolloutRecord, version: Version, ramp: &Ramp) -> Result<Goal, String> {
    let base = alone(newest)?;
    if version == base {
        return Err(format!(
            "version: {version} has all traffic already: {}",
            newest.in_words()
        ));
    }
    let fresh = None;
    Ok(Goal {
        salt: fresh,
        ..ramped(newest, version, base, ramp.clone())
    })
}

fn test(newest: &RolloutRecord, arms: &[Arm]) -> Result<Goal, String> {
    let base = alone(newest)?;
    let new = arms.iter().find(|arm| arm.version != base);
    Ok(Goal {
        arms: arms.to_vec(),
        ramp: None,
        salt: None,
        version: new.map_or(base, |arm| arm.version),
    })
}

/// The version of a record that gives it everything.
fn alone(newest: &RolloutRecord) -> Result<Version, String> {
    newest.all_to().ok_or_else(|| {
        format!(
            "promote or abort the current candidate or test first: {}",
            newest.in_words()
        )
    })
}

/// A record with several arms.
fn several(newest: &RolloutRecord) -> Result<&RolloutRecord, String> {
    match newest.all_to() {
        None => Ok(newest),
        Some(_) => Err(format!(
            "there is no candidate and no test: {}",
            newest.in_words()
        )),
    }
}

/// Candidate and base of a record that has them.
fn under_way(newest: &RolloutRecord) -> Result<(Version, Version), String> {
    match (&newest.ramp, newest.arms.as_slice()) {
        (Some(_), [candidate, base]) => Ok((candidate.version, base.version)),
        _ => Err(format!("there is no candidate: {}", newest.in_words())),
    }
}

fn promote(newest: &RolloutRecord, arm: Option<&str>) -> Result<Goal, String> {
    several(newest)?;
    let chosen = match arm {
        Some(name) => newest.arms.iter().find(|arm| arm.name == name),
        None => newest.arms.first().filter(|_| newest.ramp.is_some()),
    };
    let names: Vec<&str> = newest.arms.iter().map(|arm| arm.name.as_str()).collect();
    let chosen = chosen.ok_or_else(|| {
        let given = arm.map_or_else(String::new, |name| format!("\"{name}\" is not an arm; "));
        format!("arm: {given}name one of {}", names.join(", "))
    })?;
    Ok(all_to(chosen.version, Some(newest.salt.clone())))
}
