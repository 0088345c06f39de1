//! The definitions of a document: the schemas of the served kinds, of their lists and of all that they refer to.
use super::kinds::{self, KINDS, define};
use super::schema::{Form, RAW_DEFINITIONS, definition, normalize};
use super::{CustomModel, ListRule};
use crate::resource::Resource;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

pub const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
pub const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
pub const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
const WATCH_EVENT: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent";
const API_RESOURCE_LIST: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.APIResourceList";
const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
/// How every object describes its metadata, custom ones too.
const STANDARD_METADATA: &str =
    "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";
const API_VERSION_TEXT: &str = "The version of the schema of this object, as group/version.";
const KIND_TEXT: &str = "The kind of this object, in CamelCase. It cannot be changed.";

/// What definitions are made from.
pub struct Source<'a> {
    pub resources: &'a [&'a Resource],
    pub custom: &'a [CustomModel],
    pub rules: &'a dyn Fn(&str, &str) -> Option<ListRule>,
    pub form: Form,
}

/// The definition's name of a kind: upstream's for built-in ones, the reversed group for all others
/// (`com.example.stable.v1.CronTab`). Lists have the name of their item and `List`.
pub fn model_name(group: &str, version: &str, kind: &str) -> String {
    match kinds::find(group, version, kind) {
        Some(kind) => kind.model().into_owned(),
        None => {
            let reversed: Vec<&str> = group.rsplit('.').filter(|part| !part.is_empty()).collect();
            let parts = [reversed.as_slice(), &[version, kind]].concat();
            parts.join(".")
        }
    }
}

/// The kind's body has a definition in the documents. Options of `exec` and its like have none.
pub fn has_model(source: &Source<'_>, group: &str, version: &str, kind: &str) -> bool {
    kinds::find(group, version, kind).is_some()
        || source.resources.iter().any(|r| r.group == group && r.version == version && r.kind == kind)
}

/// Every definition that the documents of these resources need, by name.
pub fn definitions(source: &Source<'_>) -> Map<String, Value> {
    let mut generator = SchemaSettings::draft2020_12().with(|s| s.definitions_path = RAW_DEFINITIONS.into()).into_generator();
    define_meta(&mut generator);
    for (group, version, kind) in source.resources.iter().flat_map(|r| kinds_of(r)) {
        if let Some(kind) = kinds::find(group, version, kind) {
            kind.define(&mut generator);
        }
    }
    let mut out = Map::new();
    for (model, raw) in generator.take_definitions(false) {
        let schema = definition(&model, raw, source.form, source.rules);
        out.insert(model, schema);
    }
    for resource in source.resources {
        add_custom(source, &mut out, resource);
    }
    for kind in KINDS {
        tag_kind(&mut out, &kind.model(), kind.group, kind.version, kind.kind);
    }
    for resource in source.resources.iter().filter(|r| r.verbs.contains(&"list")) {
        add_list(source.form, &mut out, resource);
    }
    tag_meta(source, &mut out);
    out
}

fn define_meta(generator: &mut SchemaGenerator) {
    define::<meta::DeleteOptions>(generator);
    define::<meta::Patch>(generator);
    define::<meta::Status>(generator);
    define::<meta::ListMeta>(generator);
    define::<meta::ObjectMeta>(generator);
    define::<meta::APIResourceList>(generator);
    define::<meta::WatchEvent<()>>(generator);
}

/// The kinds that a resource's bodies have: its own and its subresources'.
fn kinds_of(resource: &Resource) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let own = (resource.group, resource.version, resource.kind);
    std::iter::once(own).chain(resource.subresources.iter().map(|s| (s.group, s.version, s.kind)))
}

/// The definition of a kind that is not built in.
fn add_custom(source: &Source<'_>, out: &mut Map<String, Value>, resource: &Resource) {
    let (group, version, kind) = (resource.group, resource.version, resource.kind);
    if kinds::find(group, version, kind).is_some() {
        return;
    }
    let model = model_name(group, version, kind);
    let custom = source.custom.iter().find(|c| c.group == group && c.version == version && c.kind == kind);
    out.insert(model.clone(), custom_definition(custom.map(|c| &c.schema), kind, source.form));
    tag_kind(out, &model, group, version, kind);
}

/// Marks a definition, if it is there, as that of a kind. Kinds that are only part of another one are marked as well.
fn tag_kind(out: &mut Map<String, Value>, model: &str, group: &str, version: &str, kind: &str) {
    let Some(Value::Object(schema)) = out.get_mut(model) else { return };
    schema.insert("x-kubernetes-group-version-kind".into(), json!([{"group": group, "version": version, "kind": kind}]));
}

/// The definition of a custom kind: its own schema with the fields that every object has. Without a schema anything is valid.
fn custom_definition(schema: Option<&Value>, kind: &str, form: Form) -> Value {
    let mut out = match schema {
        Some(Value::Object(map)) => normalize(map.clone(), form),
        _ => {
            let mut open = Map::new();
            open.insert("description".into(), format!("An object of kind {kind}.").into());
            open.insert("x-kubernetes-preserve-unknown-fields".into(), true.into());
            open
        }
    };
    out.insert("type".into(), "object".into());
    // Top-level fields that nobody described stay open; kubectl's validation rejects unknown fields of typed objects.
    if out.contains_key("properties") || out.get("x-kubernetes-preserve-unknown-fields").is_none() {
        let properties = out.entry("properties").or_insert_with(|| json!({}));
        if let Value::Object(properties) = properties {
            properties.insert("apiVersion".into(), json!({"type": "string", "description": API_VERSION_TEXT}));
            properties.insert("kind".into(), json!({"type": "string", "description": KIND_TEXT}));
            properties.insert("metadata".into(), described(form, OBJECT_META, STANDARD_METADATA));
        }
    }
    out.into()
}

fn described(form: Form, model: &str, description: &str) -> Value {
    let mut schema = form.reference(model);
    schema["description"] = description.into();
    match schema {
        Value::Object(map) => normalize(map, form).into(),
        other => other,
    }
}

fn add_list(form: Form, out: &mut Map<String, Value>, resource: &Resource) {
    let item = model_name(resource.group, resource.version, resource.kind);
    let kind = format!("{}List", resource.kind);
    let schema = json!({
        "description": format!("{kind} is a list of {}.", resource.kind),
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string", "description": API_VERSION_TEXT},
            "kind": {"type": "string", "description": KIND_TEXT},
            "metadata": described(form, LIST_META, "Standard list metadata."),
            "items": {"type": "array", "items": form.reference(&item), "description": format!("The objects of kind {} in this list.", resource.kind)},
        },
        "x-kubernetes-group-version-kind": [{"group": resource.group, "version": resource.version, "kind": kind}],
    });
    out.insert(format!("{item}List"), schema);
}

/// Options and events are bodies in every group and say so.
fn tag_meta(source: &Source<'_>, out: &mut Map<String, Value>) {
    let mut served: Vec<(&str, &str)> = source.resources.iter().map(|r| (r.group, r.version)).chain([("", "v1")]).collect();
    served.sort_unstable();
    served.dedup();
    let kinds = [
        (DELETE_OPTIONS, "DeleteOptions", true),
        (WATCH_EVENT, "WatchEvent", true),
        (STATUS, "Status", false),
        (API_RESOURCE_LIST, "APIResourceList", false),
    ];
    for (model, kind, everywhere) in kinds {
        let tags = served.iter().filter(|(group, version)| everywhere || (group.is_empty() && *version == "v1"));
        let tags: Value = tags.map(|(group, version)| json!({"group": group, "version": version, "kind": kind})).collect();
        if let Some(Value::Object(schema)) = out.get_mut(model) {
            schema.insert("x-kubernetes-group-version-kind".into(), tags);
        }
    }
}
