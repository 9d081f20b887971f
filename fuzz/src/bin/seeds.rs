//! Writes sound artifacts to begin with into `corpus/`, in the form that the targets read.

#![allow(
    dead_code,
    reason = "the laws are shared with tests that use more of them"
)]

use std::{fs, io, path::Path};

#[path = "../../../model/tests/it/hostile/law.rs"]
mod law;
#[path = "../../../model-registry/tests/it/hostile/specimen.rs"]
mod records;
#[path = "../../../model/tests/it/hostile/specimen.rs"]
mod specimen;

fn main() -> io::Result<()> {
    for (at, model) in specimen::specimens().iter().enumerate() {
        write("card", &at.to_string(), &model.card)?;
        for (number, (name, bytes)) in model.parts.iter().enumerate() {
            let choice = [(at << 4 | number) as u8];
            write(
                "parts",
                &format!("{at}-{name}"),
                &[&choice[..], bytes].concat(),
            )?;
        }
    }
    let records = records::Specimens::new();
    write("manifest", "manifest", &records.manifest)?;
    write("manifest", "tombstone", &records.tombstone)?;
    write("rollout", "rollout", &records.rollouts[2])
}

fn write(target: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), bytes)
}
