//! Custom kinds: from the OpenAPI v3 schema of their definition.
use super::{ATOMIC, Field, Key, List, ListKind, Map, SCALAR, Scalar, Schema, Type, TypeId, UNTYPED, builtin::builtin, first_types};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::sync::Arc;

/// How deep a schema is followed; what lies deeper is owned as a whole.
const MAX_DEPTH: usize = 100;

/// The schema of a custom kind from its `openAPIV3Schema`. Anything that isn't an object stands for "no schema".
pub fn custom(openapi: &Value) -> Schema {
    let meta_source = builtin("", "v1", "ConfigMap");
    let mut build = Build { types: first_types(), meta: None, meta_source };
    let root = match openapi {
        Value::Object(_) => build.object(openapi),
        _ => build.object(&json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})),
    };
    // Upstream compares a new custom object with one that has but its type.
    Schema { types: build.types.into(), root, zero: Arc::new(json!({})), custom: true }
}

struct Build {
    types: Vec<Type>,
    meta: Option<TypeId>,
    meta_source: Schema,
}

impl Build {
    fn push(&mut self, new: Type) -> TypeId {
        self.types.push(new);
        (self.types.len() - 1) as TypeId
    }

    /// A schema with the fields that every object has.
    fn object(&mut self, schema: &Value) -> TypeId {
        let mut map = self.map(schema, 0);
        let meta = self.object_meta();
        map.fields = with_object_fields(map.fields.into_vec(), meta);
        self.push(Type { map: Some(map), ..Type::default() })
    }

    /// `ObjectMeta`, copied from the built-in table.
    fn object_meta(&mut self) -> TypeId {
        if let Some(id) = self.meta {
            return id;
        }
        let source = self.meta_source.clone();
        let root = source.get(source.root()).and_then(|t| t.map.as_ref());
        let meta = root.and_then(|m| m.field("metadata").0).and_then(|id| source.get(id)).cloned().unwrap_or_default();
        let mut copy = meta;
        for field in copy.map.iter_mut().flat_map(|m| m.fields.iter_mut()) {
            let inner = source.get(field.kind).cloned().unwrap_or_default();
            if let Some(List { items, .. }) = &inner.list
                && (*items as usize) < 4
            {
                field.kind = self.push(inner);
            } else {
                field.kind = UNTYPED;
            }
        }
        if let Some(map) = &mut copy.map {
            close(map);
        }
        let id = self.push(copy);
        self.meta = Some(id);
        id
    }

    fn convert(&mut self, schema: &Value, depth: usize) -> TypeId {
        if depth > MAX_DEPTH {
            return ATOMIC;
        }
        let flag = |name: &str| schema.get(name) == Some(&Value::Bool(true));
        let kind = schema.get("type").and_then(Value::as_str).unwrap_or_default();
        if flag("x-kubernetes-int-or-string") {
            return SCALAR;
        }
        if flag("x-kubernetes-embedded-resource") {
            return self.object(schema);
        }
        let scalar = |scalar| Type { scalar: Some(scalar), ..Type::default() };
        match kind {
            "string" => self.push(scalar(Scalar::String)),
            "integer" | "number" => self.push(scalar(Scalar::Number)),
            "boolean" => self.push(scalar(Scalar::Boolean)),
            "array" => {
                let list = self.list(schema, depth);
                self.push(Type { list: Some(list), ..Type::default() })
            }
            _ if kind == "object" || schema.get("properties").is_some() => {
                let map = self.map(schema, depth);
                self.push(Type { map: Some(map), ..Type::default() })
            }
            _ => UNTYPED,
        }
    }

    fn list(&mut self, schema: &Value, depth: usize) -> List {
        let item_schema = schema.get("items").unwrap_or(&Value::Null);
        let items = self.convert(item_schema, depth + 1);
        let names = || schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let kind = match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
            Some("set") => ListKind::Set,
            Some("map") if names().next().is_some() => ListKind::Map,
            _ => ListKind::Atomic,
        };
        let default = |name: &str| item_schema.get("properties").and_then(|p| p.get(name)).and_then(|p| p.get("default")).cloned();
        let keys = match kind {
            ListKind::Map => names().map(|n| Key { name: Cow::Owned(n.to_string()), default: default(n) }).collect(),
            _ => Box::default(),
        };
        List { kind, keys, items }
    }

    fn map(&mut self, schema: &Value, depth: usize) -> Map {
        let properties = schema.get("properties").and_then(Value::as_object);
        let mut fields = Vec::with_capacity(properties.map_or(0, serde_json::Map::len));
        for (name, property) in properties.into_iter().flatten() {
            let kind = self.convert(property, depth + 1);
            fields.push(Field { name: Cow::Owned(name.clone()), kind });
        }
        fields.sort_by(|a, b| a.name.cmp(&b.name));
        let preserve = schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
        let rest = match schema.get("additionalProperties") {
            Some(values @ Value::Object(_)) => Some(self.convert(values, depth + 1)),
            Some(Value::Bool(true)) => Some(UNTYPED),
            _ if preserve => Some(UNTYPED),
            _ => None,
        };
        let atomic = schema.get("x-kubernetes-map-type").and_then(Value::as_str) == Some("atomic");
        Map { atomic, fields: fields.into(), rest, rest_declared: false }
    }
}

/// The built-in table names only fields that need more than an owner; here every field is named and others are refused.
fn close(meta: &mut Map) {
    const NAMES: [&str; 15] = [
        "annotations",
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "finalizers",
        "generateName",
        "generation",
        "labels",
        "managedFields",
        "name",
        "namespace",
        "ownerReferences",
        "resourceVersion",
        "selfLink",
        "uid",
    ];
    let mut fields = std::mem::take(&mut meta.fields).into_vec();
    for name in NAMES {
        if !fields.iter().any(|f| f.name == name) {
            fields.push(Field { name: Cow::Borrowed(name), kind: UNTYPED });
        }
    }
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    (meta.fields, meta.rest) = (fields.into(), None);
}

fn with_object_fields(mut fields: Vec<Field>, meta: TypeId) -> Box<[Field]> {
    fields.retain(|f| !matches!(&*f.name, "apiVersion" | "kind" | "metadata"));
    let own = [("apiVersion", SCALAR), ("kind", SCALAR), ("metadata", meta)];
    fields.extend(own.map(|(name, kind)| Field { name: Cow::Borrowed(name), kind }));
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    fields.into()
}
