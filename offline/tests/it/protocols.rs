//! Splits, lengths, files for others' tests and bad input, through the binary.

use crate::harness::{Run, Workplace};

const SHOP: &str = r#"
[events]
files = ["train.csv"]
[events.columns]
user_id = "user"
product_id = "product"
interaction_type = { constant = "purchase" }
[model]
factors = 2
[evaluation]
split = "given"
test = ["test.csv"]
"#;

const TRAIN: &str = "user,product\nann,lamp\nann,vase\nbob,vase\nbob,lamp\nbob,rug\ncem,lamp\n";
const TEST: &str = "user,product\nann,rug\ncem,vase\n";

fn workplace(mapping: &str, test: &str) -> Workplace {
    let workplace = Workplace::new();
    workplace
        .write("shop.toml", mapping)
        .write("train.csv", TRAIN)
        .write("test.csv", test);
    workplace
}

fn evaluate(mapping: &str, test: &str, flags: &[&str]) -> Run {
    workplace(mapping, test).run(&[&["evaluate", "shop.toml"], flags].concat())
}

#[test]
fn given_files_without_times_are_evaluated_and_said_to_be_without() {
    let report = evaluate(SHOP, TEST, &["--json", "--k", "1,2"]).json();
    let found = &report["evaluation"];
    assert_eq!(
        (&found["users"], &found["split"]),
        (&2.into(), &"given".into())
    );
    assert_eq!(
        (&found["past_events"], &found["future_events"]),
        (&6.into(), &2.into())
    );
    assert_eq!(found["lengths"], serde_json::json!([1, 2]));
    let popular = found["rankers"].as_array().unwrap().iter();
    let popular = popular
        .clone()
        .find(|of| of["ranker"] == "most_popular")
        .unwrap();
    // lamp 3, vase 2, rug 1: ann gets rug, cem vase.
    assert_eq!(popular["hit_rate"], 1.0);
    assert_eq!(popular["lengths"][0]["k"], 2);
    assert!(
        found["notes"][0].as_str().unwrap().contains("no times"),
        "{found}"
    );
    assert!(found.get("cut_off").is_none());
    assert!(report["shop"].get("first_day").is_none());
    let text = evaluate(SHOP, TEST, &[]);
    assert!(
        text.stdout
            .contains("evaluated on 2 held out: as the shop's files give it"),
        "{text:?}"
    );
    assert!(text.stdout.contains("the order of the rows"), "{text:?}");
}

#[test]
fn test_user_that_no_training_row_has_is_named_by_file_and_line() {
    let test = "user,product\nann,rug\ndan,vase\n";
    assert_eq!(
        evaluate(SHOP, test, &[]).refusal(2),
        "error: 1 bad row; bad_rows may allow a share of them\n  \
         test.csv, line 3: column user is \"dan\", a user without a training row"
    );
    let allowed = SHOP.replace(
        "files = [\"train.csv\"]",
        "files = [\"train.csv\"]\nbad_rows = { at_most = 0.2, file = \"bad.csv\" }",
    );
    let report = evaluate(&allowed, test, &["--json"]).json();
    assert_eq!(report["evaluation"]["users"], 1);
    assert_eq!(report["shop"]["events"]["bad_rows"], 1);
}

#[test]
fn test_file_with_other_columns_is_named_by_file_and_line() {
    assert_eq!(
        evaluate(SHOP, "user,item\nann,rug\n", &[]).refusal(2),
        "error: test.csv, line 1: the header differs from that of train.csv; its columns are: user, \
         item"
    );
}

#[test]
fn test_file_without_rows_is_refused_by_the_line_of_the_split() {
    assert_eq!(
        evaluate(SHOP, "user,product\n", &[]).refusal(2),
        "error: shop.toml, line 11: evaluation.split is \"given\": no row of the files of \
         evaluation.test is left"
    );
}

#[test]
fn split_by_time_without_times_is_refused_by_line() {
    let mapping = SHOP.replace("split = \"given\"\ntest = [\"test.csv\"]", "k = [5, 5]");
    assert_eq!(
        evaluate(&mapping, TEST, &[]).refusal(2),
        "error: shop.toml: 2 problems\n  \
         line 4: events.columns.timestamp is missing; evaluation.split = \"time\" needs it; data \
         without times can be split \"leave_last_out\" or \"given\"\n  \
         line 11: evaluation.k must not name a length twice"
    );
}

#[test]
fn split_that_contradicts_itself_is_refused_by_line() {
    let cases = [
        (
            "split = \"given\"",
            "is \"given\" and needs the held-out files in evaluation.test",
        ),
        (
            "split = \"often\"",
            "is \"often\", neither time, leave_last_out nor given",
        ),
        (
            "split = \"leave_last_out\"\ncut = 2024-01-01",
            "must be \"time\" where cut or last_share is set",
        ),
        (
            "split = \"leave_last_out\"\ntest = \"test.csv\"",
            "needs split = \"given\"",
        ),
    ];
    for (lines, why) in cases {
        let mapping = SHOP.replace("split = \"given\"\ntest = [\"test.csv\"]", lines);
        let refusal = evaluate(&mapping, TEST, &[]).refusal(2);
        assert!(refusal.contains(why), "{lines}: {refusal}");
        assert!(refusal.contains("line 1"), "{refusal}");
    }
}

#[test]
fn flags_that_need_times_or_another_split_are_refused() {
    let cases: [(&[&str], &str); 4] = [
        (&["--cut", "2024-01-01"], "--cut needs a split by time"),
        (&["--split", "time"], "--split time needs times"),
        (&["--until", "2024-01-01"], "--until needs times"),
        (&["--k", "5,5"], "--k must not name a length twice"),
    ];
    for (flags, why) in cases {
        let refusal = evaluate(SHOP, TEST, flags).refusal(2);
        assert!(refusal.contains(why), "{flags:?}: {refusal}");
    }
}

#[test]
fn split_of_a_flag_leaves_the_test_files_out() {
    let report = evaluate(
        SHOP,
        "no file like this",
        &["--split", "leave_last_out", "--json"],
    )
    .json();
    let found = &report["evaluation"];
    assert_eq!(
        (&found["split"], &found["users"]),
        (&"leave_last_out".into(), &2.into())
    );
}

#[test]
fn file_of_users_is_written_and_replaces_no_file_of_others() {
    let workplace = workplace(SHOP, TEST);
    let args = ["evaluate", "shop.toml", "--per-user", "users.csv"];
    assert_eq!(workplace.run(&args).code, 0);
    let written = workplace.read("users.csv");
    let head = "user_id,segment,ranker,k,precision,recall,ndcg,average_precision,reciprocal_rank,hit,\
                novelty,diversity,popularity\n";
    assert!(written.starts_with(head), "{written}");
    assert!(
        written.contains("\nann,new,most_popular,10,0.1,1,1,1,1,1,"),
        "{written}"
    );
    assert_eq!(workplace.run(&args).code, 0, "one of ours is replaced");
    workplace.write("users.csv", "dear diary");
    assert!(
        workplace
            .run(&args)
            .refusal(2)
            .contains("replace it with --force")
    );
    workplace
        .run(&[
            "evaluate",
            "shop.toml",
            "--per-user",
            "train.csv",
            "--force",
        ])
        .refusal(2);
    assert_eq!(workplace.read("train.csv"), TRAIN);
}
