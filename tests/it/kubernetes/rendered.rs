//! A kustomization as its rendered documents.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::tools::{self, Tool};

/// Every kustomization that is meant to be applied.
pub(super) const KUSTOMIZATIONS: [&str; 4] = [
    "base",
    "overlays/laptop",
    "overlays/memory-scaled",
    "overlays/monitored",
];

/// The pod's name in these tests.
pub(super) const POD_NAME: &str = "hotshelf-5d7f-x2x";
/// The pod's address in these tests.
pub(super) const POD_IP: &str = "10.244.0.7";

/// Reads YAML documents and writes one JSON list.
const AS_JSON: &str = "import json, sys, yaml; \
                       json.dump([d for d in yaml.safe_load_all(sys.stdin) if d], sys.stdout)";

/// One rendered kustomization.
pub(super) struct Rendered {
    pub(super) yaml: Vec<u8>,
    documents: Vec<Value>,
    /// The program that checks it against Kubernetes' schemas.
    pub(super) validator: PathBuf,
}

impl Rendered {
    /// `None` where a tool is missing.
    pub(super) fn of(kustomization: &str) -> Option<Self> {
        let kustomize = tools::find(Tool::Kustomize)?;
        let validator = tools::find(Tool::KubernetesValidate)?;
        let python = tools::find(Tool::KubernetesPython)?;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("k8s")
            .join(kustomization);
        let output = Command::new(kustomize)
            .arg("build")
            .arg(folder)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success() && said.is_empty(),
            "{kustomization}: {said}"
        );
        let documents = as_json(&python, &output.stdout);
        Some(Self {
            yaml: output.stdout,
            documents,
            validator,
        })
    }

    pub(super) fn all(&self) -> &[Value] {
        &self.documents
    }

    /// The only document of this kind and name.
    pub(super) fn document(&self, kind: &str, name: &str) -> &Value {
        let is_it = |it: &&Value| it["kind"] == kind && it["metadata"]["name"] == name;
        let mut found = self.documents.iter().filter(is_it);
        let document = found.next().unwrap_or_else(|| panic!("no {kind} {name}"));
        assert!(found.next().is_none(), "{kind} {name} twice");
        document
    }

    /// The pod template's spec.
    pub(super) fn pod(&self) -> &Value {
        &self.document("Deployment", "hotshelf")["spec"]["template"]["spec"]
    }

    /// The pod's only container.
    pub(super) fn container(&self) -> &Value {
        let containers = self.pod()["containers"].as_array().unwrap();
        assert_eq!(containers.len(), 1);
        &containers[0]
    }

    /// The container's environment, as the kubelet fills it in; optional secrets are absent.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let container = self.container();
        let mut variables = Vec::new();
        for from in container["envFrom"].as_array().unwrap() {
            let name = from["configMapRef"]["name"].as_str().unwrap();
            let data = self.document("ConfigMap", name)["data"]
                .as_object()
                .unwrap();
            let texts = data
                .iter()
                .map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()));
            variables.extend(texts);
        }
        for variable in container["env"].as_array().unwrap() {
            let name = variable["name"].as_str().unwrap().to_owned();
            let field = variable["valueFrom"]["fieldRef"]["fieldPath"].as_str();
            match (variable["value"].as_str(), field) {
                (Some(text), _) => variables.push((name, expanded(text, &variables))),
                (None, Some("metadata.name")) => variables.push((name, POD_NAME.to_owned())),
                (None, Some("status.podIP")) => variables.push((name, POD_IP.to_owned())),
                _ => {
                    let secret = &variable["valueFrom"]["secretKeyRef"];
                    assert_eq!(secret["optional"], true, "{variable}");
                }
            }
        }
        variables
    }

    /// A setting's value in the server: from the environment, or the default.
    pub(super) fn setting(&self, key: &str) -> String {
        let setting = hotshelf::config::SETTINGS
            .iter()
            .find(|it| it.key == key)
            .unwrap();
        let given = self
            .environment()
            .into_iter()
            .find(|(name, _)| *name == setting.variable());
        given.map_or_else(|| setting.default.unwrap().to_owned(), |(_, text)| text)
    }
}

/// A value with `$(NAME)` replaced by the variables above it.
fn expanded(text: &str, before: &[(String, String)]) -> String {
    let named = before.iter();
    let text = named.fold(text.to_owned(), |text, (name, value)| {
        text.replace(&format!("$({name})"), value)
    });
    assert!(
        !text.contains("$("),
        "{text}: refers to a variable that is not above it"
    );
    text
}

/// Parses with the YAML package of the validator's interpreter.
fn as_json(python: &Path, yaml: &[u8]) -> Vec<Value> {
    use std::io::Write;
    let mut child = Command::new(python)
        .args(["-c", AS_JSON])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(yaml).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}
