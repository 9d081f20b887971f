//! Shared parts of the command lines, so that both programs look and behave alike.
//!
//! - [`text`]: makes other people's text safe to print;
//! - [`table`]: aligned columns, in one house style;
//! - [`quantity`]: byte sizes, counts and durations, as people read and type them;
//! - [`refresh`]: text that is replaced in place;
//! - [`registry_args`]: `--registry` and the `--s3-…` arguments;
//! - [`environment`]: the one reader of environment variables;
//! - [`usage`]: names what in the arguments is not text;
//! - [`file`](mod@file): files that people name, opened without waiting and read within limits.
//!
//! It must not know gRPC, models, the registry's format or the server.

pub mod environment;
pub mod file;
pub mod quantity;
pub mod refresh;
pub mod registry_args;
pub mod table;
pub mod text;
pub mod usage;
