//! Reading and writing one safetensors container: tensors by name, with their shapes checked.
//!
//! Nothing is allocated from what a header claims: a tensor is a slice of the loaded bytes, and
//! its shape has to be the one that the caller demands.

use bytemuck::Pod;
use bytes::Bytes;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::{PackError, UnpackError, error::excerpt, into_pack_error};
use crate::column::Column;

/// Longest header read. Chosen: our containers have at most four tensors; 64 KiB hold hundreds.
const HEADER_BYTES_MAX: u64 = 64 << 10;

/// A number type with its name in safetensors.
pub(super) trait Number: Pod + Send {
    const DTYPE: Dtype;
}

impl Number for f32 {
    const DTYPE: Dtype = Dtype::F32;
}

impl Number for u32 {
    const DTYPE: Dtype = Dtype::U32;
}

impl Number for u64 {
    const DTYPE: Dtype = Dtype::U64;
}

impl Number for i64 {
    const DTYPE: Dtype = Dtype::I64;
}

/// One tensor to write.
pub(super) struct Tensor<'a> {
    pub(super) name: &'static str,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) bytes: &'a [u8],
}

impl<'a> Tensor<'a> {
    /// A column as it is.
    pub(super) fn column<T: Number>(name: &'static str, column: &'a Column<T>) -> Self {
        let shape = vec![column.as_slice().len()];
        Self {
            name,
            dtype: T::DTYPE,
            shape,
            bytes: column.as_bytes(),
        }
    }

    /// A column as rows of `cols`.
    pub(super) fn table<T: Number>(name: &'static str, column: &'a Column<T>, cols: usize) -> Self {
        let mut tensor = Self::column(name, column);
        tensor.shape = vec![column.as_slice().len().checked_div(cols).unwrap_or(0), cols];
        tensor
    }

    /// A matrix as it is.
    pub(super) fn matrix(name: &'static str, matrix: &'a crate::Matrix) -> Self {
        let shape = vec![matrix.rows(), matrix.cols()];
        Self {
            name,
            dtype: Dtype::F32,
            shape,
            bytes: matrix.as_bytes(),
        }
    }
}

/// Encodes tensors. No metadata: with more than one key its order would be random.
pub(super) fn write(part: &'static str, tensors: &[Tensor<'_>]) -> Result<Vec<u8>, PackError> {
    let views: Result<Vec<_>, _> = tensors
        .iter()
        .map(|t| Ok((t.name, TensorView::new(t.dtype, t.shape.clone(), t.bytes)?)))
        .collect();
    let bytes = views.and_then(|views| safetensors::serialize(views, None));
    bytes.map_err(|error| into_pack_error(part, error))
}

/// An opened container.
pub(super) struct Container<'a> {
    pub(super) part: &'static str,
    bytes: &'a Bytes,
    tensors: SafeTensors<'a>,
}

impl<'a> Container<'a> {
    /// Reads the header; exactly the tensors `names` must be there.
    pub(super) fn open(
        part: &'static str,
        bytes: &'a Bytes,
        names: &[&str],
    ) -> Result<Self, UnpackError> {
        let broken = |why: String| UnpackError::Container {
            part,
            container: "safetensors file",
            why: excerpt(why),
        };
        let header = bytes
            .first_chunk()
            .map_or(0, |length| u64::from_le_bytes(*length));
        if header > HEADER_BYTES_MAX {
            return Err(broken(format!("its header claims {header} bytes")));
        }
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| broken(error.to_string()))?;
        for name in tensors.names() {
            if !names.contains(&name) {
                return Err(schema(part, excerpt(name), "present", "absent"));
            }
        }
        Ok(Self {
            part,
            bytes,
            tensors,
        })
    }

    /// A tensor of one dimension and any length.
    pub(super) fn list<T: Number>(&self, name: &'static str) -> Result<Column<T>, UnpackError> {
        let length = self.find::<T>(name)?.shape().first().copied().unwrap_or(0);
        self.tensor(name, &[length])
    }

    /// A tensor of exactly this shape.
    pub(super) fn tensor<T: Number>(
        &self,
        name: &'static str,
        shape: &[usize],
    ) -> Result<Column<T>, UnpackError> {
        let view = self.find::<T>(name)?;
        let wrong_shape = || UnpackError::Shape {
            part: self.part,
            what: name,
            found: view.shape().to_vec(),
            expected: shape.to_vec(),
        };
        if view.shape() != shape {
            return Err(wrong_shape());
        }
        Column::from_bytes(self.bytes.slice_ref(view.data())).ok_or_else(wrong_shape)
    }

    fn find<T: Number>(&self, name: &'static str) -> Result<TensorView<'a>, UnpackError> {
        let expected = T::DTYPE.to_string();
        let Ok(view) = self.tensors.tensor(name) else {
            return Err(schema(self.part, name.to_owned(), "absent", &expected));
        };
        if view.dtype() != T::DTYPE {
            return Err(schema(
                self.part,
                name.to_owned(),
                &view.dtype().to_string(),
                &expected,
            ));
        }
        Ok(view)
    }
}

fn schema(part: &'static str, what: String, found: &str, expected: &str) -> UnpackError {
    UnpackError::Schema {
        part,
        what,
        found: found.to_owned(),
        expected: expected.to_owned(),
    }
}
