//! From the schemas that the object types carry to the form in which upstream publishes them.
use super::{ListRule, enums};
use serde_json::{Map, Value, json};

/// Which of the two documents a schema is for. They differ in where definitions live and in what they can express.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Swagger 2.0: no `oneOf`, `anyOf`, `not`, `nullable`.
    V2,
    /// OpenAPI 3.0.
    V3,
}

impl Form {
    /// A reference to a definition: `#/definitions/…` or `#/components/schemas/…`.
    pub fn reference(self, model: &str) -> Value {
        let prefix = match self {
            Form::V2 => "#/definitions/",
            Form::V3 => "#/components/schemas/",
        };
        json!({ "$ref": format!("{prefix}{model}") })
    }
}

/// Where the generator is told to put definitions; `normalize` rewrites the references.
pub const RAW_DEFINITIONS: &str = "/$defs";

const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const INT_OR_STRING: &str = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
/// Unions that upstream publishes without a type, by the end of their name.
const UNTYPED: &[&str] = &[".v1.JSON", ".v1.JSONSchemaPropsOrArray", ".v1.JSONSchemaPropsOrBool", ".v1.JSONSchemaPropsOrStringArray"];
/// Types that a server-side apply owns as a whole, by the end of their name.
const ATOMIC: &[&str] = &[
    "core.v1.ConfigMapKeySelector",
    "core.v1.EndpointAddress",
    "core.v1.EndpointPort",
    "core.v1.FileKeySelector",
    "core.v1.LocalObjectReference",
    "core.v1.NodeSelector",
    "core.v1.NodeSelectorTerm",
    "core.v1.ObjectFieldSelector",
    "core.v1.ObjectReference",
    "core.v1.ResourceFieldSelector",
    "core.v1.ScopeSelector",
    "core.v1.SecretKeySelector",
    "core.v1.SecretReference",
    "core.v1.TopologySelectorTerm",
    "core.v1.TypedLocalObjectReference",
    "meta.v1.LabelSelector",
    "meta.v1.OwnerReference",
    "rbac.v1.RoleRef",
    "rbac.v1.Subject",
    "discovery.v1.EndpointPort",
    "autoscaling.v1.CrossVersionObjectReference",
    "admissionregistration.v1.MatchResources",
    "admissionregistration.v1.NamedRuleWithOperations",
    "admissionregistration.v1.ParamKind",
    "admissionregistration.v1.ParamRef",
    "admissionregistration.v1.Variable",
    "networking.v1.ServiceBackendPort",
];

/// Types whose `name` defaults to nothing, by the end of their name: it may be left out.
const NAME_OPTIONAL: &[&str] = &[
    "core.v1.ConfigMapEnvSource",
    "core.v1.ConfigMapKeySelector",
    "core.v1.ConfigMapProjection",
    "core.v1.ConfigMapVolumeSource",
    "core.v1.LocalObjectReference",
    "core.v1.SecretEnvSource",
    "core.v1.SecretKeySelector",
    "core.v1.SecretProjection",
];

/// A definition as upstream publishes it: normalized, with the list rules of its fields.
pub fn definition(model: &str, raw: Value, form: Form, rules: &dyn Fn(&str, &str) -> Option<ListRule>) -> Value {
    let mut schema = match raw {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    if model == QUANTITY || model == INT_OR_STRING || UNTYPED.iter().any(|end| model.ends_with(end)) {
        return special(model, schema.remove("description"), form);
    }
    let mut out = normalize(schema, form);
    correct_required(model, &mut out);
    if ATOMIC.iter().any(|end| model.ends_with(end)) {
        out.insert("x-kubernetes-map-type".into(), "atomic".into());
    }
    if let Some(Value::Object(properties)) = out.get_mut("properties") {
        for (field, property) in properties.iter_mut() {
            if let (Some(rule), Value::Object(property)) = (rules(model, field), property) {
                rule.write(property);
            }
        }
        for (field, words) in enums::words(model) {
            let Some(property) = properties.get_mut(field) else { continue };
            let one = if property["items"].is_object() { &mut property["items"] } else { property };
            one["enum"] = words.collect();
        }
    }
    out.into()
}

/// The types insist on fields that are always there once stored (metadata above all); what a client sends may lack them.
fn correct_required(model: &str, out: &mut Map<String, Value>) {
    let mut required = match out.remove("required") {
        Some(Value::Array(fields)) => fields,
        _ => Vec::new(),
    };
    let name_optional = NAME_OPTIONAL.iter().any(|end| model.ends_with(end));
    let metadata_required = model == "io.k8s.api.core.v1.Event";
    required.retain(|field| (field != "metadata" || metadata_required) && (field != "name" || !name_optional));
    if model == "io.k8s.api.events.v1.Event" {
        required.push("eventTime".into());
    }
    if !required.is_empty() {
        out.insert("required".into(), required.into());
    }
}

fn special(model: &str, description: Option<Value>, form: Form) -> Value {
    let mut out = Map::new();
    out.extend(description.map(|text| ("description".to_string(), text)));
    if model == INT_OR_STRING {
        out.insert("format".into(), "int-or-string".into());
    }
    let typed = model == QUANTITY || model == INT_OR_STRING;
    match form {
        Form::V2 if typed => _ = out.insert("type".into(), "string".into()),
        Form::V3 if model == QUANTITY => _ = out.insert("oneOf".into(), json!([{"type": "string"}, {"type": "number"}])),
        Form::V3 if typed => _ = out.insert("oneOf".into(), json!([{"type": "integer"}, {"type": "string"}])),
        _ => {}
    }
    out.into()
}

/// One schema object in the document's form. References with siblings become `allOf` in v3, as references there stand alone.
pub fn normalize(raw: Map<String, Value>, form: Form) -> Map<String, Value> {
    let mut out = Map::new();
    let flag = |key: &str| raw.get(key) == Some(&Value::Bool(true));
    // What a custom resource's schema says beyond swagger 2.0 is published as "anything", as upstream does.
    let open = form == Form::V2 && (flag("x-kubernetes-preserve-unknown-fields") || flag("nullable"));
    let untyped = open || (form == Form::V2 && flag("x-kubernetes-int-or-string"));
    for (key, value) in raw {
        match key.as_str() {
            "$ref" => reference(&value, form, &mut out),
            "$schema" | "title" | "$defs" => {}
            "oneOf" | "anyOf" | "not" | "nullable" | "default" if form == Form::V2 => {}
            "type" if untyped => {}
            "properties" | "items" | "additionalProperties" | "required" if open => {}
            "type" => _ = out.insert(key, plain_type(value)),
            "properties" => _ = out.insert(key, properties(value, form)),
            "items" | "additionalProperties" | "not" => _ = out.insert(key, subschema(value, form)),
            "allOf" | "oneOf" | "anyOf" => _ = out.insert(key, list(value, form)),
            _ => _ = out.insert(key, value),
        }
    }
    let wrapped = if out.len() > 1 && form == Form::V3 { out.remove("$ref") } else { None };
    if let Some(reference) = wrapped {
        out.insert("allOf".into(), json!([{ "$ref": reference }]));
    }
    out
}

fn reference(value: &Value, form: Form, out: &mut Map<String, Value>) {
    let model = value.as_str().and_then(|text| text.rsplit('/').next()).unwrap_or_default();
    if let Value::Object(map) = form.reference(model) {
        out.extend(map);
    }
}

/// `["string", "null"]` is `string`: absence is how the API says null.
fn plain_type(value: Value) -> Value {
    match value {
        Value::Array(types) => types.into_iter().find(|t| t != "null").unwrap_or_else(|| "object".into()),
        other => other,
    }
}

fn subschema(value: Value, form: Form) -> Value {
    match value {
        Value::Object(map) => normalize(map, form).into(),
        other => other,
    }
}

fn properties(value: Value, form: Form) -> Value {
    match value {
        Value::Object(map) => map.into_iter().map(|(name, schema)| (name, subschema(schema, form))).collect::<Map<_, _>>().into(),
        other => other,
    }
}

fn list(value: Value, form: Form) -> Value {
    match value {
        Value::Array(schemas) => schemas.into_iter().map(|schema| subschema(schema, form)).collect(),
        other => other,
    }
}
