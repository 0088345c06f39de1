//! May they do that?
use super::{text, texts};
use crate::actors::authority::{Authorizer, Verdict};
use crate::http::auth::User;
use crate::protocol::authority::Attributes;
use crate::protocol::status::{ApiError, FieldError};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// `SubjectAccessReview`: may that user.
pub fn subject(authorizer: &Authorizer, review: &mut Value) -> Result<(), ApiError> {
    let user = user_in(&review["spec"]);
    check(review, Some(&user))?;
    review["status"] = decided(authorizer, &user, &review["spec"]);
    Ok(())
}

/// `LocalSubjectAccessReview`: may that user in this namespace.
pub fn local(authorizer: &Authorizer, namespace: &str, review: &mut Value) -> Result<(), ApiError> {
    let user = user_in(&review["spec"]);
    check(review, Some(&user))?;
    let mut errors = Vec::new();
    let asked = text(&review["spec"]["resourceAttributes"], "namespace").to_string();
    let own = text(&review["metadata"], "namespace");
    if !own.is_empty() && own != namespace {
        return Err(ApiError::bad_request(format!("namespace on the request must match: {namespace}")));
    }
    if review["spec"]["nonResourceAttributes"].is_object() {
        errors.push(FieldError::invalid(
            "spec.nonResourceAttributes",
            review["spec"]["nonResourceAttributes"].clone(),
            "disallowed on this kind of request",
        ));
    } else if asked != namespace {
        return Err(ApiError::bad_request(format!("spec.resourceAttributes.namespace must match namespace: {namespace}")));
    }
    refuse(review, &errors)?;
    review["metadata"]["namespace"] = namespace.into();
    review["status"] = decided(authorizer, &user, &review["spec"]);
    Ok(())
}

/// `SelfSubjectAccessReview`: may I.
pub fn own(authorizer: &Authorizer, user: &User, review: &mut Value) -> Result<(), ApiError> {
    check(review, None)?;
    review["status"] = decided(authorizer, user, &review["spec"]);
    Ok(())
}

/// `SelfSubjectRulesReview`: what may I do in a namespace, as far as the authorizers can list it.
pub fn rules(authorizer: &Authorizer, user: &User, review: &mut Value) -> Result<(), ApiError> {
    let namespace = text(&review["spec"], "namespace");
    if namespace.is_empty() {
        return Err(ApiError::bad_request("no namespace on request"));
    }
    let (rules, trouble) = authorizer.rules_of(user, namespace);
    let (mut resources, mut paths) = (Vec::new(), Vec::new());
    for rule in rules {
        if !rule.resources.is_empty() {
            let mut listed = json!({ "verbs": rule.verbs, "apiGroups": rule.api_groups, "resources": rule.resources });
            if !rule.resource_names.is_empty() {
                listed["resourceNames"] = rule.resource_names.into();
            }
            resources.push(listed);
        }
        if !rule.urls.is_empty() {
            paths.push(json!({ "verbs": rule.verbs, "nonResourceURLs": rule.urls }));
        }
    }
    let mut status = json!({ "resourceRules": resources, "nonResourceRules": paths, "incomplete": !trouble.is_empty() });
    if !trouble.is_empty() {
        status["evaluationError"] = trouble.into();
    }
    review["status"] = status;
    Ok(())
}

fn user_in(spec: &Value) -> User {
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, values) in spec["extra"].as_object().into_iter().flatten() {
        extra.entry(key.to_lowercase()).or_default().extend(texts(values));
    }
    // The groups as given: the review says who is meant, to the last.
    User { name: text(spec, "user").into(), uid: text(spec, "uid").into(), groups: texts(&spec["groups"]), extra }
}

fn check(review: &Value, user: Option<&User>) -> Result<(), ApiError> {
    let spec = &review["spec"];
    let mut errors = Vec::new();
    match (spec["resourceAttributes"].is_object(), spec["nonResourceAttributes"].is_object()) {
        (true, true) => errors.push(FieldError::invalid(
            "spec.nonResourceAttributes",
            spec["nonResourceAttributes"].clone(),
            "cannot be specified in combination with resourceAttributes",
        )),
        (false, false) => errors.push(FieldError::invalid(
            "spec.resourceAttributes",
            Value::Null,
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        )),
        _ => {}
    }
    if user.is_some_and(|u| u.name.is_empty() && u.groups.is_empty()) {
        errors.push(FieldError::invalid("spec.user", "", "at least one of user or group must be specified"));
    }
    refuse(review, &errors)
}

fn refuse(review: &Value, errors: &[FieldError]) -> Result<(), ApiError> {
    match errors {
        [] => Ok(()),
        errors => Err(ApiError::invalid("authorization.k8s.io", text(review, "kind"), text(&review["metadata"], "name"), errors)),
    }
}

fn decided(authorizer: &Authorizer, user: &User, spec: &Value) -> Value {
    let resource = &spec["resourceAttributes"];
    let path = &spec["nonResourceAttributes"];
    let selector = field_selector(&resource["fieldSelector"]);
    let wanted = if resource.is_object() {
        Attributes {
            verb: text(resource, "verb"),
            group: text(resource, "group"),
            version: text(resource, "version"),
            resource: text(resource, "resource"),
            subresource: text(resource, "subresource"),
            namespace: text(resource, "namespace"),
            name: text(resource, "name"),
            field_selector: &selector,
            path: None,
        }
    } else {
        Attributes::of_path(text(path, "verb"), text(path, "path"))
    };
    let (allowed, reason) = match authorizer.decide(user, &wanted) {
        Verdict::Allowed(why) => (true, why.map(|w| w.to_string()).unwrap_or_default()),
        Verdict::Refused(reason) => (false, reason),
    };
    let mut status = json!({ "allowed": allowed });
    if !reason.is_empty() {
        status["reason"] = reason.into();
    }
    status
}

/// A selector as it stands in a query.
fn field_selector(selector: &Value) -> String {
    let raw = text(selector, "rawSelector");
    if !raw.is_empty() {
        return raw.into();
    }
    let requirements = selector["requirements"].as_array().into_iter().flatten();
    let terms = requirements.filter_map(|r| match (text(r, "operator"), texts(&r["values"]).as_slice()) {
        ("In", [value]) => Some(format!("{}={value}", text(r, "key"))),
        ("NotIn", [value]) => Some(format!("{}!={value}", text(r, "key"))),
        _ => None,
    });
    terms.collect::<Vec<_>>().join(",")
}
