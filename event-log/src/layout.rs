//! Names of objects in the store.

use object_store::path::Path;

/// `<root>/events/date=<day of acceptance, UTC>/<replica>-<number>-<digest>.parquet`. The digest is that of the
/// segment, so one name never stands for two contents.
pub(crate) fn events_object(
    root: &Path,
    day: i64,
    (replica, number, digest): (&str, u64, &str),
) -> Path {
    let days = jiff::SignedDuration::from_hours(24 * day);
    let date = jiff::civil::date(1970, 1, 1).saturating_add(days);
    let name = format!("{replica}-{number:012}-{digest}.parquet");
    let folder = root.clone().join("events").join(format!("date={date}"));
    folder.join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_lie_under_their_day() {
        let path = |day| events_object(&Path::from("shop"), day, ("pod-1", 7, "ab12")).to_string();
        assert_eq!(
            path(0),
            "shop/events/date=1970-01-01/pod-1-000000000007-ab12.parquet"
        );
        assert!(path(20_787).contains("date=2026-11-30"));
    }
}
