#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;

use hotshelf_registry::Sha256Digest;

use super::*;
use crate::shop::Known;

mod quoting;

const MAPPING: &str = r#"
[events]
files = ["events.csv"]
[events.columns]
user_id = "user"
product_id = "product"
timestamp = { column = "at", format = "unix_s" }
interaction_type = "what"
[catalogue.from_events]
product_name = "name"
price = "price"
"#;
const HEADER: &str = "user,product,at,what,name,price\n";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(events: &[u8]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("events.csv", events);
        folder
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn read(&self, mapping: &str) -> Result<Shop, Error> {
        self.ingest(mapping).map(|(shop, _)| shop)
    }

    fn ingest(&self, mapping: &str) -> Result<(Shop, IngestReport), Error> {
        let mapping = Mapping::parse(&self.0.path().join("shop.toml"), mapping)?;
        read_shop(&mapping, IngestOptions::default(), Progress::silent())
    }
}

fn read(events: &str) -> Result<Shop, Error> {
    Folder::new(format!("{HEADER}{events}").as_bytes()).read(MAPPING)
}

fn refusal(events: &str) -> String {
    read(events).unwrap_err().to_string()
}

#[test]
fn plain_gzip_bom_and_line_ends_give_the_same_shop() {
    let text = format!("{HEADER}u1,p1,60,view,\"big, red\nlamp\",2\nu1,p2,70,purchase,,\n");
    let gzip = |text: &str| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        gzip.finish().unwrap()
    };
    let mut members = gzip(&text[..40]);
    members.extend(gzip(&text[40..]));
    let variants = [
        text.clone().into_bytes(),
        gzip(&text),
        members,
        format!("\u{feff}{text}").into_bytes(),
        text.replace('\n', "\r\n").into_bytes(),
        text.trim_end().as_bytes().to_vec(),
    ];
    for bytes in variants {
        let shop = Folder::new(&bytes).read(MAPPING).unwrap();
        assert_eq!(shop.events_len(), 2);
        let catalogue = shop.catalogue(Known::default());
        assert_eq!(catalogue[0].name.as_deref(), Some("big, red\nlamp"));
        assert_eq!((catalogue[0].price, catalogue[1].price), (Some(2.0), None));
        assert_eq!(shop.events[1].value, 10.0);
    }
}

#[test]
fn sha256_is_that_of_the_file() {
    let text = format!("{HEADER}u,p,1,view,n,1\n");
    let (_, report) = Folder::new(text.as_bytes()).ingest(MAPPING).unwrap();
    let expected = Sha256Digest::of(text.as_bytes());
    assert_eq!(report.events.files[0].sha256, expected);
}

#[test]
fn missing_and_ambiguous_columns_are_all_named() {
    let error = Folder::new(b"user,at,name,name\nu,1,a,b\n")
        .read(MAPPING)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "events.csv, line 1: no column \"what\"; no column \"product\"; column \"name\" occurs \
         twice; no column \"price\"; its columns are: user, at, name, name"
    );
}

#[test]
fn bad_rows_name_file_line_and_column() {
    let events = "u,p,1,view,\"two\nlines\",1\n\nu,p,noon,view,n,1\nu,p,1,gaze,n,1\n,p,1,view,n,1\n\
                  u,p,1,view,n,cheap\nu,p,1,view,n\nu,p,1,view,n,-3\n";
    for line_end in ["\n", "\r\n"] {
        let expected = [
            "6 bad rows; bad_rows may allow a share of them",
            "  events.csv, line 5: column at is \"noon\", which is not a time in the format unix_s",
            "  events.csv, line 6: column what is \"gaze\", not an interaction type: add_to_cart, \
             click, purchase, view",
            "  events.csv, line 7: column user is empty, where an id is needed",
            "  events.csv, line 8: column price is \"cheap\", which is not a number",
            "  events.csv, line 9: 5 fields, where the header has 6",
            "  events.csv, line 10: column price is -3, a price below 0",
        ];
        assert_eq!(
            refusal(&events.replace('\n', line_end)),
            expected.join("\n")
        );
    }
}

#[test]
fn text_that_is_not_utf8_is_a_bad_row() {
    let mut bytes = format!("{HEADER}u,p,1,view,").into_bytes();
    bytes.extend(b"caf\xe9,1\n");
    let error = Folder::new(&bytes).read(MAPPING).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "events.csv, line 2: column name is not UTF-8 (byte 0xe9 at its position 4): \
             \"caf\u{fffd}\""
        ),
        "{error}"
    );
}

#[test]
fn reading_stops_early_where_no_bad_row_is_allowed() {
    let error = refusal(&"u,p,x,view,n,1\n".repeat(500));
    assert!(
        error.starts_with("reading stopped after 10 bad rows"),
        "{error}"
    );
    assert_eq!(error.lines().count(), 11);
}

#[test]
fn allowed_bad_rows_are_quarantined_with_their_reason() {
    let allowed = MAPPING.replace(
        "[events.columns]",
        "bad_rows = { at_most = 0.5, file = \"bad.csv\" }\n[events.columns]",
    );
    let events = "u,p,1,view,\"a, b\",1\nu,p,x,view,\"a, b\",1\nu,p,1,view\nu,q,1,view,n,1\n";
    let folder = Folder::new(format!("{HEADER}{events}").as_bytes());
    let report = folder.ingest(&allowed).unwrap().1.events;
    assert_eq!((report.rows, report.kept, report.bad_rows), (4, 2, 2));
    let path = folder.0.path().join("bad.csv");
    assert_eq!(report.quarantine.as_ref(), Some(&path));
    let expected = "file,line,reason,user,product,at,what,name,price\n\
         events.csv,3,\"column at is \"\"x\"\", which is not a time in the format unix_s\",u,p,x,view,\"a, b\",1\n\
         events.csv,4,\"4 fields, where the header has 6\",u,p,1,view\n";
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);

    folder.write(
        "events.csv",
        format!("{HEADER}{events}u,p,,view,n,1\n").as_bytes(),
    );
    let error = folder.read(&allowed).unwrap_err().to_string();
    assert!(
        error.starts_with("3 bad rows, more than the 50 % allowed by bad_rows"),
        "{error}"
    );
    assert_eq!(
        fs::read_to_string(&path).unwrap().lines().count(),
        4,
        "kept for looking at"
    );
}

#[test]
fn bad_row_changes_nothing_in_the_shop() {
    let allowed = MAPPING.replace(
        "[events.columns]",
        "bad_rows = { at_most = 1, file = \"bad.csv\" }\n[events.columns]",
    );
    let rows = "u,p,1,view,n,1\nnobody,nothing,1,view,n,cheap\nnobody,nothing,1,gaze,n,1\n";
    let shop = Folder::new(format!("{HEADER}{rows}").as_bytes())
        .read(&allowed)
        .unwrap();
    assert_eq!(
        (
            shop.users_len(),
            shop.products_len(),
            shop.product_ids().len()
        ),
        (1, 1, 1)
    );
}

#[test]
fn rules_drop_in_their_order_and_every_row_is_counted() {
    let rules = "[[events.drop]]\ncolumn = \"price\"\nat_most = 0\n[[events.drop]]\nname = \"test users\"\ncolumn = \"user\"\nis = [\"test\"]\n";
    let rows = "test,p,1,view,n,0\ntest,p,1,view,n,1\nu,p,1,view,n,1\n";
    let folder = Folder::new(format!("{HEADER}{rows}").as_bytes());
    let (_, report) = folder.ingest(&format!("{MAPPING}{rules}")).unwrap();
    let report = report.events;
    let dropped: Vec<_> = report
        .dropped
        .iter()
        .map(|d| (d.reason.as_str(), d.rows))
        .collect();
    assert_eq!(dropped, [("price at most 0", 1), ("test users", 1)]);
    assert_eq!((report.rows, report.kept), (3, 1));
}

#[test]
fn events_from_until_on_are_dropped_and_counted() {
    let folder = Folder::new(format!("{HEADER}u,p,0,view,n,1\nu,q,86400,view,n,1\n").as_bytes());
    let mapping = Mapping::parse(&folder.0.path().join("shop.toml"), MAPPING).unwrap();
    let until = IngestOptions {
        until_s: Some(86_400),
        ..IngestOptions::default()
    };
    let (shop, read) = read_shop(&mapping, until, Progress::silent()).unwrap();
    assert_eq!((shop.events_len(), shop.products_len()), (1, 1));
    let dropped = &read.events.dropped[0];
    assert_eq!(dropped.reason, "at or after 1970-01-02");
    assert_eq!(dropped.rows, 1);
}

#[test]
fn value_and_quantity_columns_change_the_event_value() {
    let weighted = MAPPING.replace(
        "interaction_type = \"what\"",
        "interaction_type = \"what\"\nquantity = \"price\"",
    );
    let rows = "u,p,1,purchase,n,3\n";
    let folder = Folder::new(format!("{HEADER}{rows}").as_bytes());
    assert_eq!(folder.read(&weighted).unwrap().events[0].value, 30.0);
    let own = weighted.replace("quantity =", "value =");
    assert_eq!(folder.read(&own).unwrap().events[0].value, 3.0);
    folder.write(
        "events.csv",
        format!("{HEADER}u,p,1,purchase,n,0\n").as_bytes(),
    );
    let error = folder.read(&own).unwrap_err().to_string();
    assert!(
        error.ends_with("column price is 0, where a number above 0 is needed"),
        "{error}"
    );
}

#[test]
fn catalogue_file_adds_products_and_wins_over_events() {
    let mapping = MAPPING.replace(
        "[catalogue.from_events]",
        "[catalogue]\nfiles = [\"products.csv\"]\nnulls = [\"NA\"]\n[catalogue.columns]\nproduct_id = \"id\"\nproduct_name = [\"kind\", \"size\"]\nbrand = \"brand\"\n[catalogue.from_events]",
    );
    let folder = Folder::new(format!("{HEADER}u,p,1,view,lamp,5\nu,q,1,view,vase,7\n").as_bytes());
    folder.write(
        "products.csv",
        b"id,kind,size,brand\np,LAMP,XL,NA\nr,,L,Own\n",
    );
    let shop = folder.read(&mapping).unwrap();
    let catalogue = shop.catalogue(Known::default());
    let seen: Vec<_> = catalogue
        .iter()
        .map(|p| {
            (
                p.id.as_str(),
                p.name.as_deref(),
                p.brand.as_deref(),
                p.price,
            )
        })
        .collect();
    let expected = [
        ("p", Some("LAMP XL"), None, Some(5.0)),
        ("q", Some("vase"), None, Some(7.0)),
        ("r", Some("L"), Some("Own"), None),
    ];
    assert_eq!(seen, expected);
    folder.write("products.csv", b"id,kind,size,brand\np,A,,\np,B,,\n");
    let error = folder.read(&mapping).unwrap_err().to_string();
    assert!(error.ends_with("products.csv, line 3: column id is \"p\", a product already listed"));
}

#[test]
fn broken_files_are_refused_with_file_and_line() {
    let cases: [(&[u8], &str); 4] = [
        (b"", "events.csv, after line 0: the file is empty"),
        (
            b"\xff\xfeu\0s\0e\0r\0\n\0",
            "events.csv, after line 1: the text is UTF-16",
        ),
        (b"\x1f\x8b\x08\x00", "events.csv, after line 0: "),
        (b"user,product,at,what,name,price\n", "no event is left"),
    ];
    for (bytes, expected) in cases {
        let error = Folder::new(bytes).read(MAPPING).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let rows: String = (0..5000)
        .map(|n| format!("u{n},p{n},{n},view,n,1\n"))
        .collect();
    gzip.write_all(format!("{HEADER}{rows}").as_bytes())
        .unwrap();
    let whole = gzip.finish().unwrap();
    let error = Folder::new(&whole[..whole.len() / 2])
        .read(MAPPING)
        .unwrap_err();
    assert!(
        matches!(error, Error::Broken { line, .. } if line > 100),
        "{error}"
    );
}

#[test]
fn files_of_one_source_share_their_header() {
    let two = MAPPING.replace("[\"events.csv\"]", "[\"events.csv\", \"more.csv\"]");
    let folder = Folder::new(format!("{HEADER}u,p,1,view,n,1\n").as_bytes());
    folder.write("more.csv", format!("{HEADER}u,q,1,view,n,1\n").as_bytes());
    assert_eq!(folder.read(&two).unwrap().events_len(), 2);
    folder.write("more.csv", b"product,user\np,u\n");
    let error = folder.read(&two).unwrap_err().to_string();
    assert!(error.starts_with("more.csv, line 1: the header differs from that of events.csv"));
}

#[test]
fn texts_and_numbers_beyond_their_limits_are_bad_rows() {
    let long = "n".repeat(4097);
    let cases = [
        (
            format!("u,p,1,view,{long},1"),
            "the name has 4097 bytes, above the limit of 4096",
        ),
        (
            "u,p,1,view,n,1e39".to_owned(),
            "column price gives the price 1e39, above the limit",
        ),
        (
            "u,p,1.5e9,view,n,1".to_owned(),
            "which is not a time in the format unix_s",
        ),
    ];
    for (row, why) in cases {
        let refusal = refusal(&format!("u,p,1,view,n,1\n{row}\n"));
        assert!(refusal.contains("events.csv, line 3: "), "{refusal}");
        assert!(refusal.contains(why), "{refusal}");
    }
    let divided = MAPPING.replace(
        "price = \"price\"",
        "price = { column = \"price\", per = \"at\" }",
    );
    let folder = Folder::new(format!("{HEADER}u,p,1,view,n,1e39\n").as_bytes());
    let refusal = folder.read(&divided).unwrap_err().to_string();
    assert!(
        refusal.contains("line 2: column price gives the price 1e39"),
        "{refusal}"
    );
    let valued = MAPPING.replace(
        "interaction_type = \"what\"",
        "interaction_type = \"what\"\nvalue = \"price\"",
    );
    let folder = Folder::new(format!("{HEADER}u,p,1,view,n,1e13\n").as_bytes());
    let refusal = folder.read(&valued).unwrap_err().to_string();
    assert!(
        refusal.contains("line 2: the event's value is 1e13"),
        "{refusal}"
    );
}

#[test]
fn catalogue_of_other_ids_is_refused_and_matches_are_counted() {
    let mapping = MAPPING.replace(
        "[catalogue.from_events]",
        "[catalogue]\nfiles = [\"products.csv\"]\n[catalogue.columns]\nproduct_id = \"id\"\n\
         [catalogue.from_events]",
    );
    let folder = Folder::new(format!("{HEADER}u,101,1,view,n,1\nu,102,1,view,n,1\n").as_bytes());
    for other in ["101.0", "0101", "sku-101", "\u{ff11}01"] {
        folder.write("products.csv", format!("id\n{other}\n").as_bytes());
        let refusal = folder.read(&mapping).unwrap_err().to_string();
        assert!(
            refusal.contains("of 2 products with events 0 are in the catalogue"),
            "{refusal}"
        );
        assert!(refusal.contains(&format!("{other:?}")), "{refusal}");
    }
    let tolerant = mapping.replace("[catalogue]\n", "[catalogue]\nmatched_at_least = 0\n");
    assert!(folder.read(&tolerant).is_ok());
    folder.write("products.csv", b"id\n101\n103\n104\n");
    let join = folder.ingest(&mapping).unwrap().1.catalogue_join.unwrap();
    assert_eq!((join.matched, join.events_only, join.other_only), (1, 1, 2));
}
