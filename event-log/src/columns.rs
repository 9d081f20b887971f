//! Events as columns: the Arrow schema, and Parquet.
//!
//! The schema grows by nullable columns at its end and in no other way: files of every release are read
//! together.

use crate::{Error, Event};
use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::sync::Arc;

/// The columns of an event, all nullable.
#[must_use]
pub fn schema() -> SchemaRef {
    let time = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let columns = [
        ("event_id", DataType::Utf8),
        ("user_id", DataType::Utf8),
        ("session_id", DataType::Utf8),
        ("product_id", DataType::Utf8),
        ("event_type", DataType::Utf8),
        ("occurred_at", time()),
        ("accepted_at", time()),
        ("quantity", DataType::Float64),
        ("order_value", DataType::Float64),
        ("answer_id", DataType::Utf8),
    ];
    let fields = columns.map(|(name, kind)| Field::new(name, kind, true));
    Arc::new(Schema::new(fields.to_vec()))
}

/// Events as one Parquet file, compressed by zstd, sorted by the time they happened, then by id.
///
/// # Errors
/// [`Error::Parquet`], [`Error::Columns`]: bugs both.
pub fn parquet(mut events: Vec<Event>) -> Result<Vec<u8>, Error> {
    events.sort_by(|a, b| (a.occurred_at, &a.event_id).cmp(&(b.occurred_at, &b.event_id)));
    let compression = Compression::ZSTD(ZstdLevel::try_new(3)?);
    let properties = WriterProperties::builder().set_compression(compression);
    let mut writer = ArrowWriter::try_new(Vec::new(), schema(), Some(properties.build()))?;
    writer.write(&columns(&events)?)?;
    Ok(writer.into_inner()?)
}

fn columns(events: &[Event]) -> Result<RecordBatch, Error> {
    // What a caller left away is null.
    let text = |of: fn(&Event) -> Option<&str>| -> ArrayRef {
        let texts = events
            .iter()
            .map(|event| of(event).filter(|text| !text.is_empty()));
        Arc::new(StringArray::from_iter(texts))
    };
    let time = |of: fn(&Event) -> i64| -> ArrayRef {
        let times = TimestampMicrosecondArray::from_iter_values(events.iter().map(of));
        Arc::new(times.with_timezone("UTC"))
    };
    let number = |of: fn(&Event) -> Option<f64>| -> ArrayRef {
        Arc::new(Float64Array::from_iter(events.iter().map(of)))
    };
    let columns = vec![
        text(|event| Some(&event.event_id)),
        text(|event| event.user_id.as_deref()),
        text(|event| event.session_id.as_deref()),
        text(|event| Some(&event.product_id)),
        text(|event| Some(&event.event_type)),
        time(|event| event.occurred_at),
        time(|event| event.accepted_at),
        number(|event| event.quantity),
        number(|event| event.order_value),
        text(|event| event.answer_id.as_deref()),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}
