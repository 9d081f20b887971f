//! The wire contract as other people's tools see it.

use std::path::Path;
use std::process::Command;

use crate::tools::{self, Tool};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let output = command.current_dir(root()).output().unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{command:?}\n{out}{err}");
    out.into_owned()
}

#[test]
fn proto_is_clean_under_the_standard_lint() {
    let Some(buf) = tools::find(Tool::Buf) else {
        return;
    };
    succeeds(Command::new(buf).arg("lint"));
}

#[test]
fn python_stubs_are_generated_from_proto() {
    let Some(python) = tools::find(Tool::Python) else {
        return;
    };
    let mut command = Command::new(python);
    let listed = succeeds(command.args(["tests/python/call_recommend.py", "--list"]));
    assert!(
        listed.contains("hotshelf.v1.RecommendationService/Recommend"),
        "{listed}"
    );
    assert!(
        listed.contains("hotshelf.v1.ModelService/ReloadModel"),
        "{listed}"
    );
}
