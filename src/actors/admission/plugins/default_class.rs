//! DefaultStorageClass and DefaultIngressClass: who names no class gets the one that is marked, the newest if there are several.
use crate::actors::admission::refusal::text;
use serde_json::{Map, Value};
use std::cmp::Reverse;

/// Gives a claim without a class the default one.
pub fn storage(claim: &mut Value, classes: &[Value]) {
    let named = !claim["spec"]["storageClassName"].is_null();
    let annotated = claim["metadata"]["annotations"].get("volume.beta.kubernetes.io/storage-class").is_some();
    if named || annotated {
        return;
    }
    let marks = ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
    set(claim, "storageClassName", default(classes, &marks));
}

/// Gives an ingress without a class the default one.
pub fn ingress(ingress: &mut Value, classes: &[Value]) {
    let named = !ingress["spec"]["ingressClassName"].is_null();
    let annotated = ingress["metadata"]["annotations"].get("kubernetes.io/ingress.class").is_some();
    if !named && !annotated {
        set(ingress, "ingressClassName", default(classes, &["ingressclass.kubernetes.io/is-default-class"]));
    }
}

fn set(object: &mut Value, field: &str, class: Option<&str>) {
    let Some(class) = class else { return };
    if !object["spec"].is_object() {
        object["spec"] = Map::new().into();
    }
    object["spec"][field] = class.into();
}

fn default<'a>(classes: &'a [Value], marks: &[&str]) -> Option<&'a str> {
    let marked = |class: &&Value| marks.iter().any(|mark| class["metadata"]["annotations"][*mark] == "true");
    let mut found: Vec<&Value> = classes.iter().filter(marked).collect();
    found.sort_by_key(|class| (Reverse(text(&class["metadata"], "creationTimestamp")), text(&class["metadata"], "name")));
    found.first().map(|class| text(&class["metadata"], "name"))
}
