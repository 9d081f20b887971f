//! Reading and writing one Arrow IPC file: a table of known columns in one uncompressed batch.
//!
//! Arrow's own decoder trusts the positions inside a file more than we do, and panics where they
//! are wrong. So every position, length and count is compared with the bytes there are before it
//! is called; it then decodes in place and validates text and offsets.

use std::{collections::HashMap, sync::Arc};

use arrow_array::{ArrayRef, RecordBatch};
use arrow_buffer::Buffer;
use arrow_ipc::{
    Block, Endianness, Footer, MetadataVersion, Precision, RecordBatch as Batch, Type,
    reader::{FileDecoder, read_footer_length},
    root_as_footer, root_as_message,
    writer::{FileWriter, IpcWriteOptions},
};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use bytes::Bytes;

use super::{PackError, UnpackError, error::excerpt, into_pack_error};

/// Alignment of every column in the file: one cache line, so that columns read in place are as
/// well aligned as freshly made ones.
const ALIGNMENT: usize = 64;

/// Footer length and magic.
const TRAILER_BYTES: usize = 10;

/// Longest footer or batch header read. Chosen: our tables have six columns, which take 2 KiB.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// The one key of schema metadata and its value; more than one would come in random order.
pub(super) type Metadata<'a> = Option<(&'a str, String)>;

/// Encodes columns as one batch.
pub(super) fn write(
    part: &'static str,
    fields: &[Field],
    columns: Vec<ArrayRef>,
    metadata: Metadata<'_>,
) -> Result<Vec<u8>, PackError> {
    let metadata = metadata
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    let schema = Arc::new(Schema::new_with_metadata(fields.to_vec(), metadata));
    let encode = || -> Result<Vec<u8>, ArrowError> {
        let options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5)?;
        let mut writer = FileWriter::try_new_with_options(Vec::new(), &schema, options)?;
        writer.write(&RecordBatch::try_new(schema.clone(), columns)?)?;
        writer.finish()?;
        writer.into_inner()
    };
    encode().map_err(|error| into_pack_error(part, error))
}

/// A decoded table.
pub(super) struct Table {
    /// Columns in the order of the fields asked for.
    pub(super) batch: RecordBatch,
    /// Schema metadata.
    pub(super) metadata: HashMap<String, String>,
}

/// What a table must be.
pub(super) struct Expected<'a> {
    pub(super) part: &'static str,
    pub(super) fields: &'a [Field],
    pub(super) rows: usize,
}

impl Expected<'_> {
    /// Decodes in place; copies only columns that are not aligned.
    pub(super) fn read(&self, bytes: &Bytes) -> Result<Table, UnpackError> {
        let footer = self.footer(bytes)?;
        self.check_schema(&footer)?;
        let block = self.block(&footer, bytes.len())?;
        let (start, meta) = (block.offset() as usize, block.metaDataLength() as usize);
        let body = block.bodyLength() as usize;
        let file = bytes.slice(start..start + meta + body);
        self.check_message(&file[..meta], body)?;

        let schema = Arc::new(Schema::new(self.fields.to_vec()));
        let decoder = FileDecoder::new(schema, MetadataVersion::V5);
        let batch = decoder
            .read_record_batch(block, &Buffer::from(file))
            .map_err(|error| self.broken(error.to_string()))?
            .ok_or_else(|| self.broken("it holds no batch".to_owned()))?;
        let metadata = footer.schema().and_then(|schema| schema.custom_metadata());
        let pairs = metadata
            .into_iter()
            .flatten()
            .filter_map(|pair| Some((pair.key()?.to_owned(), pair.value()?.to_owned())));
        Ok(Table {
            batch,
            metadata: pairs.collect(),
        })
    }

    fn footer<'b>(&self, bytes: &'b Bytes) -> Result<Footer<'b>, UnpackError> {
        let (rest, trailer) = bytes
            .split_last_chunk::<TRAILER_BYTES>()
            .ok_or_else(|| self.broken(format!("it has only {} bytes", bytes.len())))?;
        let length = read_footer_length(*trailer).map_err(|e| self.broken(e.to_string()))?;
        if length > rest.len().min(HEADER_BYTES_MAX) {
            return Err(self.broken(format!("its footer claims {length} bytes")));
        }
        root_as_footer(&rest[rest.len() - length..]).map_err(|e| self.broken(e.to_string()))
    }

    fn check_schema(&self, footer: &Footer<'_>) -> Result<(), UnpackError> {
        let schema = footer
            .schema()
            .ok_or_else(|| self.broken("it has no schema".to_owned()))?;
        if footer.version() != MetadataVersion::V5 || schema.endianness() != Endianness::Little {
            return Err(self.broken("it is not little-endian metadata version 5".to_owned()));
        }
        let found: Vec<_> = schema.fields().into_iter().flatten().collect();
        for (at, expected) in self.fields.iter().enumerate() {
            let field = found
                .get(at)
                .map_or_else(|| "absent".to_owned(), describe_found);
            let expected = describe(expected);
            if field != expected {
                return Err(self.schema(format!("column {at}"), field, expected));
            }
        }
        match found.get(self.fields.len()) {
            None => Ok(()),
            Some(field) => {
                let what = format!("column {}", self.fields.len());
                Err(self.schema(what, describe_found(field), "absent".to_owned()))
            }
        }
    }

    /// The one batch, certainly inside the file.
    fn block<'b>(&self, footer: &Footer<'b>, file_bytes: usize) -> Result<&'b Block, UnpackError> {
        if footer
            .dictionaries()
            .is_some_and(|dictionaries| !dictionaries.is_empty())
        {
            return Err(self.broken("it has dictionaries".to_owned()));
        }
        let batches = footer.recordBatches().map_or(0, |batches| batches.len());
        let block = match footer.recordBatches() {
            Some(batches) if batches.len() == 1 => batches.get(0),
            _ => return Err(self.broken(format!("it has {batches} batches instead of one"))),
        };
        let positions = || {
            let start = usize::try_from(block.offset()).ok()?;
            let meta = usize::try_from(block.metaDataLength()).ok()?;
            let body = usize::try_from(block.bodyLength()).ok()?;
            let end = start.checked_add(meta)?.checked_add(body)?;
            // Eight bytes of prefix come before the message itself.
            (end <= file_bytes && meta > 8 && meta <= HEADER_BYTES_MAX).then_some(())
        };
        positions().ok_or_else(|| self.broken("its batch lies outside the file".to_owned()))?;
        Ok(block)
    }

    /// Checks everything that the decoder takes on trust.
    fn check_message(&self, meta: &[u8], body: usize) -> Result<(), UnpackError> {
        if meta[..4] != [0xff; 4] {
            return Err(self.broken("its batch has no continuation marker".to_owned()));
        }
        let message = root_as_message(&meta[8..]).map_err(|e| self.broken(e.to_string()))?;
        let batch = message
            .header_as_record_batch()
            .ok_or_else(|| self.broken("its message is no record batch".to_owned()))?;
        let is_plain = message.version() == MetadataVersion::V5
            && batch.compression().is_none()
            && batch
                .variadicBufferCounts()
                .is_none_or(|counts| counts.is_empty());
        if !is_plain {
            return Err(self.broken("its batch is compressed or of another version".to_owned()));
        }
        self.check_rows(&batch)?;
        let mut buffers = batch.buffers().into_iter().flatten();
        for (field, node) in self.fields.iter().zip(batch.nodes().into_iter().flatten()) {
            for (element, least) in self.buffers(field, node.null_count() > 0) {
                let is_sound = buffers.next().is_some_and(|buffer| {
                    length_inside(buffer, body)
                        .is_some_and(|length| length >= least && length.is_multiple_of(element))
                });
                if !is_sound {
                    let name = field.name();
                    return Err(self.broken(format!("column {name:?} lies outside its batch")));
                }
            }
        }
        Ok(())
    }

    /// Size of an element and least length in bytes of each buffer of a column: bits of validity,
    /// then offsets and text, or numbers.
    fn buffers(&self, field: &Field, has_nulls: bool) -> Vec<(usize, usize)> {
        let validity = (1, if has_nulls { self.rows.div_ceil(8) } else { 0 });
        let numbers = |size| (size, size * self.rows);
        match field.data_type() {
            DataType::Utf8 if self.rows == 0 => vec![validity, numbers(4), (1, 0)],
            DataType::Utf8 => vec![validity, (4, 4 * (self.rows + 1)), (1, 0)],
            DataType::Float32 => vec![validity, numbers(4)],
            _ => vec![validity, numbers(1)],
        }
    }

    fn check_rows(&self, batch: &Batch<'_>) -> Result<(), UnpackError> {
        let shape = |what, found: i64| UnpackError::Shape {
            part: self.part,
            what,
            found: vec![usize::try_from(found).unwrap_or(usize::MAX)],
            expected: vec![self.rows],
        };
        if usize::try_from(batch.length()) != Ok(self.rows) {
            return Err(shape("the table", batch.length()));
        }
        let nodes: Vec<_> = batch.nodes().into_iter().flatten().collect();
        if nodes.len() != self.fields.len() {
            return Err(self.broken(format!("its batch has {} columns", nodes.len())));
        }
        for (node, field) in nodes.into_iter().zip(self.fields) {
            if usize::try_from(node.length()) != Ok(self.rows) {
                return Err(shape("a column", node.length()));
            }
            let nulls_max = if field.is_nullable() { self.rows } else { 0 };
            if usize::try_from(node.null_count()).is_ok_and(|nulls| nulls <= nulls_max) {
                continue;
            }
            let (what, found) = (format!("column {}", field.name()), node.null_count());
            return Err(self.schema(what, format!("{found} nulls"), format!("<= {nulls_max}")));
        }
        Ok(())
    }

    fn broken(&self, why: String) -> UnpackError {
        UnpackError::Container {
            part: self.part,
            container: "Arrow IPC file",
            why: excerpt(why),
        }
    }

    fn schema(&self, what: String, found: String, expected: String) -> UnpackError {
        UnpackError::Schema {
            part: self.part,
            what,
            found: excerpt(found),
            expected,
        }
    }
}

/// The length of a buffer that lies inside a body of so many bytes.
fn length_inside(buffer: &arrow_ipc::Buffer, body: usize) -> Option<usize> {
    let offset = usize::try_from(buffer.offset()).ok()?;
    let length = usize::try_from(buffer.length()).ok()?;
    (offset.checked_add(length)? <= body).then_some(length)
}

fn describe(field: &Field) -> String {
    let kind = match field.data_type() {
        DataType::Utf8 => "utf8",
        DataType::UInt8 => "uint8",
        DataType::Float32 => "float32",
        _ => "unsupported",
    };
    described(field.name(), kind, field.is_nullable())
}

fn describe_found(field: &arrow_ipc::Field<'_>) -> String {
    let kind = match field.type_type() {
        _ if field.dictionary().is_some() => "dictionary",
        Type::Utf8 => "utf8",
        Type::Int => match field.type_as_int() {
            Some(int) if int.bitWidth() == 8 && !int.is_signed() => "uint8",
            _ => "another integer",
        },
        Type::FloatingPoint => match field.type_as_floating_point() {
            Some(float) if float.precision() == Precision::SINGLE => "float32",
            _ => "another float",
        },
        _ => "another type",
    };
    described(field.name().unwrap_or(""), kind, field.nullable())
}

fn described(name: &str, kind: &str, is_nullable: bool) -> String {
    format!(
        "{name:?} {kind}{}",
        if is_nullable { ", may be null" } else { "" }
    )
}
