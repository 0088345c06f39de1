//! The stock kubectls on this machine, one per minor version, and how tests call them.
use crate::cluster::Cluster;
use crate::run::{Run, run, run_with};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// The oldest and the newest version that must work.
const OLDEST: u32 = 28;
const NEWEST: u32 = 36;

/// A kubectl of one version.
pub struct Tool {
    /// The minor version: 36 for v1.36.3.
    pub minor: u32,
    pub path: PathBuf,
}

/// Every kubectl from 1.28 on, oldest first; 1.36 is always among them.
pub fn tools() -> &'static [Tool] {
    static TOOLS: OnceLock<Vec<Tool>> = OnceLock::new();
    TOOLS.get_or_init(|| {
        let mut found = BTreeMap::new();
        for path in candidates() {
            if let Some(minor) = minor_of(&path) {
                found.entry(minor).or_insert(path);
            }
        }
        let names: Vec<String> = found.iter().map(|(minor, path)| format!("1.{minor} ({})", path.display())).collect();
        eprintln!("testing with kubectl {}", names.join(", "));
        assert!(found.contains_key(&NEWEST), "kubectl 1.{NEWEST} is missing: run scripts/kubectl.sh");
        found.into_iter().map(|(minor, path)| Tool { minor, path }).collect()
    })
}

/// The newest one, for tests that are not about kubectl.
pub fn newest() -> &'static Tool {
    tools().last().expect("at least one")
}

/// The scenes that are played with more than one kubectl.
const SCENES: [&str; 11] =
    ["workloads", "rollouts", "rollouts-more", "jobs", "streams", "objects", "by-hand", "documents", "custom", "admission", "rights"];

/// The kubectls of a scene: the oldest, the newest, and one of those in between, each of which has scenes. Whoever sets
/// `EVERY_KUBECTL` plays every scene with all of them.
pub fn selected(scene: &str) -> Vec<&'static Tool> {
    let all = tools();
    if all.len() < 4 || std::env::var_os("EVERY_KUBECTL").is_some() {
        return all.iter().collect();
    }
    let place = SCENES.iter().position(|s| *s == scene).unwrap_or_else(|| panic!("{scene} is not among the scenes"));
    vec![&all[0], &all[1 + place % (all.len() - 2)], newest()]
}

fn candidates() -> Vec<PathBuf> {
    let fetched = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder").join("tools");
    let mut folders = vec![fetched];
    for folder in std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()) {
        // Where a link leads to, further versions often lie beside.
        let real = folder.join("kubectl").canonicalize().ok().and_then(|p| p.parent().map(Path::to_path_buf));
        folders.push(folder);
        folders.extend(real);
    }
    let mut paths = Vec::new();
    for folder in folders {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name == "kubectl" || name.starts_with("kubectl.1.") || name.starts_with("kubectl-1.") {
                paths.push(entry.path());
            }
        }
    }
    paths
}

/// The minor version, when it is one that must work.
fn minor_of(path: &Path) -> Option<u32> {
    let output = Command::new(path).args(["version", "--client", "-o", "json"]).output().ok()?;
    let version: Value = serde_json::from_slice(&output.stdout).ok()?;
    let text = version["clientVersion"]["gitVersion"].as_str()?;
    // A dispatcher is no kubectl of its own: it starts one of those that lie beside it.
    if text.contains("dispatcher") {
        return None;
    }
    let minor = text.strip_prefix("v1.")?.split('.').next()?.parse().ok()?;
    (OLDEST..=NEWEST).contains(&minor).then_some(minor)
}

/// A kubectl that talks to one cluster, in one namespace.
pub struct Kubectl<'a> {
    pub cluster: &'a Cluster,
    pub tool: &'a Tool,
    pub namespace: String,
}

impl Kubectl<'_> {
    /// The command with these arguments, not yet started.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.cluster.at_home(&self.tool.path);
        let home = self.cluster.scratch().join(format!("home-1.{}", self.tool.minor));
        command.env("KUBECONFIG", self.cluster.kubeconfig()).env("HOME", home).current_dir(self.cluster.scratch());
        command.arg("--namespace").arg(&self.namespace).args(args);
        command
    }

    /// Runs `kubectl <line>`; the line is cut at white space.
    #[track_caller]
    pub fn run(&self, line: &str) -> Run {
        run(&mut self.command(&line.split_whitespace().collect::<Vec<_>>()))
    }

    /// The output of a command that must succeed.
    #[track_caller]
    pub fn ok(&self, line: &str) -> String {
        self.run(line).ok()
    }

    /// Like [`Kubectl::ok`] with words that contain white space.
    #[track_caller]
    pub fn ok_words(&self, words: &[&str]) -> String {
        run(&mut self.command(words)).ok()
    }

    /// Runs `kubectl <line> -f -` with a manifest to read.
    #[track_caller]
    pub fn feed(&self, line: &str, manifest: &str) -> Run {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        words.extend(["-f", "-"]);
        // What begins with a brace would be taken for JSON.
        let manifest = format!("---\n{manifest}");
        run_with(&mut self.command(&words), manifest.as_bytes(), Duration::from_secs(60))
    }

    /// An object as JSON.
    #[track_caller]
    pub fn json(&self, line: &str) -> Value {
        let text = self.ok(&format!("{line} -o json"));
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("`kubectl {line} -o json` is not JSON ({e}): {text}"))
    }

    /// The namespace, made anew.
    #[track_caller]
    pub fn make_namespace(&self) {
        let manifest = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {}}}}}", self.namespace);
        self.feed("create", &manifest).ok();
    }

    /// Removes the namespace with all that is in it, without waiting.
    #[track_caller]
    pub fn drop_namespace(&self) {
        let name = &self.namespace;
        self.ok(&format!("delete namespace {name} --wait=false"));
    }
}
