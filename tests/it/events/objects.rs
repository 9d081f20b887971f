//! Uploaded objects, read as the lake reads them.

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::File;
use std::path::{Path, PathBuf};

/// One event of an object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) event_id: String,
    pub(super) event_type: String,
    pub(super) occurred_at: i64,
}

/// Paths of all objects below `root`, in order.
pub(super) fn paths(root: &Path) -> Vec<PathBuf> {
    let Ok(days) = std::fs::read_dir(root.join("events")) else {
        return Vec::new();
    };
    let mut paths = Vec::new();
    for day in days {
        let files = std::fs::read_dir(day.unwrap().path()).unwrap();
        let files = files.map(|file| file.unwrap().path());
        // The store's own unfinished writes have a `#` in their name.
        paths.extend(files.filter(|path| path.extension().is_some_and(|end| end == "parquet")));
    }
    paths.sort();
    paths
}

/// All events below `root`.
pub(super) fn read_all(root: &Path) -> Vec<Row> {
    paths(root).iter().flat_map(|path| read(path)).collect()
}

/// The events of one object, in its order.
pub(super) fn read(path: &Path) -> Vec<Row> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let mut rows = Vec::new();
    for batch in builder.build().unwrap() {
        let batch = batch.unwrap();
        let text = |name: &str| {
            batch
                .column_by_name(name)
                .unwrap()
                .as_string::<i32>()
                .clone()
        };
        let (ids, types) = (text("event_id"), text("event_type"));
        let times = batch.column_by_name("occurred_at").unwrap();
        let times = times.as_primitive::<TimestampMicrosecondType>();
        rows.extend((0..batch.num_rows()).map(|row| Row {
            event_id: ids.value(row).to_owned(),
            event_type: types.value(row).to_owned(),
            occurred_at: times.value(row),
        }));
    }
    rows
}
