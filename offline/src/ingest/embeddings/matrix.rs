//! A matrix of floating-point numbers in an npy or a safetensors file, read where it lies.
//!
//! Sizes that a file claims are compared with its length before anything is allocated for them.

use half::{bf16, f16};
use hotshelf_model::EMBEDDING_DIMENSIONS_MAX;
use ndarray_npy::npy::header::Header;
use safetensors::{Dtype, SafeTensors};

use crate::mapping::MatrixFormat;

/// Rows of equal length over the bytes of a file.
pub(super) struct Matrix<'f> {
    pub(super) rows: usize,
    pub(super) dimension: usize,
    element: Element,
    /// Whether columns follow each other instead of rows.
    by_column: bool,
    numbers: &'f [u8],
}

/// How a number is stored.
#[derive(Clone, Copy)]
enum Element {
    F16,
    Bf16,
    F32,
    F32BigEndian,
    F64,
    F64BigEndian,
}

impl<'f> Matrix<'f> {
    /// Err with the end of a sentence that the file's name begins.
    pub(super) fn read(file: &'f [u8], format: &MatrixFormat) -> Result<Self, String> {
        let (shape, matrix) = match format {
            MatrixFormat::Npy => npy(file)?,
            MatrixFormat::Safetensors(tensor) => safetensors(file, tensor)?,
        };
        let &[rows, dimension] = shape.as_slice() else {
            let dimensions = shape.len();
            return Err(format!(
                "has an array of {dimensions} dimensions; rows × columns are needed"
            ));
        };
        if !(1..=EMBEDDING_DIMENSIONS_MAX).contains(&dimension) {
            return Err(format!(
                "has rows of {dimension} numbers, which must lie in 1 to {EMBEDDING_DIMENSIONS_MAX}"
            ));
        }
        let claimed = rows
            .checked_mul(dimension)
            .and_then(|numbers| numbers.checked_mul(matrix.element.bytes()));
        let found = matrix.numbers.len();
        if claimed != Some(found) {
            return Err(format!(
                "claims {rows} rows of {dimension} numbers and holds {found} bytes of them"
            ));
        }
        Ok(Self {
            rows,
            dimension,
            ..matrix
        })
    }

    /// The numbers of a row; what does not fit into f32 becomes infinite.
    pub(super) fn row(&self, row: usize) -> impl Iterator<Item = f32> {
        (0..self.dimension).map(move |column| {
            let at = if self.by_column {
                column * self.rows + row
            } else {
                row * self.dimension + column
            };
            let bytes = self.element.bytes();
            self.element.read(&self.numbers[at * bytes..][..bytes])
        })
    }
}

impl Element {
    fn bytes(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::F32 | Self::F32BigEndian => 4,
            Self::F64 | Self::F64BigEndian => 8,
        }
    }

    /// Reads a number of exactly [`Element::bytes`].
    fn read(self, bytes: &[u8]) -> f32 {
        const LENGTH: &str = "the caller took as many bytes as the element has";
        match self {
            Self::F16 => f16::from_le_bytes(bytes.try_into().expect(LENGTH)).to_f32(),
            Self::Bf16 => bf16::from_le_bytes(bytes.try_into().expect(LENGTH)).to_f32(),
            Self::F32 => f32::from_le_bytes(bytes.try_into().expect(LENGTH)),
            Self::F32BigEndian => f32::from_be_bytes(bytes.try_into().expect(LENGTH)),
            Self::F64 => f64::from_le_bytes(bytes.try_into().expect(LENGTH)) as f32,
            Self::F64BigEndian => f64::from_be_bytes(bytes.try_into().expect(LENGTH)) as f32,
        }
    }
}

fn unchecked(element: Element, by_column: bool, numbers: &[u8]) -> Matrix<'_> {
    Matrix {
        rows: 0,
        dimension: 0,
        element,
        by_column,
        numbers,
    }
}

fn npy(file: &[u8]) -> Result<(Vec<usize>, Matrix<'_>), String> {
    let mut rest = file;
    let header = Header::from_reader(&mut rest);
    let header = header.map_err(|error| format!("is not an npy file: {error}"))?;
    let kind = header.type_descriptor.to_string();
    let element = match kind.trim_matches(['\'', '"']) {
        "<f2" => Element::F16,
        "<f4" => Element::F32,
        ">f4" => Element::F32BigEndian,
        "<f8" => Element::F64,
        ">f8" => Element::F64BigEndian,
        other => {
            let other: String = other.chars().take(20).collect();
            return Err(format!("holds numbers of type {other}; f4 or f8 is needed"));
        }
    };
    let matrix = unchecked(element, header.layout.is_fortran(), rest);
    Ok((header.shape, matrix))
}

fn safetensors<'f>(file: &'f [u8], tensor: &str) -> Result<(Vec<usize>, Matrix<'f>), String> {
    let tensors = SafeTensors::deserialize(file);
    let tensors = tensors.map_err(|error| format!("is not a safetensors file: {error}"))?;
    let Ok(found) = tensors.tensor(tensor) else {
        let mut names = tensors.names();
        names.sort_unstable();
        names.truncate(10);
        return Err(format!(
            "has no tensor {tensor:?}; it has: {}",
            names.join(", ")
        ));
    };
    let element = match found.dtype() {
        Dtype::F16 => Element::F16,
        Dtype::BF16 => Element::Bf16,
        Dtype::F32 => Element::F32,
        Dtype::F64 => Element::F64,
        other => {
            return Err(format!(
                "holds numbers of type {other:?}; F32 or F64 is needed"
            ));
        }
    };
    let matrix = unchecked(element, false, found.data());
    Ok((found.shape().to_vec(), matrix))
}
