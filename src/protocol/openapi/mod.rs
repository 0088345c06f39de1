//! The OpenAPI documents: what `kubectl explain`, `apply` and `create --validate` know the API from.
//!
//! They are generated from the object types' own schemas when somebody asks first, and kept compressed; until then they
//! cost nothing.
//!
//! - `kinds`: which type describes which kind
//! - `models`, `schema`: definitions, in either form
//! - `paths`, `operation`: paths and operations, in either form
//! - `proto`, `encode`: the protobuf form of version 2
mod document;
mod encode;
mod enums;
pub mod kinds;
mod models;
mod operation;
mod paths;
mod proto;
mod schema;
#[cfg(test)]
mod tests;

pub use document::Document;
pub use models::model_name;

use crate::resource::Resource;
use document::fingerprint;
use models::{Source, definitions};
use schema::Form;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The media type of the protobuf form, as clients ask for it.
pub const V2_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
/// The `Content-Type` that upstream answers the protobuf form with.
pub const V2_PROTOBUF_ANSWER: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// How patches and server-side apply treat a list or map field. Empty strings say nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListRule {
    /// `merge`, `replace`, `retainKeys`, or two of them joined by a comma.
    pub patch_strategy: &'static str,
    /// The key by which a strategic merge patch matches items.
    pub merge_key: &'static str,
    /// `atomic`, `set` or `map`.
    pub list_type: &'static str,
    /// The keys by which server-side apply matches the items of a `map` list.
    pub map_keys: &'static [&'static str],
    /// `atomic` or `granular`, for maps and structs.
    pub map_type: &'static str,
}

impl ListRule {
    fn write(&self, property: &mut Map<String, Value>) {
        let texts = [
            ("x-kubernetes-patch-strategy", self.patch_strategy),
            ("x-kubernetes-patch-merge-key", self.merge_key),
            ("x-kubernetes-list-type", self.list_type),
            ("x-kubernetes-map-type", self.map_type),
        ];
        for (key, value) in texts.into_iter().filter(|(_, value)| !value.is_empty()) {
            property.insert(key.into(), value.into());
        }
        if !self.map_keys.is_empty() {
            property.insert("x-kubernetes-list-map-keys".into(), json!(self.map_keys));
        }
    }
}

/// Answers a definition's name (`io.k8s.api.core.v1.PodSpec`) and a field of it with the field's rule.
pub type Rules = Box<dyn Fn(&str, &str) -> Option<ListRule> + Send + Sync>;

/// The published schema (`openAPIV3Schema`) of a custom kind.
#[derive(Clone, Debug)]
pub struct CustomModel {
    pub group: String,
    pub version: String,
    pub kind: String,
    pub schema: Value,
}

/// The documents of one set of resources. When custom resources come or go, make a new one.
pub struct OpenApi {
    resources: Vec<Resource>,
    custom: Vec<CustomModel>,
    rules: Rules,
    /// By path below `/openapi/v3/`.
    v3: BTreeMap<String, V3>,
    v2_json: OnceLock<Document>,
    v2_proto: OnceLock<Document>,
}

struct V3 {
    group: &'static str,
    version: &'static str,
    /// In the document's URL; clients cache by it.
    fingerprint: String,
    document: OnceLock<Document>,
}

impl OpenApi {
    /// The documents of these resources. `build` names this build of the program: with it a new release changes the
    /// documents' URLs, under which clients cache them for good, even when the resources are the same.
    pub fn new<'a>(resources: impl IntoIterator<Item = &'a Resource>, custom: Vec<CustomModel>, rules: Rules, build: &str) -> Self {
        let resources: Vec<Resource> = resources.into_iter().cloned().collect();
        let mut v3 = BTreeMap::new();
        for resource in &resources {
            let key = match resource.group {
                "" => format!("api/{}", resource.version),
                group => format!("apis/{group}/{}", resource.version),
            };
            let (group, version) = (resource.group, resource.version);
            v3.entry(key).or_insert_with(|| {
                let inside: Vec<_> = resources.iter().filter(|r| r.group == group && r.version == version).collect();
                let custom: Vec<_> = custom.iter().filter(|c| c.group == group && c.version == version).collect();
                V3 { group, version, fingerprint: fingerprint(&format!("{build} {inside:?} {custom:?}")), document: OnceLock::new() }
            });
        }
        OpenApi { resources, custom, rules, v3, v2_json: OnceLock::new(), v2_proto: OnceLock::new() }
    }

    /// The body of `/openapi/v3`: every document with its URL. Generates none of them.
    pub fn v3_index(&self) -> Value {
        let entry = |(path, v3): (&String, &V3)| {
            let url = format!("/openapi/v3/{path}?hash={}", v3.fingerprint);
            (path.clone(), json!({ "serverRelativeURL": url }))
        };
        json!({ "paths": self.v3.iter().map(entry).collect::<Map<_, _>>() })
    }

    /// The `hash` that the document's URL carries now. A request with another one is redirected to it.
    pub fn v3_hash(&self, path: &str) -> Option<&str> {
        self.v3.get(path).map(|v3| v3.fingerprint.as_str())
    }

    /// The document of a group and version, named as in its URL: `api/v1`, `apis/apps/v1`.
    pub fn v3(&self, path: &str) -> Option<&Document> {
        let v3 = self.v3.get(path)?;
        Some(v3.document.get_or_init(|| Document::json(&self.build_v3(v3))))
    }

    /// `/openapi/v2` as JSON.
    pub fn v2_json(&self) -> &Document {
        self.v2_json.get_or_init(|| Document::json(&self.build_v2()))
    }

    /// `/openapi/v2` as protobuf.
    pub fn v2_proto(&self) -> &Document {
        self.v2_proto.get_or_init(|| {
            let message = encode::document(&self.build_v2());
            Document::compress(&prost::Message::encode_to_vec(&message))
        })
    }

    fn build_v3(&self, v3: &V3) -> Value {
        let resources: Vec<&Resource> = self.resources.iter().filter(|r| r.group == v3.group && r.version == v3.version).collect();
        let source = Source { resources: &resources, custom: &self.custom, rules: &*self.rules, form: Form::V3 };
        let schemes = json!({"BearerToken": {"type": "apiKey", "in": "header", "name": "authorization", "description": "Bearer token"}});
        json!({
            "openapi": "3.0.0",
            "info": info(),
            "paths": paths::paths(&source),
            "components": {"schemas": definitions(&source), "securitySchemes": schemes},
        })
    }

    fn build_v2(&self) -> Value {
        let resources: Vec<&Resource> = self.resources.iter().collect();
        let source = Source { resources: &resources, custom: &self.custom, rules: &*self.rules, form: Form::V2 };
        let schemes = json!({"BearerToken": {"type": "apiKey", "in": "header", "name": "authorization", "description": "Bearer token"}});
        json!({
            "swagger": "2.0",
            "info": info(),
            "paths": paths::paths(&source),
            "definitions": definitions(&source),
            "securityDefinitions": schemes,
            "security": [{"BearerToken": []}],
        })
    }
}

fn info() -> Value {
    json!({"title": "Kubernetes", "version": "v1.36.0"})
}
