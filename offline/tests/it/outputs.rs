//! No output replaces an input, another output or a file of others.

use std::os::unix::fs::symlink;

use crate::harness::Workplace;

const EVENTS: &str = "user,product,at
ann,lamp,2024-01-01
ann,vase,2024-01-02
bob,vase,2024-01-02
bob,lamp,2024-01-03
,lamp,2024-01-03
";

fn mapping(quarantine: &str) -> String {
    format!(
        r#"
[events]
files = ["events.csv"]
bad_rows = {{ at_most = 0.5, file = "{quarantine}" }}
[events.columns]
user_id = "user"
product_id = "product"
timestamp = {{ column = "at", format = "%Y-%m-%d" }}
interaction_type = {{ constant = "purchase" }}
[model]
factors = 2
"#
    )
}

fn workplace(quarantine: &str) -> Workplace {
    let workplace = Workplace::new();
    workplace
        .write("shop.toml", mapping(quarantine))
        .write("events.csv", EVENTS);
    let path = |name| workplace.path(name);
    std::fs::hard_link(path("events.csv"), path("hard.csv")).unwrap();
    symlink("events.csv", path("soft.csv")).unwrap();
    workplace
}

#[test]
fn quarantine_that_is_an_input_is_refused_under_any_name() {
    for name in [
        "events.csv",
        "./events.csv",
        "none/../events.csv",
        "hard.csv",
        "soft.csv",
        "shop.toml",
    ] {
        let workplace = workplace(name);
        for force in [&[][..], &["--force"]] {
            let run = workplace.run(&[&["evaluate", "shop.toml"], force].concat());
            let refusal = run.refusal(2);
            let start = "error: events.bad_rows.file (";
            assert!(refusal.starts_with(start), "{name}: {refusal}");
            assert!(refusal.contains("is the same as the input"), "{refusal}");
            assert_eq!(workplace.read("events.csv"), EVENTS, "{name}");
            assert_eq!(workplace.read("shop.toml"), mapping(name));
        }
    }
}

#[test]
fn report_model_and_registry_replace_no_input_and_no_other_output() {
    let workplace = workplace("bad.csv");
    let root = format!("file://{}", workplace.path("registry").display());
    let cases: [&[&str]; 7] = [
        &["evaluate", "shop.toml", "--html", "soft.csv"],
        &["evaluate", "shop.toml", "--html", "bad.csv"],
        &["train", "shop.toml", "--out", "hard.csv"],
        &[
            "train",
            "shop.toml",
            "--out",
            "packed",
            "--html",
            "packed/page.html",
        ],
        &[
            "train",
            "shop.toml",
            "--out",
            "registry/x",
            "--publish",
            &root,
            "--model",
            "toy",
        ],
        &[
            "train",
            "shop.toml",
            "--out",
            "registry",
            "--publish",
            "./registry",
            "--model",
            "toy",
        ],
        &[
            "train",
            "shop.toml",
            "--publish",
            "events.csv",
            "--model",
            "toy",
        ],
    ];
    for args in cases {
        let run = workplace.run(&[args, &["--force"]].concat());
        let refusal = run.refusal(2);
        let clash = ["is the same as", "lie one inside the other"];
        assert!(
            clash.iter().any(|text| refusal.contains(text)),
            "{args:?}: {refusal}"
        );
        assert_eq!(workplace.read("events.csv"), EVENTS);
        assert!(
            !workplace.path("bad.csv").exists(),
            "refused before anything is opened"
        );
    }
}

#[test]
fn quarantines_of_two_sources_need_two_files() {
    let workplace = workplace("bad.csv");
    let catalogue = r#"
[catalogue]
files = "products.csv"
bad_rows = { at_most = 0.5, file = "./bad.csv" }
[catalogue.columns]
product_id = "id"
"#;
    workplace
        .write("products.csv", "id\nlamp\n")
        .write("shop.toml", mapping("bad.csv") + catalogue);
    let run = workplace.run(&["evaluate", "shop.toml"]);
    assert!(
        run.refusal(2)
            .contains("is the same as the output events.bad_rows.file"),
        "{run:?}"
    );
}

#[test]
fn file_of_others_is_replaced_by_force_alone_and_an_earlier_output_always() {
    let workplace = workplace("bad.csv");
    let evaluate = ["evaluate", "shop.toml", "--html", "page.html"];
    for foreign in ["bad.csv", "page.html"] {
        workplace.write(foreign, "dear diary");
        let run = workplace.run(&evaluate);
        assert!(
            run.refusal(2).contains("replace it with --force"),
            "{run:?}"
        );
        assert_eq!(workplace.read(foreign), "dear diary");
        assert_eq!(
            workplace.run(&[&evaluate[..], &["--force"]].concat()).code,
            0
        );
        assert_ne!(workplace.read(foreign), "dear diary");
        assert_eq!(
            workplace.run(&evaluate).code,
            0,
            "outputs of an earlier run"
        );
    }
}
