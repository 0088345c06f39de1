//! What pods say about labels: selectors, tolerations, node terms, and terms about other pods.
use crate::actors::controllers::labels::{Operator, Requirement};
use crate::protocol::light::Taint;
use crate::protocol::meta::Meta;
use serde_json::Value;
use std::sync::Arc;

/// Sorted labels, as [`Meta`] holds them.
pub type Labels = [(Arc<str>, Arc<str>)];

/// The value of a label.
pub fn label<'a>(labels: &'a Labels, key: &str) -> Option<&'a str> {
    labels.binary_search_by(|(k, _)| (**k).cmp(key)).ok().and_then(|at| labels.get(at)).map(|(_, value)| &**value)
}

/// A label selector: one that is absent selects nothing, an empty one everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selector {
    #[default]
    Nothing,
    All(Vec<Requirement>),
}

impl Selector {
    /// Parses a `LabelSelector`. One that cannot be read selects nothing.
    pub fn parse(value: &Value) -> Selector {
        if !value.is_object() {
            return Selector::Nothing;
        }
        let pairs = value["matchLabels"].as_object().into_iter().flatten();
        let mut all: Vec<Requirement> = pairs.map(|(key, value)| equals(key, value.as_str().unwrap_or_default())).collect();
        for expression in items(&value["matchExpressions"]) {
            match Requirement::parse(expression) {
                Some(requirement) => all.push(requirement),
                None => return Selector::Nothing,
            }
        }
        Selector::All(all)
    }

    pub fn matches(&self, labels: &Labels) -> bool {
        match self {
            Selector::Nothing => false,
            Selector::All(all) => all.iter().all(|r| r.holds(label(labels, &r.key))),
        }
    }

    /// A label that everything selected has: lets an index leave most selectors aside.
    pub fn anchor(&self) -> Option<(Arc<str>, Arc<str>)> {
        let Selector::All(all) = self else { return None };
        all.iter().find_map(|r| match r.values.as_slice() {
            [value] if r.operator == Operator::In => Some((r.key.as_str().into(), value.as_str().into())),
            _ => None,
        })
    }
}

/// The condition that a label has one value.
pub fn equals(key: &str, value: &str) -> Requirement {
    Requirement { key: key.into(), operator: Operator::In, values: vec![value.into()] }
}

/// One of `spec.tolerations`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toleration {
    pub key: Box<str>,
    pub exists: bool,
    pub value: Box<str>,
    pub effect: Box<str>,
}

impl Toleration {
    pub fn parse(value: &Value) -> Toleration {
        let said = |field: &str| value[field].as_str().unwrap_or_default().into();
        Toleration { key: said("key"), exists: value["operator"] == "Exists", value: said("value"), effect: said("effect") }
    }

    pub fn covers(&self, taint: &Taint) -> bool {
        (self.effect.is_empty() || *self.effect == *taint.effect)
            && (self.key.is_empty() || *self.key == *taint.key)
            && (self.exists || *self.value == *taint.value)
    }
}

/// Whether one of the tolerations covers the taint.
pub fn tolerated(tolerations: &[Toleration], taint: &Taint) -> bool {
    tolerations.iter().any(|t| t.covers(taint))
}

/// Whether every taint that keeps pods away is tolerated.
pub fn tolerates_all(tolerations: &[Toleration], taints: &[Taint]) -> bool {
    taints.iter().filter(|t| &*t.effect != "PreferNoSchedule").all(|taint| tolerated(tolerations, taint))
}

/// One `nodeSelectorTerm`: all of its requirements, on labels and on the node's name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeTerm {
    pub labels: Vec<Requirement>,
    pub fields: Vec<Requirement>,
}

impl NodeTerm {
    pub fn parse(value: &Value) -> NodeTerm {
        // A requirement that cannot be read must not widen the term: it becomes one that never holds.
        let never = || Requirement { key: String::new(), operator: Operator::Exists, values: Vec::new() };
        let parse = |list: &Value| items(list).map(|r| Requirement::parse(r).unwrap_or_else(never)).collect();
        NodeTerm { labels: parse(&value["matchExpressions"]), fields: parse(&value["matchFields"]) }
    }

    /// A term without requirements matches nothing, as upstream has it.
    pub fn matches(&self, name: &str, meta: &Meta) -> bool {
        !(self.labels.is_empty() && self.fields.is_empty())
            && self.labels.iter().all(|r| r.holds(meta.label(&r.key)))
            && self.fields.iter().all(|r| r.holds((r.key == "metadata.name").then_some(name)))
    }

    /// The names that `metadata.name` is limited to, if it is.
    pub fn names(&self) -> Option<&[String]> {
        self.fields.iter().find(|r| r.key == "metadata.name" && r.operator == Operator::In).map(|r| &*r.values)
    }
}

/// The terms of a `nodeSelector` with `nodeSelectorTerms`: one of them must hold. `None` when there is no such list.
pub fn node_terms(selector: &Value) -> Option<Vec<NodeTerm>> {
    selector["nodeSelectorTerms"].as_array().map(|terms| terms.iter().map(NodeTerm::parse).collect())
}

/// Which pods a term or constraint is about: by namespace and labels.
#[derive(Clone, Debug, PartialEq)]
pub struct PodSet {
    pub namespaces: Vec<Arc<str>>,
    /// Namespaces by their labels, beside those named.
    pub namespace_selector: Selector,
    pub selector: Selector,
    /// The same for equal sets.
    pub id: Arc<str>,
}

impl PodSet {
    pub fn new(namespaces: Vec<Arc<str>>, namespace_selector: &Value, selector: &Value) -> PodSet {
        let id = format!("{namespaces:?}{namespace_selector}{selector}");
        let (namespace_selector, selector) = (Selector::parse(namespace_selector), Selector::parse(selector));
        PodSet { namespaces, namespace_selector, selector, id: id.into() }
    }

    /// `labels_of`: the labels of a namespace.
    pub fn contains<'a>(&self, namespace: &str, labels: &Labels, labels_of: impl Fn(&str) -> &'a Labels) -> bool {
        let here = self.namespaces.iter().any(|n| **n == *namespace)
            || (self.namespace_selector != Selector::Nothing && self.namespace_selector.matches(labels_of(namespace)));
        here && self.selector.matches(labels)
    }
}

/// A `PodAffinityTerm`.
#[derive(Clone, Debug, PartialEq)]
pub struct PodTerm {
    pub set: PodSet,
    pub topology_key: Arc<str>,
}

impl PodTerm {
    /// `namespace`: that of the pod that says it, which is meant when it names none.
    pub fn parse(value: &Value, namespace: &Arc<str>) -> PodTerm {
        let mut namespaces: Vec<Arc<str>> = items(&value["namespaces"]).filter_map(Value::as_str).map(Arc::from).collect();
        if namespaces.is_empty() && value["namespaceSelector"].is_null() {
            namespaces.push(namespace.clone());
        }
        let set = PodSet::new(namespaces, &value["namespaceSelector"], &value["labelSelector"]);
        PodTerm { set, topology_key: value["topologyKey"].as_str().unwrap_or_default().into() }
    }
}

/// What a pod says about the pods beside it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodTerms {
    pub affinity: Vec<PodTerm>,
    /// The pods that meet all of [`affinity`](Self::affinity), when that is one set.
    pub met: Option<PodSet>,
    pub anti_affinity: Vec<PodTerm>,
    /// With weights; those of anti-affinity are negative.
    pub preferred: Vec<(i64, PodTerm)>,
}

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

impl PodTerms {
    /// `None` when the pod says nothing.
    pub fn parse(affinity: &Value, namespace: &Arc<str>) -> Option<Arc<PodTerms>> {
        let required = |kind: &str| items(&affinity[kind][REQUIRED]).map(|t| PodTerm::parse(t, namespace)).collect();
        let weighted = |kind: &str, sign: i64| -> Vec<(i64, PodTerm)> {
            let weight = |t: &Value| sign * t["weight"].as_i64().unwrap_or_default();
            items(&affinity[kind][PREFERRED]).map(|t| (weight(t), PodTerm::parse(&t["podAffinityTerm"], namespace))).collect()
        };
        let mut preferred = weighted("podAffinity", 1);
        preferred.extend(weighted("podAntiAffinity", -1));
        let affinity: Vec<PodTerm> = required("podAffinity");
        let terms = PodTerms { met: intersection(&affinity), affinity, anti_affinity: required("podAntiAffinity"), preferred };
        (terms != PodTerms::default()).then(|| Arc::new(terms))
    }

    /// The sets that have to be counted for a decision about the pod.
    pub fn counted(&self) -> impl Iterator<Item = &PodSet> {
        let others = self.anti_affinity.iter().chain(self.preferred.iter().map(|(_, t)| t));
        self.met.iter().chain(others.map(|t| &t.set))
    }

    /// Every term.
    pub fn all(&self) -> impl Iterator<Item = &PodTerm> {
        self.affinity.iter().chain(&self.anti_affinity).chain(self.preferred.iter().map(|(_, t)| t))
    }
}

/// The pods that all terms select, when the terms are about the same namespaces.
fn intersection(terms: &[PodTerm]) -> Option<PodSet> {
    let (first, others) = terms.split_first()?;
    let mut set = first.set.clone();
    for PodTerm { set: other, .. } in others {
        if other.namespaces != set.namespaces || other.namespace_selector != set.namespace_selector {
            return None;
        }
        set.selector = match (set.selector, &other.selector) {
            (Selector::All(mut all), Selector::All(more)) => {
                all.extend(more.iter().cloned());
                Selector::All(all)
            }
            _ => Selector::Nothing,
        };
        set.id = format!("{}&{}", set.id, other.id).into();
    }
    Some(set)
}

/// The items of a list; none when it is none.
pub fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
