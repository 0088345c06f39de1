//! The built-in kinds: `builtin.txt`, read once.
use super::{ATOMIC, Field, Key, List, ListKind, Map, OPEN, SCALAR, Schema, Type, TypeId, UNTYPED, first_types};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

static TABLE: &str = include_str!("builtin.txt");
static BUILTIN: LazyLock<Builtin> = LazyLock::new(|| parse(TABLE));
const OBJECT_META: &str = "meta.v1.ObjectMeta";

struct Builtin {
    types: Arc<[Type]>,
    by_name: HashMap<&'static str, TypeId>,
    /// The fields marked with `!`, by type.
    always: HashMap<TypeId, Vec<&'static str>>,
    /// A kind without a line in the table: nothing but metadata is special.
    bare: TypeId,
}

/// The schema of a built-in kind. A kind that the table is silent about has nothing special but its metadata.
///
/// Cheap enough to ask for now and then, but callers should keep the answer.
pub fn builtin(group: &str, version: &str, kind: &str) -> Schema {
    let short = match group {
        "" => "core",
        _ => group.split('.').next().unwrap_or_default(),
    };
    let root = BUILTIN.by_name.get(format!("{short}.{version}.{kind}").as_str()).copied().unwrap_or(BUILTIN.bare);
    let mut zero = zero(root, 0);
    if let Value::Object(zero) = &mut zero {
        zero.insert("metadata".into(), json!({}));
    }
    Schema { types: BUILTIN.types.clone(), root, zero: Arc::new(zero), custom: false }
}

/// What a value of the type holds before anybody filled it in: its structs, and null for its lists.
fn zero(id: TypeId, depth: usize) -> Value {
    let mut out = serde_json::Map::new();
    let map = BUILTIN.types.get(id as usize).and_then(|t| t.map.as_ref());
    if let (Some(map), Some(always), true) = (map, BUILTIN.always.get(&id), depth < 16) {
        for name in always {
            let kind = map.field(name).0.unwrap_or(OPEN);
            let is_list = BUILTIN.types.get(kind as usize).is_some_and(|t| t.map.is_none());
            out.insert((*name).into(), if is_list { Value::Null } else { zero(kind, depth + 1) });
        }
    }
    out.into()
}

/// One line of a type.
struct Line {
    field: &'static str,
    always: bool,
    form: &'static str,
    child: Option<&'static str>,
}

fn parse(table: &'static str) -> Builtin {
    let blocks = blocks(table);
    let mut types = first_types();
    let mut by_name = HashMap::new();
    for (at, (name, _)) in blocks.iter().enumerate() {
        by_name.insert(*name, types.len() as TypeId + at as TypeId);
    }
    types.resize_with(types.len() + blocks.len(), Type::default);
    let meta = by_name.get(OBJECT_META).copied().unwrap_or(OPEN);
    let mut always = HashMap::new();
    for (name, lines) in &blocks {
        let Some(&id) = by_name.get(name) else { continue };
        let mut fields: Vec<Field> = Vec::with_capacity(lines.len() + 1);
        for line in lines {
            let kind = form(line, &by_name, &mut types);
            fields.push(Field { name: Cow::Borrowed(line.field), kind });
        }
        if !fields.iter().any(|f| f.name == "metadata") {
            fields.push(Field { name: Cow::Borrowed("metadata"), kind: meta });
        }
        let marked: Vec<_> = lines.iter().filter(|l| l.always).map(|l| l.field).collect();
        if !marked.is_empty() {
            always.insert(id, marked);
        }
        if let Some(slot) = types.get_mut(id as usize) {
            *slot = structure(fields);
        }
    }
    let bare = types.len() as TypeId;
    types.push(structure(vec![Field { name: Cow::Borrowed("metadata"), kind: meta }]));
    Builtin { types: types.into(), by_name, always, bare }
}

fn blocks(table: &'static str) -> Vec<(&'static str, Vec<Line>)> {
    let mut blocks: Vec<(&'static str, Vec<Line>)> = Vec::new();
    for text in table.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty()) {
        let mut words = text.split_whitespace();
        let Some(first) = words.next() else { continue };
        if !text.starts_with(' ') {
            blocks.push((first, Vec::new()));
        } else if let (Some((_, lines)), Some(form)) = (blocks.last_mut(), words.next()) {
            let field = first.trim_end_matches('!');
            lines.push(Line { field, always: field != first, form, child: words.next() });
        }
    }
    blocks
}

fn structure(mut fields: Vec<Field>) -> Type {
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    Type { map: Some(Map { atomic: false, fields: fields.into(), rest: Some(OPEN), rest_declared: true }), ..Type::default() }
}

/// The type that a line gives its field.
fn form(line: &Line, by_name: &HashMap<&str, TypeId>, types: &mut Vec<Type>) -> TypeId {
    let child = match line.child {
        Some("atomic") => ATOMIC,
        Some(name) => by_name.get(name).copied().unwrap_or(OPEN),
        None => OPEN,
    };
    let list = match line.form {
        "struct" => return child,
        "untyped" => return UNTYPED,
        "set" => List { kind: ListKind::Set, keys: Box::default(), items: SCALAR },
        keyed if keyed.starts_with("map(") => {
            let keys = keyed.trim_start_matches("map(").trim_end_matches(')').split(',').map(key).collect();
            List { kind: ListKind::Map, keys, items: child }
        }
        _ => return ATOMIC,
    };
    types.push(Type { list: Some(list), ..Type::default() });
    (types.len() - 1) as TypeId
}

fn key(text: &'static str) -> Key {
    let (name, default) = match text.split_once('=') {
        Some((name, "")) => (name, Some(Value::from(""))),
        Some((name, value)) => (name, Some(value.parse::<i64>().map_or_else(|_| value.into(), Value::from))),
        None => (text, None),
    };
    Key { name: Cow::Borrowed(name), default }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_means_something() {
        let known = |form: &str| matches!(form, "struct" | "set" | "atomic" | "untyped") || form.starts_with("map(");
        for (name, lines) in blocks(TABLE) {
            assert!(!lines.is_empty(), "{name}");
            for line in lines {
                assert!(known(line.form), "{name}.{}", line.field);
                assert!(line.child.is_none_or(|c| c == "atomic" || BUILTIN.by_name.contains_key(c)), "{name}.{}", line.field);
            }
        }
    }

    #[test]
    fn an_object_that_nobody_filled_in() {
        let zero = builtin("apps", "v1", "Deployment").zero().clone();
        let template = json!({"metadata": {}, "spec": {"containers": null}});
        assert_eq!(zero, json!({"metadata": {}, "spec": {"strategy": {}, "template": template}, "status": {}}));
        assert_eq!(*builtin("", "v1", "ConfigMap").zero(), json!({"metadata": {}}));
        assert_eq!(*builtin("rbac.authorization.k8s.io", "v1", "Role").zero(), json!({"metadata": {}}));
    }
}
