//! The built binary, started as the Deployment starts it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::time::timeout;

use super::kubelet::Probe;
use super::rendered::Rendered;
use crate::harness::{MODEL, Season, Server, Shop, open_to_all};

/// The registry's folder in a pod whose settings name a bucket.
const REGISTRY: &str = "/var/lib/hotshelf/registry";

/// A container without an engine: a root folder that holds only the image and its volumes.
struct Root {
    folder: TempDir,
    /// Whether this process may change its root; otherwise paths keep the folder as a prefix.
    is_changed: bool,
}

impl Root {
    /// The files that the Dockerfile copies, and a folder for each volume.
    fn new(rendered: &Rendered, registry: &Path) -> Self {
        let root = Self {
            folder: tempfile::tempdir().unwrap(),
            is_changed: rustix::process::geteuid().is_root(),
        };
        fs::copy(env!("CARGO_BIN_EXE_hotshelf"), root.at("/hotshelf")).unwrap();
        for library in libraries() {
            let to = root.at(&library);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(&library, to).unwrap();
        }
        let mounts = rendered.container()["volumeMounts"].as_array().unwrap();
        for mount in mounts {
            root.volume(mount["mountPath"].as_str().unwrap());
        }
        root.volume(Path::new(REGISTRY).parent().unwrap().to_str().unwrap());
        copy(registry, &root.at(REGISTRY));
        root.give(&root.at(REGISTRY));
        for folder in folders(root.folder.path()) {
            let is_volume = root.is_volume(rendered, &folder);
            open_to_all(&folder, if is_volume { 0o755 } else { 0o555 });
        }
        root
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    /// A path as the process sees it.
    fn named(&self, path: &str) -> String {
        match self.is_changed {
            true => path.to_owned(),
            false => self.at(path).display().to_string(),
        }
    }

    fn volume(&self, path: &str) {
        fs::create_dir_all(self.at(path)).unwrap();
        self.give(&self.at(path));
    }

    /// Changes the owner to the pod's user, where this process may.
    fn give(&self, path: &Path) {
        if self.is_changed {
            for path in folders(path).into_iter().chain(files(path)) {
                chown(path, Some(65_532), Some(65_532)).unwrap();
            }
        }
    }

    fn is_volume(&self, rendered: &Rendered, path: &Path) -> bool {
        let mounts = rendered.container()["volumeMounts"].as_array().unwrap();
        let mounts = mounts
            .iter()
            .map(|mount| mount["mountPath"].as_str().unwrap());
        let registry = Path::new(REGISTRY).parent().unwrap().to_str().unwrap();
        mounts
            .chain([registry])
            .any(|mount| path.starts_with(self.at(mount)))
    }

    /// Files outside the volumes.
    fn own_files(&self, rendered: &Rendered) -> BTreeSet<PathBuf> {
        let mut found = files(self.folder.path());
        found.retain(|file| !self.is_volume(rendered, file));
        found.into_iter().collect()
    }

    /// The container's process: user, environment and arguments of the Deployment, free loopback ports, and the
    /// shop's model.
    fn command(&self, rendered: &Rendered) -> Command {
        let context = &rendered.pod()["securityContext"];
        let mut command = if self.is_changed {
            let user = format!("{}:{}", context["runAsUser"], context["runAsGroup"]);
            let mut command = Command::new(chroot());
            command
                .arg(format!("--userspec={user}"))
                .arg(self.folder.path())
                .arg("/hotshelf");
            command
        } else {
            let mut command = Command::new(self.at("/hotshelf"));
            command.current_dir(self.folder.path());
            command
        };
        assert_eq!(
            rendered.container()["command"],
            serde_json::Value::Null,
            "the image's own"
        );
        let arguments = rendered.container()["args"].as_array().unwrap();
        command
            .env_clear()
            .args(arguments.iter().map(|it| it.as_str().unwrap()));
        for (name, text) in rendered.environment() {
            let text = match name.as_str() {
                "HOTSHELF_REGISTRY" => format!("file://{}", self.named(REGISTRY)),
                "HOTSHELF_MODELS" => MODEL.to_owned(),
                "HOTSHELF_CACHE_DIR" => self.named(&text),
                _ if text.starts_with("0.0.0.0:") => "127.0.0.1:0".to_owned(),
                _ => text,
            };
            command.env(name, text);
        }
        command
    }
}

/// By its path: the container's environment has no PATH.
fn chroot() -> &'static Path {
    let places = ["/usr/sbin/chroot", "/usr/bin/chroot"].map(Path::new);
    let found = places.into_iter().find(|place| place.is_file());
    found.expect("Linux systems have chroot in one of two places")
}

/// The libraries that the binary links, and the loader.
fn libraries() -> Vec<String> {
    let output = Command::new("ldd")
        .arg(env!("CARGO_BIN_EXE_hotshelf"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let words = text.split_whitespace().filter(|word| word.starts_with('/'));
    words.map(str::to_owned).collect()
}

fn folders(of: &Path) -> Vec<PathBuf> {
    let mut found = vec![of.to_owned()];
    let mut next = 0;
    while let Some(folder) = found.get(next).cloned() {
        next += 1;
        let entries = fs::read_dir(folder).unwrap().flatten();
        found.extend(
            entries
                .map(|entry| entry.path())
                .filter(|path| path.is_dir()),
        );
    }
    found
}

fn files(of: &Path) -> Vec<PathBuf> {
    let entries = folders(of)
        .into_iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap().flatten());
    entries
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect()
}

fn copy(from: &Path, to: &Path) {
    for folder in folders(from) {
        fs::create_dir_all(to.join(folder.strip_prefix(from).unwrap())).unwrap();
    }
    for file in files(from) {
        fs::copy(&file, to.join(file.strip_prefix(from).unwrap())).unwrap();
    }
}

#[tokio::test]
async fn pod_of_the_base_lives_and_ends_as_its_probes_say() {
    let Some(rendered) = Rendered::of("base") else {
        return;
    };
    life(&rendered).await;
}

#[tokio::test]
async fn pod_of_the_laptop_lives_and_ends_as_its_probes_say() {
    let Some(rendered) = Rendered::of("overlays/laptop") else {
        return;
    };
    let registry = ("HOTSHELF_REGISTRY".to_owned(), format!("file://{REGISTRY}"));
    assert!(rendered.environment().contains(&registry));
    life(&rendered).await;
}

/// From the start without a live version, over a reload, to SIGTERM.
async fn life(rendered: &Rendered) {
    let shop = Shop::new();
    let version = shop.publish(Season::Spring).await.version;
    let root = Root::new(rendered, &shop.root());
    let before = root.own_files(rendered);
    let mut server = Server::run(&mut root.command(rendered), tempfile::tempdir().unwrap()).await;
    let [startup, liveness, readiness] = ["startupProbe", "livenessProbe", "readinessProbe"]
        .map(|name| Probe::of(rendered, name, &server));

    startup.until(true).await;
    readiness.until(false).await;
    assert!(
        liveness.succeeds().await,
        "a server without a live version must not be restarted"
    );

    server.reload(version).await.unwrap();
    readiness.until(true).await;
    assert_eq!(server.recommend("u0001").await.unwrap().version, version);
    assert!(liveness.succeeds().await);

    server.signal(Signal::TERM);
    readiness.until(false).await;
    let grace_s = rendered.pod()["terminationGracePeriodSeconds"]
        .as_u64()
        .unwrap();
    let ended = timeout(Duration::from_secs(grace_s), server.ended()).await;
    assert_eq!(ended.expect("ended before SIGKILL").code(), Some(0));
    assert_eq!(
        root.own_files(rendered),
        before,
        "files outside the volumes changed"
    );
}
