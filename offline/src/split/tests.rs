#![allow(clippy::unwrap_used)]

use super::*;
use crate::ingest::{IngestOptions, read_shop};
use crate::mapping::{Cut, Mapping};
use crate::progress::Progress;

const COLUMNS: &str = r#"
[events]
files = ["events.csv"]
[events.columns]
user_id = "user"
product_id = "product"
interaction_type = "what"
"#;
const TIMES: &str = "timestamp = { column = \"at\", format = \"unix_s\" }\n";

/// A shop of `user product at [what]` lines; lines after `--` are the test file.
fn shop(mapping: &str, lines: &str) -> (Shop, EvaluationPlan) {
    let folder = tempfile::tempdir().unwrap();
    let (training, test) = lines.split_once("--\n").unwrap_or((lines, ""));
    for (file, lines) in [("events.csv", training), ("test.csv", test)] {
        let rows = lines.lines().map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let what = words.get(3).unwrap_or(&"purchase");
            format!("{},{},{},{what}\n", words[0], words[1], words[2])
        });
        let csv = "user,product,at,what\n".to_owned() + &rows.collect::<String>();
        std::fs::write(folder.path().join(file), csv).unwrap();
    }
    let mapping = Mapping::parse(&folder.path().join("shop.toml"), mapping).unwrap();
    let read = read_shop(&mapping, IngestOptions::default(), Progress::silent()).unwrap();
    (read.0, mapping.evaluation)
}

/// What users want of a period, as `user: products`.
fn wanted(shop: &Shop, relevant: &Relevant) -> Vec<String> {
    let text = |(user, products): (&u32, &Vec<u32>)| {
        let mut products: Vec<&str> = products.iter().map(|p| shop.products.text(*p)).collect();
        products.sort_unstable();
        format!("{}: {}", shop.users.text(*user), products.join(" "))
    };
    relevant.iter().map(text).collect()
}

fn events(shop: &Shop, known: Known<'_>) -> Vec<String> {
    let text = |(_, event): (usize, &crate::shop::ShopEvent)| {
        format!(
            "{} {}",
            shop.users.text(event.user),
            shop.products.text(event.product)
        )
    };
    shop.known_events(known).map(text).collect()
}

#[test]
fn validation_lies_before_the_test_and_is_as_long() {
    let lines: String = (0..20)
        .map(|day| format!("u p{day:02} {}\n", day * 86_400))
        .collect();
    let (shop, plan) = shop(&format!("{COLUMNS}{TIMES}"), &lines);
    let plan = EvaluationPlan {
        split: SplitRule::Time(Cut::At(16 * 86_400)),
        ..plan
    };
    let split = Split::new(&shop, &plan).unwrap();
    assert_eq!(wanted(&shop, &split.future), ["u: p16 p17 p18 p19"]);
    assert_eq!(wanted(&shop, &split.validation), ["u: p12 p13 p14 p15"]);
    assert_eq!(events(&shop, split.tuning_past()).len(), 12);
    assert_eq!(events(&shop, split.past()).len(), 16);
}

#[test]
fn long_test_leaves_most_of_the_past_to_the_tuning() {
    let lines: String = (0..20)
        .map(|day| format!("u p{day:02} {}\n", day * 86_400))
        .collect();
    let (shop, plan) = shop(&format!("{COLUMNS}{TIMES}"), &lines);
    let plan = EvaluationPlan {
        split: SplitRule::Time(Cut::At(10 * 86_400)),
        ..plan
    };
    let split = Split::new(&shop, &plan).unwrap();
    assert_eq!(wanted(&shop, &split.validation), ["u: p08 p09"]);
}

#[test]
fn past_of_one_moment_has_no_validation() {
    let (shop, plan) = shop(&format!("{COLUMNS}{TIMES}"), "a x 1\nb y 1\na y 100000\n");
    let plan = EvaluationPlan {
        split: SplitRule::Time(Cut::At(100)),
        ..plan
    };
    let split = Split::new(&shop, &plan).unwrap();
    assert!(split.validation.is_empty());
    assert_eq!(events(&shop, split.past()).len(), 2);
}

#[test]
fn last_event_of_each_user_is_the_test_and_the_last_but_one_the_validation() {
    let rule = "[evaluation]\nsplit = \"leave_last_out\"\n";
    // Out of order in the file: time decides. One has two events, lone has one.
    let lines = "ann c 3\nann a 1\nann b 2\none x 1\none y 2\nlone z 1\n";
    let (shop, plan) = shop(&format!("{COLUMNS}{TIMES}{rule}"), lines);
    let split = Split::new(&shop, &plan).unwrap();
    assert_eq!(wanted(&shop, &split.future), ["ann: c", "one: y"]);
    assert_eq!(wanted(&shop, &split.validation), ["ann: b"]);
    assert_eq!(
        events(&shop, split.past()),
        ["ann a", "ann b", "one x", "lone z"]
    );
    assert_eq!(
        events(&shop, split.tuning_past()),
        ["ann a", "one x", "lone z"]
    );
    assert_eq!((split.rule, split.cut_s), ("leave_last_out", None));
}

#[test]
fn without_times_the_order_of_the_files_decides() {
    let rule = "[evaluation]\nsplit = \"leave_last_out\"\n";
    let lines = "ann c 3\nbob a 9\nann a 1\nann b 2\nbob c 1\n";
    let (shop, plan) = shop(&format!("{COLUMNS}{rule}"), lines);
    let split = Split::new(&shop, &plan).unwrap();
    assert_eq!(wanted(&shop, &split.future), ["ann: b", "bob: c"]);
    assert_eq!(wanted(&shop, &split.validation), ["ann: a"]);
    assert_eq!(shop.period_s(), None);
}

#[test]
fn nothing_after_the_held_out_event_is_known() {
    let rule = "[evaluation]\nsplit = \"leave_last_out\"\nrelevant = [\"purchase\"]\n";
    let lines = "ann a 1\nann b 2 view\nann b 3\nann c 4\nann d 5 view\n";
    let (shop, plan) = shop(&format!("{COLUMNS}{TIMES}{rule}"), lines);
    let split = Split::new(&shop, &plan).unwrap();
    // c is the last purchase; the view of d comes later and tells what came next.
    assert_eq!(wanted(&shop, &split.future), ["ann: c"]);
    assert_eq!(events(&shop, split.past()), ["ann a", "ann b", "ann b"]);
    assert_eq!(wanted(&shop, &split.validation), ["ann: b"]);
    assert_eq!(events(&shop, split.tuning_past()), ["ann a", "ann b"]);
}

#[test]
fn nobody_with_two_events_is_refused_with_the_line_of_the_split() {
    let rule = "[evaluation]\nsplit = \"leave_last_out\"\n";
    let (shop, plan) = shop(&format!("{COLUMNS}{rule}"), "ann a 1\nbob b 2\n");
    let error = Split::new(&shop, &plan).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "shop.toml, line 9: evaluation.split is \"leave_last_out\": no user has two relevant \
             events, the last of which could be held out"
        ),
        "{error}"
    );
}

const GIVEN: &str = "[evaluation]\nsplit = \"given\"\ntest = \"test.csv\"\n";

#[test]
fn given_files_are_the_split_and_the_last_training_events_the_validation() {
    let lines = "ann a 1\nann b 2\nann c 3\nbob a 1\nbob b 2\nbob c 3\n--\nann d 9\nbob e 9\n";
    let (shop, plan) = shop(&format!("{COLUMNS}{TIMES}{GIVEN}"), lines);
    let split = Split::new(&shop, &plan).unwrap();
    assert_eq!(wanted(&shop, &split.future), ["ann: d", "bob: e"]);
    assert_eq!(wanted(&shop, &split.validation), ["ann: c", "bob: c"]);
    assert_eq!(
        split.validation_text,
        "the last 25 % of each user's training events"
    );
}

#[test]
fn test_among_the_training_events_is_validated_at_random_and_the_same_each_time() {
    let times: String = (0..30).map(|n| format!("ann p{n:02} {n}\n")).collect();
    let test: String = (0..10).map(|n| format!("ann q{n:02} {n}\n")).collect();
    let text = format!("{times}--\n{test}");
    let (shop, plan) = shop(&format!("{COLUMNS}{TIMES}{GIVEN}"), &text);
    let split = Split::new(&shop, &plan).unwrap();
    let validation = wanted(&shop, &split.validation);
    assert_eq!(split.validation.values().map(Vec::len).sum::<usize>(), 8);
    assert_ne!(validation, ["ann: p22 p23 p24 p25 p26 p27 p28 p29"]);
    assert_eq!(
        validation,
        wanted(&shop, &Split::new(&shop, &plan).unwrap().validation)
    );
    assert!(split.validation_text.starts_with("a random 25 %"));
}
