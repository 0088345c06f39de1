//! `impresario why pod/x`: the causal log, from an object back to what made it.
use super::bench::client::{Call, Client};
use super::bench::kubeconfig::Access;
use super::{CliError, Outcome};
use crate::protocol::decision::{Decision, GROUP};
use clap::Args;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroupList, APIResource, APIResourceList};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

/// Tell why an object is as it is.
#[derive(Args)]
pub struct Why {
    /// The object, which may be long gone: pod/web-1, deploy/web, node/a.
    object: String,
    #[arg(short, long, default_value = "default")]
    namespace: String,
    /// How to reach the cluster; the file in $KUBECONFIG otherwise.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// The data directory of a cluster on this machine, whose administrator asks; when there is no kubeconfig.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Print the decisions as JSON, oldest first, without those about the owners.
    #[arg(long)]
    json: bool,
}

/// Owners that are followed: more than any of Kubernetes' own have.
const DEPTH: usize = 8;
/// Decisions shown of each owner: the last ones before it made the object.
const OF_OWNERS: usize = 5;

impl Why {
    /// Asks the server and prints. Errors: 2 for an object that cannot be, or a cluster that cannot be reached.
    pub fn run(self) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| CliError::failed(format!("cannot start: {e}")))?;
        runtime.block_on(self.tell())
    }

    async fn tell(self) -> Outcome {
        let (kind, name) = self.object.split_once('/').filter(|(kind, name)| !kind.is_empty() && !name.is_empty()).ok_or_else(|| {
            CliError::usage(format!("\"{}\" names no object; write the kind and the name, for instance pod/web-1", self.object))
        })?;
        let own = || self.data_dir.as_ref().map(|data| data.join("admin.kubeconfig"));
        let path = self.kubeconfig.clone().or_else(own).or_else(|| std::env::var_os("KUBECONFIG").map(PathBuf::from));
        let path = path.ok_or_else(|| CliError::usage("name the cluster with --kubeconfig FILE"))?;
        let access = Access::load(&path).map(Arc::new).map_err(CliError::usage)?;
        let mut server = Server { client: Client::new(access), resources: Vec::new() };
        server.discover().await?;
        let resource = server.named(kind).ok_or_else(|| CliError::usage(format!("the server doesn't have a resource type \"{kind}\"")))?;
        let subject = Subject { resource: resource.clone(), namespace: self.namespace.clone(), name: name.to_string() };
        if self.json {
            let found = server.decisions(&subject).await?;
            println!("{}", serde_json::to_string_pretty(&found).map_err(CliError::failed)?);
            return Ok(());
        }
        let mut levels = Vec::new();
        let (mut next, mut until) = (Some(subject), None);
        while let Some(subject) = next.take().filter(|_| levels.len() < DEPTH) {
            let mut found = server.decisions(&subject).await?;
            if let Some(until) = &until {
                found.retain(|d| d.metadata.name.as_ref() <= Some(until));
                found = found.split_off(found.len().saturating_sub(OF_OWNERS));
            }
            if let Some(maker) = found.iter().find(|d| made(d, &subject)) {
                until = maker.metadata.name.clone();
                next = server.subject(&maker.about).filter(|s| s.name != subject.name || s.resource != subject.resource);
            }
            levels.push((subject, found));
        }
        print!("{}", story(&levels));
        Ok(())
    }
}

/// An object, by the resource that it is found under.
#[derive(Clone)]
struct Subject {
    resource: Found,
    namespace: String,
    name: String,
}

/// A resource of the server.
#[derive(Clone, PartialEq)]
struct Found {
    group: String,
    api_version: String,
    resource: APIResource,
}

impl Found {
    /// `pods`, `deployments.apps`: how the log names it.
    fn qualified(&self) -> String {
        if self.group.is_empty() { self.resource.name.clone() } else { format!("{}.{}", self.resource.name, self.group) }
    }

    fn answers_to(&self, word: &str) -> bool {
        let word = word.to_lowercase();
        let resource = &self.resource;
        let short = resource.short_names.iter().flatten().any(|s| *s == word);
        short || resource.name == word || resource.singular_name == word || self.qualified() == word || resource.kind.to_lowercase() == word
    }
}

struct Server {
    client: Client,
    resources: Vec<Found>,
}

#[derive(Deserialize)]
struct Decisions {
    items: Vec<Decision>,
}

impl Server {
    async fn get<T: DeserializeOwned>(&mut self, path: String) -> Result<T, CliError> {
        let body = self.client.call(Call::get(path)).await.map_err(CliError::usage)?;
        serde_json::from_slice(&body).map_err(|e| CliError::failed(format!("the server's answer makes no sense: {e}")))
    }

    /// Asks which resources there are.
    async fn discover(&mut self) -> Result<(), CliError> {
        let groups: APIGroupList = self.get("/apis".into()).await?;
        let preferred = groups.groups.iter().filter_map(|g| g.preferred_version.as_ref()).map(|v| v.group_version.clone());
        for version in std::iter::once("v1".to_string()).chain(preferred) {
            let (path, group) = match version.split_once('/') {
                Some((group, _)) => (format!("/apis/{version}"), group.to_string()),
                None => (format!("/api/{version}"), String::new()),
            };
            // A group whose extension server is away says nothing; the others still do.
            let Ok(list) = self.get::<APIResourceList>(path).await else { continue };
            let whole = list.resources.into_iter().filter(|r| !r.name.contains('/'));
            self.resources.extend(whole.map(|resource| Found { group: group.clone(), api_version: version.clone(), resource }));
        }
        Ok(())
    }

    fn named(&self, word: &str) -> Option<Found> {
        self.resources.iter().find(|found| found.answers_to(word)).cloned()
    }

    fn subject(&self, object: &ObjectReference) -> Option<Subject> {
        let (version, kind) = (object.api_version.as_deref()?, object.kind.as_deref()?);
        let resource = self.resources.iter().find(|f| f.api_version == version && f.resource.kind == kind)?.clone();
        let namespace = object.namespace.clone().unwrap_or_else(|| "default".into());
        Some(Subject { resource, namespace, name: object.name.clone()? })
    }

    async fn decisions(&mut self, subject: &Subject) -> Result<Vec<Decision>, CliError> {
        let namespace = if subject.resource.resource.namespaced { subject.namespace.as_str() } else { "default" };
        let field = format!("involves%3D{}%2F{}", subject.resource.qualified(), subject.name);
        let list: Decisions = self.get(format!("/apis/{GROUP}/v1/namespaces/{namespace}/decisions?fieldSelector={field}")).await?;
        Ok(list.items)
    }
}

/// Whether a decision made the object.
fn made(decision: &Decision, subject: &Subject) -> bool {
    let is = |object: &ObjectReference| {
        object.name.as_deref() == Some(&subject.name) && object.kind.as_deref() == Some(&subject.resource.resource.kind)
    };
    decision.actions.iter().any(|action| action.verb == "create" && is(&action.object))
}

/// What people read: the object first, then who made it, and why that one was there.
fn story(levels: &[(Subject, Vec<Decision>)]) -> String {
    let mut out = String::new();
    for (level, (subject, decisions)) in levels.iter().enumerate() {
        let place = if subject.resource.resource.namespaced { format!(" in {}", subject.namespace) } else { String::new() };
        let kind = subject.resource.resource.kind.to_lowercase();
        let _ = match level {
            0 => writeln!(out, "{kind}/{}{place}", subject.name),
            _ => writeln!(out, "\nmade by {kind}/{}, which was itself moved by", subject.name),
        };
        if decisions.is_empty() {
            let _ = writeln!(out, "  nothing is on record: nobody but its users decided about it, or it is too long ago");
        }
        for decision in decisions {
            tell(&mut out, decision, subject);
        }
    }
    out
}

fn tell(out: &mut String, decision: &Decision, subject: &Subject) {
    let when = decision.metadata.creation_timestamp.as_ref().map_or_else(String::new, |t| t.0.strftime("%F %T").to_string());
    let _ = write!(out, "  {when}  {:<18} {}", decision.controller, short(&decision.about));
    let _ = writeln!(out, ": {}", decision.why);
    let indent = " ".repeat(23);
    if let Some(cause) = &decision.cause {
        let _ = writeln!(out, "{indent}because {} was {}", short(&cause.object), cause.change.to_lowercase());
    }
    let mine = |object: &ObjectReference| object.name.as_deref() == Some(subject.name.as_str());
    let (of_it, others): (Vec<_>, Vec<_>) = decision.actions.iter().partition(|a| mine(&a.object));
    let words: Vec<String> = of_it.iter().map(|a| format!("{} {}", a.verb, short(&a.object))).collect();
    match (words.is_empty(), others.len()) {
        (true, 0) => {}
        (true, n) => drop(writeln!(out, "{indent}did {n} thing{} to other objects", if n == 1 { "" } else { "s" })),
        (false, 0) => drop(writeln!(out, "{indent}did {}", words.join(", "))),
        (false, n) => drop(writeln!(out, "{indent}did {}, and {n} more", words.join(", "))),
    }
    if let Some(failure) = &decision.failure {
        let _ = writeln!(out, "{indent}but: {failure}");
    }
}

fn short(object: &ObjectReference) -> String {
    format!("{}/{}", object.kind.as_deref().unwrap_or("object").to_lowercase(), object.name.as_deref().unwrap_or("?"))
}
