//! What a definition's state asks for. Pure.
use crate::actors::kinds::apiextensions::CLEANUP_FINALIZER;
use crate::actors::kinds::apiextensions::conditions::{is_true, remove_condition, set_condition};
use crate::protocol::structural::{Structural, check_structural};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::HashSet;

const APPROVAL: &str = "api-approved.kubernetes.io";

/// Names that others of the same group hold.
#[derive(Debug, Default)]
pub struct Names {
    resources: HashSet<String>,
    kinds: HashSet<String>,
}

impl Names {
    /// Adds the accepted names of a definition.
    pub fn take(&mut self, accepted: &Value) {
        let text = |field: &str| accepted[field].as_str().filter(|t| !t.is_empty()).map(str::to_string);
        self.resources.extend(["plural", "singular"].into_iter().filter_map(text));
        self.kinds.extend(["kind", "listKind"].into_iter().filter_map(text));
        let short = accepted["shortNames"].as_array().into_iter().flatten();
        self.resources.extend(short.filter_map(|n| n.as_str().map(str::to_string)));
    }
}

/// What shall happen.
#[derive(Debug)]
pub struct Verdict {
    /// The API serves the kind, as `crd` (with its next status) has it.
    pub serve: bool,
    pub crd: Value,
    pub delete_instances: bool,
    /// Merge patches, where something changes.
    pub status: Option<Value>,
    pub metadata: Option<Value>,
    pub why: String,
}

/// Decides about a definition. `taken`: what others hold; `instances`: how many objects there are, counted for a deletion.
pub fn decide(crd: &Value, taken: &Names, instances: usize, now: Timestamp) -> Verdict {
    let mut next = crd.clone();
    accept_names(&mut next, taken, now);
    schemas(&mut next, now);
    approval(&mut next, now);
    let deleting = !crd["metadata"]["deletionTimestamp"].is_null();
    let held = crd["metadata"]["finalizers"].as_array().is_some_and(|f| f.iter().any(|f| f == CLEANUP_FINALIZER));
    let gone = deleting && (!held || instances == 0);
    if deleting && held {
        let what = if instances == 0 {
            ("False", "InstanceDeletionCompleted", "removed all instances")
        } else {
            ("True", "InstanceDeletionInProgress", "CustomResource deletion is in progress")
        };
        set_condition(&mut next["status"], "Terminating", what, now);
    }
    let established = is_true(&next, "Established");
    let name = crd["metadata"]["name"].as_str().unwrap_or_default();
    let metadata = (gone && held).then(|| {
        let rest: Vec<&Value> =
            crd["metadata"]["finalizers"].as_array().into_iter().flatten().filter(|f| *f != CLEANUP_FINALIZER).collect();
        json!({ "metadata": { "finalizers": if rest.is_empty() { Value::Null } else { json!(rest) } } })
    });
    let status = (next["status"] != crd["status"]).then(|| json!({ "status": next["status"] }));
    let why = match (&metadata, &status) {
        (Some(_), _) => format!("{name}: no instances are left"),
        (None, Some(_)) if deleting => format!("{name}: deleting {instances} instances"),
        (None, Some(_)) => format!("{name}: names {}", if is_true(&next, "NamesAccepted") { "accepted" } else { "in conflict" }),
        (None, None) => String::new(),
    };
    Verdict { serve: established && !gone, crd: next, delete_instances: deleting && held, status, metadata, why }
}

/// `Err` is the reason and the message of a conflict.
type Claim = Result<(), (&'static str, String)>;

fn claim(wanted: &str, held: &str, taken: &HashSet<String>, reason: &'static str) -> Claim {
    if wanted == held || !taken.contains(wanted) {
        return Ok(());
    }
    Err((reason, format!("{wanted:?} is already in use")))
}

fn accept_names(crd: &mut Value, taken: &Names, now: Timestamp) {
    let wanted = crd["spec"]["names"].clone();
    let held = crd["status"]["acceptedNames"].clone();
    let mut accepted = if held.is_object() { held.clone() } else { json!({}) };
    let mut conflict: Option<(&'static str, String)> = None;
    let text = |names: &Value, field: &str| names[field].as_str().unwrap_or_default().to_string();
    let fields = [
        ("plural", &taken.resources, "PluralConflict"),
        ("singular", &taken.resources, "SingularConflict"),
        ("kind", &taken.kinds, "KindConflict"),
        ("listKind", &taken.kinds, "ListKindConflict"),
    ];
    for (field, taken, reason) in fields {
        match claim(&text(&wanted, field), &text(&held, field), taken, reason) {
            Ok(()) => accepted[field] = wanted[field].clone(),
            Err(found) => conflict = Some(found),
        }
    }
    let short = |names: &Value| -> Vec<String> {
        names["shortNames"].as_array().into_iter().flatten().filter_map(|n| n.as_str().map(str::to_string)).collect()
    };
    let mine = short(&held);
    let refused = short(&wanted).into_iter().find(|name| !mine.contains(name) && taken.resources.contains(name));
    match refused {
        Some(name) => conflict = Some(("ShortNamesConflict", format!("{name:?} is already in use"))),
        None => copy(&wanted, &mut accepted, "shortNames"),
    }
    copy(&wanted, &mut accepted, "categories");
    crd["status"]["acceptedNames"] = accepted;
    match conflict {
        Some((reason, message)) => {
            set_condition(&mut crd["status"], "NamesAccepted", ("False", reason, &message), now);
            if !is_true(crd, "Established") {
                set_condition(&mut crd["status"], "Established", ("False", "NotAccepted", "not all names are accepted"), now);
            }
        }
        None => {
            set_condition(&mut crd["status"], "NamesAccepted", ("True", "NoConflicts", "no conflicts found"), now);
            if !is_true(crd, "Established") {
                let what = ("True", "InitialNamesAccepted", "the initial names have been accepted");
                set_condition(&mut crd["status"], "Established", what, now);
            }
        }
    }
}

fn copy(from: &Value, to: &mut Value, field: &str) {
    let Some(to) = to.as_object_mut() else { return };
    match from.get(field).filter(|v| !v.is_null()) {
        Some(value) => _ = to.insert(field.into(), value.clone()),
        None => _ = to.remove(field),
    }
}

/// `NonStructuralSchema` is there while a schema isn't structural; what is stored by today's rules always is.
fn schemas(crd: &mut Value, now: Timestamp) {
    let mut violations = Vec::new();
    for (at, version) in crd["spec"]["versions"].as_array().into_iter().flatten().enumerate() {
        let path = format!("spec.versions[{at}].schema.openAPIV3Schema");
        match Structural::parse(&version["schema"]["openAPIV3Schema"]) {
            Ok(schema) => violations.extend(check_structural(&schema, &path).iter().map(ToString::to_string)),
            Err(why) => violations.push(format!("{path}: {why}")),
        }
    }
    match violations.first() {
        None => remove_condition(&mut crd["status"], "NonStructuralSchema"),
        Some(first) => {
            let message = if violations.len() == 1 { first.clone() } else { format!("[{}]", violations.join(", ")) };
            set_condition(&mut crd["status"], "NonStructuralSchema", ("True", "Violations", &message), now);
        }
    }
}

/// Groups of the community say how their API was approved.
fn approval(crd: &mut Value, now: Timestamp) {
    let group = crd["spec"]["group"].as_str().unwrap_or_default();
    if !["k8s.io", "kubernetes.io"].iter().any(|end| group == *end || group.ends_with(&format!(".{end}"))) {
        return;
    }
    let given = crd["metadata"]["annotations"][APPROVAL].as_str().unwrap_or_default().to_string();
    let (state, reason, message) = if given.starts_with("unapproved") {
        ("False", "UnapprovedAnnotation", format!("not approved: {given:?}"))
    } else if given.starts_with("https://") || given.starts_with("http://") {
        ("True", "ApprovedAnnotation", format!("approved in {given}"))
    } else if given.is_empty() {
        let why = format!(
            "protected groups must have approval annotation \"{APPROVAL}\", see https://github.com/kubernetes/enhancements/pull/1111"
        );
        ("False", "MissingAnnotation", why)
    } else {
        let why = format!(
            "protected groups must have approval annotation \"{APPROVAL}\" with either a URL or a reason starting with \"unapproved\", see https://github.com/kubernetes/enhancements/pull/1111"
        );
        ("False", "InvalidAnnotation", why)
    };
    set_condition(&mut crd["status"], "KubernetesAPIApprovalPolicyConformant", (state, reason, &message), now);
}
