//! Definitions for tests to use: made, waited for, and removed.
use super::until;
use crate::api::client::{Answer, Client};
use serde_json::{Value, json};

pub const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// A kind of one's own.
pub struct Custom {
    pub group: String,
    pub plural: String,
    pub kind: String,
    /// The definition that was asked for.
    pub definition: Value,
}

impl Custom {
    /// A cluster-wide kind `<Word>` in the group `<word>.conf.example.com`, with versions of one schema; the first is stored.
    pub fn new(word: &str, versions: &[&str], schema: Value) -> Custom {
        let group = format!("{word}.conf.example.com");
        let plural = format!("{word}s");
        let kind: String = word.chars().take(1).flat_map(char::to_uppercase).chain(word.chars().skip(1)).collect();
        let versions: Vec<Value> = versions.iter().enumerate().map(|(i, v)| version(v, i == 0, &schema)).collect();
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": { "name": format!("{plural}.{group}") },
            "spec": {
                "group": group, "scope": "Cluster", "versions": versions,
                "names": { "plural": plural, "singular": word, "kind": kind, "listKind": format!("{kind}List") },
            },
        });
        Custom { group, plural, kind, definition }
    }

    pub fn name(&self) -> String {
        format!("{}.{}", self.plural, self.group)
    }

    /// The path of the definition.
    pub fn at(&self) -> String {
        format!("{DEFINITIONS}/{}", self.name())
    }

    /// The path of its objects under a version.
    pub fn path(&self, version: &str) -> String {
        format!("/apis/{}/{version}/{}", self.group, self.plural)
    }

    /// An object; `more` has its other fields.
    pub fn object(&self, version: &str, name: &str, more: Value) -> Value {
        let mut object = json!({ "apiVersion": format!("{}/{version}", self.group), "kind": self.kind, "metadata": { "name": name } });
        for (field, value) in more.as_object().into_iter().flatten() {
            object[field] = value.clone();
        }
        object
    }

    /// Makes the definition and waits until it is served.
    pub async fn create(&self, api: &Client) -> Value {
        let made = api.post(DEFINITIONS, &self.definition).await.ok();
        let first = self.definition["spec"]["versions"][0]["name"].as_str().expect("a version").to_string();
        self.served(api, &first).await;
        made
    }

    pub async fn served(&self, api: &Client, version: &str) {
        until("the kind is served", async || (api.get(&self.path(version)).await.status == 200).then_some(())).await;
    }

    /// Server-side apply of a YAML body.
    pub async fn apply(&self, api: &Client, version: &str, name: &str, query: &str, yaml: &str) -> Answer {
        let path = format!("{}/{name}?fieldManager=test{query}", self.path(version));
        let head = format!("apiVersion: {}/{version}\nkind: {}\n", self.group, self.kind);
        api.send("PATCH", &path, &[("content-type", "application/apply-patch+yaml")], head + yaml).await
    }

    pub async fn remove(&self, api: &Client) {
        api.delete(&self.at()).await.ok();
    }
}

/// One version of a definition.
pub fn version(name: &str, storage: bool, schema: &Value) -> Value {
    json!({ "name": name, "served": true, "storage": storage, "schema": { "openAPIV3Schema": schema } })
}

/// A schema that keeps everything.
pub fn anything() -> Value {
    json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}
