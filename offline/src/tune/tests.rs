#![allow(clippy::unwrap_used)]

use hotshelf_model::Weights;

use super::people::Sample;
use super::*;
use crate::ingest::{IngestOptions, read_shop};
use crate::mapping::{Cut, Mapping, SplitRule};

const MAPPING: &str = r#"
[events]
files = ["events.csv"]
[events.columns]
user_id = "user"
product_id = "product"
timestamp = { column = "at", format = "unix_s" }
interaction_type = { constant = "purchase" }
[evaluation]
seen = "included"
"#;
const DAY: i64 = 86_400;

/// Forty users who follow one product by the next of a ring and come back for two of their own: what
/// they do is a habit and a sequence, and hardly a taste.
fn shop() -> Shop {
    let mut csv = "user,product,at\n".to_owned();
    for day in 0..60 {
        for user in 0..40 {
            if (day + user) % 4 != 0 {
                continue;
            }
            let step = (day / 4 + user * 3) % 30;
            csv.push_str(&format!("u{user:02},ring{step:02},{}\n", day * DAY));
            csv.push_str(&format!(
                "u{user:02},own{:02},{}\n",
                (user + day / 4 % 2) % 20,
                day * DAY
            ));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("events.csv"), csv).unwrap();
    let mapping = Mapping::parse(&folder.path().join("shop.toml"), MAPPING).unwrap();
    let read = read_shop(&mapping, IngestOptions::default(), Progress::silent());
    read.unwrap().0
}

struct Setting {
    plan: EvaluationPlan,
    params: FitParams,
    tune: TuneOptions,
    threads: usize,
}

impl Setting {
    fn new(trials: usize) -> Self {
        let mut params = FitParams::default();
        params.als.iterations = 3;
        params.content.terms_max = 0;
        let fixed = ModelSettings {
            factors: Some(8),
            ..ModelSettings::default()
        };
        params.als.factors = 8;
        Self {
            plan: EvaluationPlan {
                split: SplitRule::Time(Cut::At(50 * DAY)),
                seen: crate::mapping::SeenPolicy::Included,
                lengths: vec![5],
                ..EvaluationPlan::default()
            },
            params,
            tune: TuneOptions {
                trials,
                minutes: None,
                fixed,
                journal: None,
                fingerprint: "this search".to_owned(),
            },
            threads: 1,
        }
    }

    fn tuned(&self, shop: &Shop) -> Result<Tuned, Error> {
        let task = Task {
            plan: &self.plan,
            params: &self.params,
            threads: NonZeroUsize::new(self.threads).unwrap(),
            tune: &self.tune,
        };
        tune(
            shop,
            &Split::new(shop, &self.plan).unwrap(),
            &task,
            Progress::silent(),
        )
    }
}

fn score(trial: &Trial, strategy: &str) -> f64 {
    trial.scores[strategy]
}

#[test]
fn habits_and_sequences_get_the_weight_and_the_blend_is_chosen() {
    let tuned = Setting::new(3).tuned(&shop()).unwrap();
    assert_eq!(tuned.strategy, Strategy::Blended);
    let weights = tuned.params.scoring.weights.unwrap();
    assert!(
        weights.sequence > 0.0 || weights.repeat > 0.0,
        "{weights:?}"
    );
    assert!(weights.check().is_ok());
    let chosen = tuned.trials.iter().find(|trial| trial.chosen).unwrap();
    assert!(
        score(chosen, "blended") > score(chosen, "hybrid") + 0.05,
        "{chosen:?}"
    );
    assert!(
        tuned.note.starts_with("Chosen of 3 trials by nDCG@5 of "),
        "{}",
        tuned.note
    );
}

#[test]
fn first_trial_is_the_plain_training() {
    let setting = Setting::new(2);
    let tuned = setting.tuned(&shop()).unwrap();
    let first = &tuned.trials[0].parameters;
    let of = |name: &str| first[name];
    assert_eq!(
        (of("regularization"), of("confidence"), of("alpha")),
        (0.01, 0.1, 0.7)
    );
    assert_eq!(of("factors"), 8.0, "what the shop sets is left alone");
    assert_eq!(tuned.trials[1].parameters["regularization"], 30.0);
}

#[test]
fn one_trial_is_no_search() {
    let setting = Setting::new(1);
    let tuned = setting.tuned(&shop()).unwrap();
    assert_eq!(tuned.params, setting.params);
    assert_eq!((tuned.strategy, tuned.trials.len()), (Strategy::Hybrid, 0));
    assert!(tuned.report().is_none());
}

#[test]
fn threads_change_no_trial() {
    let shop = shop();
    let on = |threads: usize| {
        let mut setting = Setting::new(9);
        setting.threads = threads;
        let tuned = setting.tuned(&shop).unwrap();
        (tuned.params, tuned.trials)
    };
    assert_eq!(on(1), on(3));
}

#[test]
fn test_period_has_no_say() {
    let (whole, mut other) = (shop(), shop());
    // Whatever happens from the cut on, the search is the same.
    for event in other
        .events
        .iter_mut()
        .filter(|event| event.at_s >= 50 * DAY)
    {
        event.product = 0;
        event.value = 7.0;
    }
    let (one, two) = (
        Setting::new(9).tuned(&whole).unwrap(),
        Setting::new(9).tuned(&other).unwrap(),
    );
    assert_eq!((one.params, one.trials), (two.params, two.trials));
}

#[test]
fn interrupted_search_goes_on_from_its_journal_and_ends_the_same() {
    let shop = shop();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trials.jsonl");
    let whole = Setting::new(8).tuned(&shop).unwrap();
    let mut setting = Setting::new(4);
    setting.tune.journal = Some(path.clone());
    setting.tuned(&shop).unwrap();
    // A fifth trial that was cut off.
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(is_journal(text.as_bytes()));
    assert_eq!(text.lines().count(), 5);
    std::fs::write(&path, format!("{text}{{\"number\":5,\"par")).unwrap();
    setting.tune.trials = 8;
    let resumed = setting.tuned(&shop).unwrap();
    assert_eq!(
        (resumed.params, resumed.trials),
        (whole.params, whole.trials)
    );
    // Trials that stand are not made again: one that was changed by hand is believed.
    let text = std::fs::read_to_string(&path).unwrap();
    let best: f64 = resumed_best(&text);
    let text = text.replace(&best.to_string(), "0.999");
    std::fs::write(&path, text).unwrap();
    let believed = setting.tuned(&shop).unwrap();
    assert!(
        believed
            .trials
            .iter()
            .any(|trial| score(trial, "blended") == 0.999)
    );
}

fn resumed_best(text: &str) -> f64 {
    let trials = text
        .lines()
        .skip(1)
        .map(|line| serde_json::from_str::<Finished>(line).unwrap());
    let scores = trials.map(|trial| trial.scores["blended"]);
    scores.fold(0.0, f64::max)
}

#[test]
fn journal_of_another_search_is_refused() {
    let shop = shop();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trials.jsonl");
    let mut setting = Setting::new(2);
    setting.tune.journal = Some(path.clone());
    setting.tuned(&shop).unwrap();
    setting.tune.fingerprint = "another search".to_owned();
    let refusal = setting.tuned(&shop).unwrap_err();
    assert_eq!(refusal.exit_code(), 2);
    assert!(
        refusal.to_string().contains("line 1 names another search"),
        "{refusal}"
    );
    std::fs::write(&path, "dear diary\n").unwrap();
    let refusal = setting.tuned(&shop).unwrap_err().to_string();
    assert!(
        refusal.contains("line 1 is not that of a journal of trials"),
        "{refusal}"
    );
}

#[test]
fn shop_without_enough_people_to_validate_is_trained_plainly_and_says_so() {
    let mut setting = Setting::new(12);
    setting.plan.split = SplitRule::Time(Cut::At(DAY));
    let tuned = setting.tuned(&shop()).unwrap();
    assert_eq!(tuned.params, setting.params);
    assert!(
        tuned
            .note
            .starts_with("Not tuned: 0 users have a validation period"),
        "{}",
        tuned.note
    );
}

#[test]
fn large_shop_is_tuned_on_a_sample_of_whole_users_and_says_so() {
    let shop = shop();
    let setting = Setting::new(2);
    let split = Split::new(&shop, &setting.plan).unwrap();
    let sample = Sample::limited(&shop, &split, (42, 300, 10));
    assert!(sample.users() <= 10);
    let known = sample.of_known(split.tuning_past());
    let mut by_user = std::collections::BTreeMap::<u32, usize>::new();
    for (_, event) in shop.known_events(known) {
        *by_user.entry(event.user).or_default() += 1;
    }
    assert!(
        by_user.values().sum::<usize>() <= 300 && by_user.len() > 2,
        "{by_user:?}"
    );
    let whole = |user: u32| {
        let all = shop.known_events(split.tuning_past());
        all.filter(|(_, event)| event.user == user).count()
    };
    assert!(
        by_user.iter().all(|(user, events)| whole(*user) == *events),
        "{by_user:?}"
    );
    assert!(
        sample
            .wanted()
            .keys()
            .all(|user| by_user.contains_key(user))
    );
    assert!(sample.text().contains("a sample of"), "{}", sample.text());
    assert_eq!(Sample::of(&shop, &split, 42).text(), "");
}

#[test]
fn weights_add_up_to_one() {
    let tuned = Setting::new(2).tuned(&shop()).unwrap();
    let weights: Weights = tuned.params.scoring.weights.unwrap();
    let sum: f64 = weights.iter().map(|(_, weight)| *weight).sum();
    assert!((sum - 1.0).abs() < 0.001, "{weights:?}");
}
