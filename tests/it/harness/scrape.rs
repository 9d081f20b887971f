//! The HTTP plane as a kubelet and a scraper meet it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One GET: code and body.
pub(crate) async fn http_get(at: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    (code, body.to_owned())
}

/// A page of metrics, parsed strictly.
#[derive(Debug)]
pub(crate) struct Scrape {
    /// By name and sorted labels.
    series: BTreeMap<(String, Labels), f64>,
    /// By family.
    pub(crate) types: BTreeMap<String, String>,
}

type Labels = BTreeMap<String, String>;

impl Scrape {
    /// Parses the Prometheus text format; panics on a line that is not of it, a sample without a
    /// type, and a series that stands there twice.
    pub(crate) fn parse(text: &str) -> Self {
        let (mut series, mut types) = (BTreeMap::new(), BTreeMap::new());
        for line in text.lines() {
            if let Some(typed) = line.strip_prefix("# TYPE ") {
                let (name, kind) = typed.split_once(' ').unwrap();
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert_eq!(
                    types.insert(name.to_owned(), kind.to_owned()),
                    None,
                    "{line}"
                );
                continue;
            }
            if line.starts_with("# HELP ") {
                continue;
            }
            let (id, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = match id.split_once('{') {
                None => (id, Labels::new()),
                Some((name, rest)) => (name, labels(rest.strip_suffix('}').unwrap())),
            };
            let is_typed = |suffix| {
                name.strip_suffix(suffix)
                    .is_some_and(|family| types.contains_key(family))
            };
            assert!(
                ["", "_bucket", "_sum", "_count"].into_iter().any(is_typed),
                "{line}"
            );
            let known = series.insert((name.to_owned(), labels), value.parse().unwrap());
            assert_eq!(known, None, "{line}");
        }
        Self { series, types }
    }

    /// How many series there are.
    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    /// The one series of this name whose labels include these; None where there is none.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let found: Vec<_> = self.matching(name, labels).collect();
        assert!(found.len() < 2, "{name} {labels:?}: {found:?}");
        found.first().map(|(_, value)| *value)
    }

    /// The sum over all series of this name whose labels include these.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).map(|(_, value)| value).sum()
    }

    /// The names of the labels of every series of this name.
    pub(crate) fn labels(&self, name: &str) -> Vec<String> {
        let (labels, _) = self
            .matching(name, &[])
            .next()
            .unwrap_or_else(|| panic!("no {name}"));
        labels.keys().cloned().collect()
    }

    pub(crate) fn matching<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = (&'a Labels, f64)> {
        let wanted = move |has: &Labels| {
            labels
                .iter()
                .all(|(key, value)| has.get(*key).is_some_and(|own| own == value))
        };
        let named = self
            .series
            .iter()
            .filter(move |((own, has), _)| own == name && wanted(has));
        named.map(|((_, has), value)| (has, *value))
    }
}

fn labels(text: &str) -> Labels {
    let pairs = text.split(',').map(|pair| {
        let (key, quoted) = pair.split_once('=').unwrap();
        let value = quoted
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        (
            key.to_owned(),
            value.unwrap_or_else(|| panic!("{pair}")).to_owned(),
        )
    });
    pairs.collect()
}
