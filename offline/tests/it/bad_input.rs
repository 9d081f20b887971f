//! Error texts and exit codes: 2 where a file or a flag must change.

use crate::harness::{Run, Workplace};

const SHOP: &str = r#"
[events]
files = ["events.csv"]
[events.columns]
user_id = "user"
product_id = "product"
timestamp = "at"
interaction_type = { column = "what", rename = { buy = "purchase" } }
"#;

const EVENTS: &str = "user,product,at,what
ann,lamp,2024-01-01T10:00:00Z,view
ann,lamp,2024-01-02T10:00:00Z,buy
bob,vase,2024-01-02T11:00:00Z,buy
bob,lamp,2024-01-03T11:00:00Z,buy
ann,vase,2024-01-03T12:00:00Z,buy
";

fn workplace(mapping: &str, events: &str) -> Workplace {
    let workplace = Workplace::new();
    workplace
        .write("shop.toml", mapping)
        .write("events.csv", events);
    workplace
}

fn evaluate(mapping: &str, events: &str) -> Run {
    workplace(mapping, events).run(&["evaluate", "shop.toml", "--factors", "2"])
}

#[test]
fn missing_columns_are_named_with_those_that_exist() {
    let events = EVENTS.replace("user,product", "customer,product");
    assert_eq!(
        evaluate(&SHOP.replace("\"at\"", "\"when\""), &events).refusal(2),
        "error: events.csv, line 1: no column \"user\"; no column \"when\"; its columns are: \
         customer, product, at, what"
    );
}

#[test]
fn wrong_type_is_named_by_row_and_column() {
    let events = EVENTS.replace("2024-01-02T11:00:00Z", "yesterday");
    assert_eq!(
        evaluate(SHOP, &events).refusal(2),
        "error: 1 bad row; bad_rows may allow a share of them\n  \
         events.csv, line 4: column at is \"yesterday\", which is not a time in the format RFC 3339"
    );
}

#[test]
fn broken_row_is_named() {
    let events = EVENTS.replace("bob,vase,2024-01-02T11:00:00Z,buy", "bob,vase");
    assert_eq!(
        evaluate(SHOP, &events).refusal(2),
        "error: 1 bad row; bad_rows may allow a share of them\n  \
         events.csv, line 4: 2 fields, where the header has 4"
    );
}

#[test]
fn unclosed_quote_stops_reading_instead_of_filling_memory() {
    let events = EVENTS.replace("bob,vase", "bob,\"vase") + &"x".repeat(3 << 20);
    assert_eq!(
        evaluate(SHOP, &events).refusal(2),
        "error: events.csv, after line 3: one row is longer than 1048576 bytes; a quote opens \
         on line 4 and is not closed"
    );
}

#[test]
fn unknown_key_and_other_problems_are_reported_at_once() {
    let mapping =
        SHOP.replace("user_id", "user_idd").replace("\"at\"", "7") + "[model]\nfactors = -1\n";
    assert_eq!(
        evaluate(&mapping, EVENTS).refusal(2),
        "error: shop.toml: 4 problems\n  \
         line 4: events.columns.user_id is missing\n  \
         line 5: events.columns.user_idd is not a known key; known here: user_id, product_id, \
         timestamp, interaction_type, value, quantity, session_id\n  \
         line 7: events.columns.timestamp must be a string, not integer\n  \
         line 10: model.factors must lie in 1 to 1024, not -1"
    );
}

#[test]
fn too_many_bad_rows_are_refused_and_quarantined() {
    let allowed = "files = [\"events.csv\"]\nbad_rows = { at_most = 0.2, file = \"aside.csv\" }";
    let mapping = SHOP.replace("files = [\"events.csv\"]", allowed);
    let one = EVENTS.replace("ann,lamp,2024-01-01", "ann,lamp,2024-13-01");
    let two = one.replace("bob,vase,", ",vase,");

    let accepted = workplace(&mapping, &one);
    let run = accepted
        .run(&["evaluate", "shop.toml", "--factors", "2", "--json"])
        .json();
    assert_eq!(run["shop"]["events"]["bad_rows"], 1);
    assert_eq!(run["shop"]["events"]["kept"], 4);
    assert_eq!(
        accepted.read("aside.csv"),
        "file,line,reason,user,product,at,what\n\
         events.csv,2,\"column at is \"\"2024-13-01T10:00:00Z\"\", which is not a time in the \
         format RFC 3339\",ann,lamp,2024-13-01T10:00:00Z,view\n"
    );

    let refused = workplace(&mapping, &two);
    assert_eq!(
        refused.run(&["evaluate", "shop.toml"]).refusal(2),
        "error: 2 bad rows, more than the 20 % allowed by bad_rows\n  \
         events.csv, line 2: column at is \"2024-13-01T10:00:00Z\", which is not a time in the \
         format RFC 3339\n  \
         events.csv, line 4: column user is empty, where an id is needed"
    );
    assert_eq!(refused.read("aside.csv").lines().count(), 3);
}

#[test]
fn file_that_is_not_there_is_named() {
    let workplace = Workplace::new();
    let run = workplace.run(&["evaluate", "shop.toml"]);
    assert_eq!(
        run.refusal(2),
        "error: cannot read shop.toml: No such file or directory (os error 2)"
    );
    workplace.write("shop.toml", SHOP);
    let run = workplace.run(&["evaluate", "shop.toml"]);
    assert_eq!(
        run.refusal(2),
        "error: cannot read events.csv: No such file or directory (os error 2)"
    );
}

#[test]
fn cut_beyond_the_events_is_refused_with_their_period() {
    let run = workplace(SHOP, EVENTS).run(&["evaluate", "shop.toml", "--cut", "2025-01-01"]);
    assert_eq!(
        run.refusal(2),
        "error: --cut: no event lies after the cut at 2025-01-01T00:00:00Z; the events go from \
         2024-01-01 to 2024-01-03"
    );
}

#[test]
fn split_that_leaves_nobody_to_evaluate_is_refused_where_it_was_chosen() {
    let line = SHOP.lines().count() + 2;
    for (key, cut, why) in [
        (
            "cut",
            "2025-01-01",
            "no event lies after the cut at 2025-01-01T00:00:00Z",
        ),
        (
            "cut",
            "2020-01-01",
            "no event lies before the cut at 2020-01-01T00:00:00Z",
        ),
    ] {
        let mapping = format!("{SHOP}[evaluation]\n{key} = {cut}\n");
        let refusal = workplace(&mapping, EVENTS)
            .run(&["evaluate", "shop.toml"])
            .refusal(2);
        let expected = format!("error: shop.toml, line {line}: evaluation.{key}: {why}");
        assert!(refusal.starts_with(&expected), "{refusal}");
    }
    // Everybody of the last day is new.
    let events = format!("{}cem,lamp,2024-01-09T10:00:00Z,buy\n", EVENTS);
    let run = workplace(SHOP, &events).run(&["evaluate", "shop.toml", "--cut", "2024-01-08"]);
    assert_eq!(
        run.refusal(2),
        "error: --cut: no user with held-out events has training events, so nobody can be evaluated"
    );
}

#[test]
fn invalid_arguments_are_refused() {
    let workplace = workplace(SHOP, EVENTS);
    let cases: [(&[&str], &str); 7] = [
        (&["train", "shop.toml"], "--out"),
        (&["train", "shop.toml", "--publish", "file:///r"], "--model"),
        (
            &["evaluate", "shop.toml", "--cut", "soon"],
            "is not a date such as 2011-10-01",
        ),
        (
            &["evaluate", "shop.toml", "--factors", "0"],
            "0 is not in 1..=1024",
        ),
        (
            &["evaluate", "shop.toml", "--confidence", "-1"],
            "not in 0.000001 to 1000000",
        ),
        (
            &[
                "evaluate",
                "shop.toml",
                "--light-from",
                "9",
                "--heavy-from",
                "8",
            ],
            "below light_from",
        ),
        (
            &["train", "shop.toml", "--out", "events.csv"],
            "is the same as the input events.files",
        ),
    ];
    for (args, expected) in cases {
        let run = workplace.run(args);
        assert!(run.refusal(2).contains(expected), "{args:?}: {run:?}");
    }
}

#[test]
fn devices_and_pipes_where_events_belong_are_refused_at_once() {
    let workplace = workplace(SHOP, EVENTS);
    let fifo = workplace.path("fifo").display().to_string();
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    for (name, kind) in [("/dev/zero", "device"), (&*fifo, "FIFO")] {
        workplace.write("odd.toml", SHOP.replace("events.csv", name));
        let run = workplace.run(&["evaluate", "odd.toml"]);
        let why = format!("it is a {kind} and not a regular file");
        assert!(run.refusal(2).contains(&why), "{name}: {run:?}");
    }
}

#[test]
fn mapping_file_that_is_no_file_is_refused_at_once() {
    let workplace = Workplace::new();
    for (name, why) in [("/dev/zero", "it is a device"), (".", "it is a folder")] {
        let run = workplace.run(&["evaluate", name]);
        assert!(run.refusal(2).contains(why), "{name}: {run:?}");
    }
    workplace.write("long.toml", "#".repeat((1 << 20) + 1));
    let run = workplace.run(&["evaluate", "long.toml"]);
    assert!(
        run.refusal(2).contains("longer than 1048576 bytes"),
        "{run:?}"
    );
}
