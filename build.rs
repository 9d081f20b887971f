//! Compiles `proto/` with protox, so that no protoc has to be installed, and keeps the descriptor
//! set for server reflection; with its comments, which `grpcurl describe` shows.

use prost::Message;
use std::{env, error::Error, fs, path::PathBuf};

#[allow(
    clippy::disallowed_methods,
    reason = "cargo hands a build script its folder by environment"
)]
fn main() -> Result<(), Box<dyn Error>> {
    let files = [
        "hotshelf/v1/event.proto",
        "hotshelf/v1/recommendation.proto",
        "hotshelf/v1/model.proto",
    ];
    println!("cargo:rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_files(files)?;
    let descriptors = compiler.file_descriptor_set();
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(
        out_dir.join("hotshelf_descriptor.bin"),
        descriptors.encode_to_vec(),
    )?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
