//! The Dockerfile's text against toolchain and manifests. No test builds it: that needs a container engine.

use std::fs;
use std::path::Path;

use super::rendered::{KUSTOMIZATIONS, Rendered};

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// Instructions with their arguments, continued lines joined.
fn instructions() -> Vec<(String, String)> {
    let text = read("Dockerfile").replace("\\\n", " ");
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, rest) = line.split_once(' ').unwrap();
            (
                name.to_owned(),
                rest.split_whitespace().collect::<Vec<_>>().join(" "),
            )
        })
        .collect()
}

/// The arguments of every instruction of this name.
fn all(name: &str) -> Vec<String> {
    let found = instructions().into_iter().filter(|it| it.0 == name);
    found.map(|it| it.1).collect()
}

#[test]
fn image_is_built_by_the_pinned_toolchain_and_holds_the_server_alone() {
    let toolchain: toml::Table = read("rust-toolchain.toml").parse().unwrap();
    let channel = toolchain["toolchain"]["channel"].as_str().unwrap();
    assert_eq!(
        all("FROM"),
        [
            format!("rust:{channel}-slim-bookworm AS build"),
            "scratch".to_owned()
        ]
    );
    assert_eq!(all("COPY"), [". .", "--from=build /image /"]);
    let build = "cargo build --locked --release --package hotshelf --bin hotshelf";
    assert!(all("RUN").iter().any(|run| run.contains(build)));
}

#[test]
fn image_runs_as_the_deployment_does() {
    assert_eq!(all("ENTRYPOINT"), [r#"["/hotshelf"]"#]);
    assert_eq!(all("CMD"), [r#"["serve"]"#]);
    for kustomization in KUSTOMIZATIONS {
        let Some(rendered) = Rendered::of(kustomization) else {
            return;
        };
        let context = &rendered.pod()["securityContext"];
        let user = format!("{}:{}", context["runAsUser"], context["runAsGroup"]);
        assert_eq!(all("USER"), [user]);
        let ports = rendered.container()["ports"].as_array().unwrap();
        let ports: Vec<String> = ports
            .iter()
            .map(|it| it["containerPort"].to_string())
            .collect();
        assert_eq!(all("EXPOSE"), [ports.join(" ")]);
        // The manifests set the image's own variables to the same values.
        let environment = rendered.environment();
        for pair in all("ENV").remove(0).split(' ') {
            let (name, text) = pair.split_once('=').unwrap();
            let given = environment.iter().find(|it| it.0 == name).unwrap();
            assert_eq!(given.1, text, "{name}");
        }
    }
}

#[test]
fn build_context_holds_every_package_of_the_workspace() {
    let workspace: toml::Table = read("Cargo.toml").parse().unwrap();
    let ignored = read(".dockerignore");
    let members = workspace["workspace"]["members"].as_array().unwrap();
    let needed = members.iter().map(|member| member.as_str().unwrap());
    for path in needed.chain([
        ".cargo",
        "Cargo.toml",
        "Cargo.lock",
        "build.rs",
        "proto",
        "src",
        "benches",
    ]) {
        assert!(
            ignored.lines().any(|line| line == format!("!{path}")),
            "{path}"
        );
    }
}
