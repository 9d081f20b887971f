//! A column of numbers that lives in loaded bytes, or in memory that was just computed.
//!
//! Decoding a part costs no copy where its numbers are aligned: a column keeps the part's
//! [`Bytes`] alive and looks at them through bytemuck. It must not know what the numbers mean.

use std::marker::PhantomData;

use bytemuck::Pod;
use bytes::Bytes;

/// Numbers of one type in little-endian memory order, immutable, cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Column<T> {
    bytes: Bytes,
    numbers: PhantomData<T>,
}

/// Lets a vector of numbers be the owner of [`Bytes`], alignment kept.
struct Owned<T>(Vec<T>);

impl<T: Pod> AsRef<[u8]> for Owned<T> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

impl<T: Pod + Send> Column<T> {
    /// Takes over computed numbers without copying them.
    pub(crate) fn from_vec(numbers: Vec<T>) -> Self {
        Self {
            bytes: Bytes::from_owner(Owned(numbers)),
            numbers: PhantomData,
        }
    }

    /// Looks at `bytes` in place; copies them where they are not aligned for `T`. `None` if their
    /// length is not a whole number of `T`. All supported machines are little-endian, as the
    /// containers are.
    pub(crate) fn from_bytes(bytes: Bytes) -> Option<Self> {
        const { assert!(cfg!(target_endian = "little"), "parts are little-endian") };
        if !bytes.len().is_multiple_of(size_of::<T>()) {
            return None;
        }
        if bytemuck::try_cast_slice::<u8, T>(&bytes).is_err() {
            let mut numbers = vec![T::zeroed(); bytes.len() / size_of::<T>()];
            bytemuck::cast_slice_mut(&mut numbers).copy_from_slice(&bytes);
            return Some(Self::from_vec(numbers));
        }
        Some(Self {
            bytes,
            numbers: PhantomData,
        })
    }

    /// The numbers.
    pub(crate) fn as_slice(&self) -> &[T] {
        bytemuck::cast_slice(&self.bytes)
    }

    /// The same numbers as bytes, as they stand in a part.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn aligned_bytes_are_borrowed_and_others_copied() {
        let owned = Column::from_vec(vec![1u32, 2, 3]);
        let start = owned.as_bytes().as_ptr();
        let bytes = owned.bytes;
        let same = Column::<u32>::from_bytes(bytes.slice(4..)).unwrap();
        assert_eq!(same.as_slice(), [2, 3]);
        assert_eq!(same.as_bytes().as_ptr(), start.wrapping_add(4));
        let shifted = Column::<u32>::from_bytes(bytes.slice(1..9)).unwrap();
        assert_eq!(shifted.as_slice(), [2 << 24, 3 << 24]);
        assert!(Column::<u32>::from_bytes(bytes.slice(1..)).is_none());
    }
}
