#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::*;

const MINIMAL: &str = r#"
[events]
files = ["events.csv"]
[events.columns]
user_id = "user"
product_id = "product"
timestamp = "at"
interaction_type = "what"
"#;

fn parse(text: &str) -> Result<Mapping, Error> {
    Mapping::parse(Path::new("data/shop.toml"), text)
}

fn problems(text: &str) -> Vec<String> {
    match parse(text) {
        Err(Error::Mapping { problems, .. }) => problems.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn paths_start_from_the_mapping_file() {
    let mapping = parse(MINIMAL).unwrap();
    assert_eq!(mapping.shop, "shop");
    assert_eq!(
        mapping.events.source.files[0].1,
        Path::new("data/events.csv")
    );
    let absolute = MINIMAL.replace("events.csv", "/srv/events.csv");
    let mapping = parse(&absolute).unwrap();
    assert_eq!(
        mapping.events.source.files[0].1,
        Path::new("/srv/events.csv")
    );
}

#[test]
fn weights_have_defaults_and_may_be_set_and_added() {
    let mapping = parse(&format!("{MINIMAL}\n[values]\npurchase = 4\nwish = 2.5")).unwrap();
    let weights: Vec<_> = mapping
        .weights
        .iter()
        .map(|(kind, weight)| (kind.as_str(), *weight))
        .collect();
    let expected = [
        ("add_to_cart", 5.0),
        ("click", 2.0),
        ("purchase", 4.0),
        ("view", 1.0),
        ("wish", 2.5),
    ];
    assert_eq!(weights, expected);
}

/// A problem in nearly every line.
const PROBLEMS: &str = r#"
shopp = "x"
[events]
files = []
delimiter = ";;"
bad_rows = { at_most = 0.1 }
[events.columns]
user_id = 7
timestamp = { column = "at", format = "YYYY" }
interaction_type = { constant = "gaze" }
[[events.drop]]
column = "a"
empty = true
below = 3
[[events.drop]]
column = "b"
glob = "["
[values]
view = -1
[evaluation]
cut = "soon"
k = 0
seen = "maybe"
relevant = ["gaze"]
[model]
factors = 0
confidence = "much"
alpha = 1.5
recents = 0
index = "best"
[content]
terms_max = 10001
ngram_max = 4
sublinear_tf = "yes"
min_df = 0
price_scale = -0.1
stop_words = true
"#;

#[test]
fn every_problem_is_reported_at_once_with_its_line() {
    let expected = [
        "line 2: shopp is not a known key; known here: shop, values, events, catalogue, evaluation, model, content",
        "line 4: events.files must not be an empty list",
        "line 5: events.delimiter must be one ASCII character",
        "line 6: events.bad_rows allows bad rows and needs a file to quarantine them in",
        "line 7: events.columns.product_id is missing",
        "line 8: events.columns.user_id must be a string, not integer",
        "line 9: events.columns.timestamp.format is \"YYYY\": not a time format; use rfc3339, unix_s, \
         unix_ms or a pattern such as %Y-%m-%d %H:%M:%S",
        "line 10: events.columns.interaction_type.constant is \"gaze\", an interaction type without a \
         weight in [values]",
        "line 11: events.drop[0] needs exactly one condition: empty, is, is_not, starts_with, glob, \
         below, at_most, above or at_least",
        "line 17: events.drop[1].glob is not a pattern: Pattern syntax error near position 0: invalid \
         range pattern",
        "line 19: values.view must be above 0 and at most 1000000, not -1",
        "line 21: evaluation.cut is wrong: \"soon\" is not a date such as 2011-10-01 or an RFC 3339 \
         time",
        "line 22: evaluation.k must lie in 1 to 100, not 0",
        "line 23: evaluation.seen is \"maybe\", neither excluded nor included",
        "line 24: evaluation.relevant names \"gaze\", an interaction type without a weight",
        "line 26: model.factors must lie in 1 to 1024, not 0",
        "line 27: model.confidence must be a number, not string",
        "line 28: model.alpha must lie in 0 to 1, not 1.5",
        "line 29: model.recents must lie in 1 to 100, not 0",
        "line 30: model.index is \"best\", neither auto, exact nor hnsw",
        "line 32: content.terms_max must lie in 0 to 10000, not 10001",
        "line 33: content.ngram_max must lie in 1 to 3, not 4",
        "line 34: content.sublinear_tf must be true or false, not string",
        "line 35: content.min_df must lie in 1 to 1000000, not 0",
        "line 36: content.price_scale must lie in 0 to 1, not -0.1",
        "line 37: content.stop_words is not a known key; known here: terms_max, ngram_max, min_df, \
         sublinear_tf, price_scale",
    ];
    assert_eq!(problems(PROBLEMS), expected);
}

#[test]
fn text_that_is_not_toml_is_one_problem_with_its_line() {
    assert_eq!(problems("[events]\nfiles = [").len(), 1);
    assert!(problems("[events]\nfiles = [")[0].starts_with("line 2: "));
}

#[test]
fn catalogue_needs_a_source() {
    let found = problems(&format!("{MINIMAL}\n[catalogue]\n"));
    assert!(found[0].contains("catalogue needs files"), "{found:?}");
    let found = problems(&format!("{MINIMAL}\n[catalogue]\nfiles = \"products.csv\""));
    assert!(found[0].contains("catalogue needs files"), "{found:?}");
}

#[test]
fn conditions_drop_matching_fields() {
    let text = "[[events.drop]]\ncolumn = \"c\"\n";
    let cases = [
        ("is = 'a'", "a", true),
        ("is = 'a'", "ab", false),
        ("is_not = ['a', 'b']", "c", true),
        ("is_not = ['a', 'b']", "b", false),
        ("starts_with = 'C'", "C536", true),
        ("starts_with = 'C'", "536C", false),
        ("glob = ['gift_*', 'M']", "gift_0001_20", true),
        ("glob = ['gift_*', 'M']", "M1", false),
        ("empty = true", "", true),
        ("empty = true", "0", false),
        ("at_most = 0", "0.0", true),
        ("at_most = 0", "0.01", false),
        ("below = 0", "0", false),
        ("above = 10", "10.5", true),
        ("at_least = 10", "10", true),
    ];
    for (condition, field, dropped) in cases {
        let mapping = parse(&format!("{MINIMAL}{text}{condition}")).unwrap();
        let rule = &mapping.events.source.drop[0];
        assert_eq!(
            rule.condition.drops(field),
            Ok(dropped),
            "{condition} {field:?}"
        );
    }
    assert!(Condition::AtMost(0.0).drops("many").is_err());
    assert!(Condition::AtMost(0.0).drops("").is_err());
}

#[test]
fn flags_override_the_file_and_the_file_overrides_defaults() {
    let model = "[model]\nfactors = 8\nseed = 7\nindex = 'exact'\nalpha = 0.5";
    let content = "[content]\nterms_max = 90\nsublinear_tf = true\nprice_scale = 0";
    let mapping = parse(&format!("{MINIMAL}{model}\n{content}")).unwrap();
    let flags = ModelSettings {
        seed: Some(9),
        alpha: Some(0.25),
        content: ContentSettings {
            terms_max: Some(80),
            ..ContentSettings::default()
        },
        ..ModelSettings::default()
    };
    let params = flags.over(&mapping.model).params();
    assert_eq!(
        (params.als.factors, params.als.seed, params.als.iterations),
        (8, 9, 15)
    );
    assert_eq!((params.scoring.alpha, params.scoring.recents), (0.25, 5));
    assert_eq!(params.index, hotshelf_model::IndexChoice::Exact);
    let content = &params.content;
    assert_eq!(
        (content.terms_max, content.ngram_max, content.min_df),
        (80, 1, 1)
    );
    assert_eq!((content.sublinear_tf, content.price_scale), (true, 0.0));
}

#[test]
fn help_names_the_defaults_that_hold() {
    use clap::Args;
    let params = ModelSettings::default().params();
    let (als, segments, content) = (&params.als, &params.segments, &params.content);
    let defaults = [
        ("factors", als.factors.to_string()),
        ("regularization", als.regularization.to_string()),
        ("iterations", als.iterations.to_string()),
        ("confidence", als.confidence.to_string()),
        ("seed", als.seed.to_string()),
        ("light_from", segments.light_from.to_string()),
        ("heavy_from", segments.heavy_from.to_string()),
        ("recent_max", params.recent_max.to_string()),
        ("alpha", params.scoring.alpha.to_string()),
        ("recents", params.scoring.recents.to_string()),
        ("terms_max", content.terms_max.to_string()),
        ("ngram_max", content.ngram_max.to_string()),
        ("sublinear_tf", content.sublinear_tf.to_string()),
        ("min_df", content.min_df.to_string()),
        ("price_scale", content.price_scale.to_string()),
    ];
    let command = ModelSettings::augment_args(clap::Command::new("test"));
    for (name, value) in defaults {
        let arg = command
            .get_arguments()
            .find(|arg| arg.get_id() == name)
            .unwrap();
        let help = arg.get_help().unwrap().to_string();
        assert!(
            help.ends_with(&format!("[default: {value}]")),
            "{name}: {help}"
        );
    }
}

#[test]
fn embeddings_are_npy_or_safetensors_by_the_end_of_their_name() {
    let read = |lines: &str| parse(&format!("{MINIMAL}[catalogue.embeddings]\n{lines}"));
    let format = |lines: &str| {
        let catalogue = read(lines).unwrap().catalogue.unwrap();
        catalogue.embeddings.unwrap().format
    };
    let npy = "file = 'e.npy'\nids = 'i.txt'";
    let tensors = "file = 'e.safetensors'\nids = 'i.txt'";
    assert_eq!(format(npy), MatrixFormat::Npy);
    let default = MatrixFormat::Safetensors("embeddings".to_owned());
    assert_eq!(format(tensors), default);
    let named = MatrixFormat::Safetensors("vectors".to_owned());
    assert_eq!(format(&format!("{tensors}\ntensor = 'vectors'")), named);
    for (lines, why) in [
        (
            format!("{npy}\ntensor = 'x'"),
            "tensor names a tensor, but an npy file has none",
        ),
        (
            "file = 'e.csv'\nids = 'i'".to_owned(),
            "which ends in neither .npy nor .safetensors",
        ),
        (
            "file = 'e.npy'".to_owned(),
            "catalogue.embeddings.ids is missing",
        ),
        (
            "ids = 'i.txt'".to_owned(),
            "catalogue.embeddings.file is missing",
        ),
    ] {
        let found = problems(&format!("{MINIMAL}[catalogue.embeddings]\n{lines}"));
        assert!(found.len() == 1 && found[0].contains(why), "{found:?}");
    }
}
