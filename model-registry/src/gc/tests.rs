use super::*;

fn version(number: u64) -> Version {
    Version::new(number).unwrap()
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn only_old_superseded_and_unreferenced_objects_are_removed() {
    let rollout = RolloutNumber::new(31).unwrap();
    let replica: ReplicaId = "pod-7".parse().unwrap();
    let needs = Needs {
        named: [(version(3), rollout), (version(8), rollout)].into(),
        in_use: [(version(5), replica.clone()), (version(8), replica.clone())].into(),
        digests: BTreeMap::new(),
    };
    let rules = GcRules::default();
    for (number, age, fate) in [
        (3, 90 * DAY, Fate::Named(rollout)),
        (8, 90 * DAY, Fate::Named(rollout)),
        (5, 90 * DAY, Fate::InUse(replica)),
        (1, 7 * DAY, Fate::Unneeded),
        (1, 7 * DAY - Duration::from_millis(1), Fate::Young),
        (7, 90 * DAY, Fate::Unneeded),
        (9, 90 * DAY, Fate::NotRolledOut),
    ] {
        assert_eq!(needs.fate((version(number), age), &rules), fate, "{number}");
    }
    // Where nothing was ever rolled out, everything awaits its turn.
    let nothing = Needs::default();
    let fate = nothing.fate((version(1), 90 * DAY), &rules);
    assert_eq!(fate, Fate::NotRolledOut);
}
