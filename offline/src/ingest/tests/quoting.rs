//! Quotes that swallow rows, and what `quoting` makes of them.

use super::*;

/// Ten rows, two of them with valid quotes.
fn ten_rows() -> Vec<String> {
    let row = |n: usize| format!("u{n},p{n},{n},view,name {n},{n}");
    let mut rows: Vec<String> = (0..10).map(row).collect();
    rows[3] = "u3,p3,3,view,\"red, \"\"big\"\"\",3".to_owned();
    rows[6] = "\"u6\",p6,6,view,\"of two\nlines\",6".to_owned();
    rows
}

#[test]
fn stray_quotes_never_make_rows_disappear() {
    let rows = ten_rows();
    let allowed = MAPPING.replace(
        "[events.columns]",
        "bad_rows = { at_most = 1, file = \"bad.csv\" }\n[events.columns]",
    );
    let text = rows.join("\n");
    let places: Vec<usize> = (0..=text.len()).collect();
    let mut refused = 0;
    let pairs = places
        .iter()
        .flat_map(|one| [Some(one + 37), Some(one + 90), None].map(|two| (*one, two)));
    for (one, two) in pairs {
        let mut text = text.clone();
        if let Some(two) = two.filter(|two| *two <= text.len()) {
            text.insert(two, '"');
        }
        text.insert(one, '"');
        let folder = Folder::new(format!("{HEADER}{text}\n").as_bytes());
        match folder.ingest(&allowed) {
            // The one record of two lines counts as one row, or as two where its quotes are broken.
            Ok((_, IngestReport { events, .. })) => {
                let dropped: u64 = events.dropped.iter().map(|rule| rule.rows).sum();
                assert_eq!(events.rows, events.kept + dropped + events.bad_rows);
                assert!((10..=11).contains(&events.rows), "{one} {two:?}: {text}");
            }
            Err(error) => {
                assert!(matches!(error, Error::Quote { .. }), "{error}: {text}");
                refused += 1;
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn quote_that_swallows_rows_is_refused_on_the_line_where_it_opens() {
    let cases = [
        ("u,p,1,view,\"n,1\nu,q,2,view,n,1\n", "never closed"),
        (
            "u,p,1,view,\"n,1\nu,q,2,view,\"n\",1\n",
            "in the middle of a field",
        ),
        ("u,p,1,view,\"n,1\nu,q,2,view,n\",1\n", "reads as a row"),
        ("u,\"p,1,view,n,1\nu,q\",2,view,n,1\n", "reads as a row"),
        (
            "u,p,1,view,\"n,1\nu,q,2,view,n,1\nu,q,2,view,n\",1\n",
            "reads as a row",
        ),
    ];
    for (rows, why) in cases {
        let refusal = refusal(&format!("u,p,0,view,n,1\n{rows}"));
        assert!(
            refusal.starts_with("events.csv, line 3: a quote opens here"),
            "{refusal}"
        );
        assert!(refusal.contains(why), "{refusal}");
    }
    let header = HEADER.replace("price", "\"price").into_bytes();
    let header = Folder::new(&[&header[..], b"u,p,1,view,n,1\nu,p,1,view,n,1\"\n"].concat());
    let refusal = header.read(MAPPING).unwrap_err().to_string();
    assert!(
        refusal.starts_with("events.csv, line 1: a quote opens here"),
        "{refusal}"
    );
}

#[test]
fn quoting_none_makes_every_line_a_row() {
    let plain = MAPPING.replace("[events.columns]", "quoting = \"none\"\n[events.columns]");
    let rows = "u,p,1,view,\"n,1\nu,q,2,view,5\" pipe,1\nu,r,3,view,\"n\",1\n";
    let folder = Folder::new(format!("{HEADER}{rows}").as_bytes());
    let (shop, report) = folder.ingest(&plain).unwrap();
    assert_eq!((report.events.rows, report.events.kept), (3, 3));
    let catalogue = shop.catalogue(Known::default());
    let names: Vec<_> = catalogue
        .iter()
        .map(|product| product.name.as_deref())
        .collect();
    assert_eq!(names, [Some("\"n"), Some("5\" pipe"), Some("\"n\"")]);
}

#[test]
fn quoting_multiline_takes_lines_that_read_as_rows() {
    let lenient = MAPPING.replace(
        "[events.columns]",
        "quoting = \"multiline\"\n[events.columns]",
    );
    let rows = "u,p,1,view,\"n\nu,q,2,view,n,1\",1\n";
    let folder = Folder::new(format!("{HEADER}{rows}").as_bytes());
    assert!(folder.read(MAPPING).is_err());
    assert_eq!(folder.ingest(&lenient).unwrap().1.events.rows, 1);
}
