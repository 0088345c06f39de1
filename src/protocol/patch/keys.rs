//! Which lists of the built-in types are merged, and by which key: the facts that strategic merge patch, server-side apply and
//! OpenAPI documents share. The table itself is `keys.txt`, one line per field.
use std::collections::HashMap;
use std::sync::LazyLock;

/// What `io.k8s.api.core.v1.` or its like precedes in schema names; the table holds the part after the last dot.
pub const CORE_PREFIX: &str = "io.k8s.api.core.v1.";

static TABLE: &str = include_str!("keys.txt");
static TYPES: LazyLock<HashMap<&'static str, TypeKeys>> = LazyLock::new(|| parse(TABLE));

/// `x-kubernetes-patch-strategy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    Merge,
    Replace,
    RetainKeys,
    MergeRetainKeys,
}

impl Strategy {
    /// As the specification writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Strategy::Merge => "merge",
            Strategy::Replace => "replace",
            Strategy::RetainKeys => "retainKeys",
            Strategy::MergeRetainKeys => "merge,retainKeys",
        }
    }

    /// Whether the items of a list are merged one by one.
    pub fn merges(self) -> bool {
        matches!(self, Strategy::Merge | Strategy::MergeRetainKeys)
    }
}

/// `x-kubernetes-list-type`, or `x-kubernetes-map-type` for fields that are structs or maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListType {
    Atomic,
    Set,
    Map,
    /// A map or struct that server-side apply treats as one value.
    MapAtomic,
    /// A map or struct whose members are owned one by one, although its type says otherwise.
    MapGranular,
}

impl ListType {
    /// The OpenAPI extension and its value.
    pub fn extension(self) -> (&'static str, &'static str) {
        match self {
            ListType::Atomic => ("x-kubernetes-list-type", "atomic"),
            ListType::Set => ("x-kubernetes-list-type", "set"),
            ListType::Map => ("x-kubernetes-list-type", "map"),
            ListType::MapAtomic => ("x-kubernetes-map-type", "atomic"),
            ListType::MapGranular => ("x-kubernetes-map-type", "granular"),
        }
    }
}

/// How one field is merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRule {
    pub strategy: Option<Strategy>,
    /// `x-kubernetes-patch-merge-key`.
    pub merge_key: Option<&'static str>,
    pub list_type: Option<ListType>,
    /// `x-kubernetes-list-map-keys`.
    pub list_map_keys: Vec<&'static str>,
}

#[derive(Default)]
struct TypeKeys {
    atomic: bool,
    fields: HashMap<&'static str, FieldKeys>,
}

struct FieldKeys {
    child: Option<&'static str>,
    rule: Option<ListRule>,
}

/// The rule of a field, if it has one. `type_name` is the short Go name (`PodSpec`) or a schema name that ends in it.
pub fn list_rule(type_name: &str, field: &str) -> Option<&'static ListRule> {
    field_of(type_name, field)?.rule.as_ref()
}

/// The type of a field's value (or of its items), if that type has rules somewhere inside.
pub fn child_type(type_name: &str, field: &str) -> Option<&'static str> {
    field_of(type_name, field)?.child
}

/// Whether server-side apply treats values of this type as one (`x-kubernetes-map-type: atomic` on the type itself).
pub fn is_atomic_type(type_name: &str) -> bool {
    TYPES.get(short(type_name)).is_some_and(|t| t.atomic)
}

fn field_of(type_name: &str, field: &str) -> Option<&'static FieldKeys> {
    TYPES.get(short(type_name))?.fields.get(field)
}

fn short(type_name: &str) -> &str {
    type_name.rsplit('.').next().unwrap_or(type_name)
}

fn parse(table: &'static str) -> HashMap<&'static str, TypeKeys> {
    let mut types: HashMap<&'static str, TypeKeys> = HashMap::new();
    let mut current = "";
    for line in table.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty()) {
        let mut words = line.split_whitespace();
        if !line.starts_with(' ') {
            current = words.next().unwrap_or_default();
            types.entry(current).or_default().atomic = words.next() == Some("atomic");
        } else if let Some((field, keys)) = parse_field(words) {
            types.entry(current).or_default().fields.insert(field, keys);
        }
    }
    types
}

fn parse_field(mut words: impl Iterator<Item = &'static str>) -> Option<(&'static str, FieldKeys)> {
    let field = words.next()?;
    let mut cell = || words.next().filter(|w| *w != "-");
    let child = cell();
    let strategy = match cell() {
        Some("merge") => Some(Strategy::Merge),
        Some("replace") => Some(Strategy::Replace),
        Some("retainKeys") => Some(Strategy::RetainKeys),
        Some("merge,retainKeys") => Some(Strategy::MergeRetainKeys),
        _ => None,
    };
    let merge_key = cell();
    let list_type = match cell() {
        Some("atomic") => Some(ListType::Atomic),
        Some("set") => Some(ListType::Set),
        Some("map") => Some(ListType::Map),
        Some("map:atomic") => Some(ListType::MapAtomic),
        Some("map:granular") => Some(ListType::MapGranular),
        _ => None,
    };
    let list_map_keys: Vec<_> = cell().into_iter().flat_map(|keys| keys.split(',')).collect();
    let rule = ListRule { strategy, merge_key, list_type, list_map_keys };
    let has_rule = rule.strategy.is_some() || rule.list_type.is_some();
    Some((field, FieldKeys { child, rule: has_rule.then_some(rule) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_means_something() {
        for line in TABLE.lines().filter(|l| l.starts_with(' ')) {
            let words: Vec<_> = line.split_whitespace().collect();
            assert_eq!(words.len(), 6, "{line}");
            assert!(
                words[2] == "-"
                    || Strategy::as_str(parse_field(words.iter().copied()).unwrap().1.rule.unwrap().strategy.unwrap()) == words[2]
            );
        }
        for (name, keys) in TYPES.iter() {
            for (field, f) in &keys.fields {
                assert!(f.child.is_some() || f.rule.is_some(), "{name}.{field}");
                assert!(f.child.is_none_or(|c| TYPES.contains_key(c)), "{name}.{field}");
            }
        }
    }

    #[test]
    fn well_known_rules() {
        let key = |t, f| list_rule(t, f).and_then(|r| r.merge_key);
        assert_eq!(key("PodSpec", "containers"), Some("name"));
        assert_eq!(key("io.k8s.api.core.v1.Container", "ports"), Some("containerPort"));
        assert_eq!(key("ServiceSpec", "ports"), Some("port"));
        assert_eq!(key("ObjectMeta", "ownerReferences"), Some("uid"));
        assert_eq!(list_rule("ServiceSpec", "ports").unwrap().list_map_keys, ["port", "protocol"]);
        assert_eq!(list_rule("PodSpec", "volumes").unwrap().strategy, Some(Strategy::MergeRetainKeys));
        assert_eq!(list_rule("PodSpec", "tolerations").unwrap().list_type, Some(ListType::Atomic));
        assert_eq!(child_type("Deployment", "spec").and_then(|t| child_type(t, "template")), Some("PodTemplateSpec"));
        assert!(is_atomic_type("LabelSelector") && !is_atomic_type("PodSpec"));
    }
}
