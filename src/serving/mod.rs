//! The data path of a request.

pub mod cache;
pub(crate) mod validate;
