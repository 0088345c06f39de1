//! Routes, conditions and what is registered by itself.
use super::available::decide;
use super::*;
use crate::protocol::user::User;
use serde_json::{Value, json};

fn service() -> Value {
    json!({
        "metadata": { "name": "v1.example.io" },
        "spec": { "group": "example.io", "version": "v1", "groupPriorityMinimum": 2000, "versionPriority": 15,
            "service": { "namespace": "ns", "name": "api" } },
        "status": { "conditions": [{ "type": "Available", "status": "True" }] },
    })
}

#[test]
fn a_route_says_where_and_to_whom() {
    let route = Route::parse(&service()).expect("a service");
    assert_eq!((route.port, route.available, route.server_name().as_str()), (443, true, "api.ns.svc"));
    assert_eq!(route.path(), "/apis/example.io/v1");
    let mut local = service();
    local["spec"]["service"] = Value::Null;
    assert_eq!(Route::parse(&local), None);
}

#[test]
fn what_is_wrong_is_told_before_anybody_is_asked() {
    let route = Route::parse(&service()).expect("a service");
    let held = json!({ "spec": { "type": "ClusterIP", "ports": [{ "name": "https", "port": 443 }] } });
    let slice = |ready: bool| json!({ "ports": [{ "name": "https", "port": 1 }], "endpoints": [{ "addresses": ["10.0.0.1"], "conditions": { "ready": ready } }] });
    let reason = |service: Option<&Value>, slices: &[Value]| decide(&route, service, slices).map(|v| v.1);
    assert_eq!(reason(None, &[]), Some("ServiceNotFound"));
    let other = json!({ "spec": { "ports": [{ "port": 80 }] } });
    assert_eq!(reason(Some(&other), &[]), Some("ServicePortError"));
    assert_eq!(reason(Some(&held), &[]), Some("EndpointsNotFound"));
    assert_eq!(reason(Some(&held), &[slice(false)]), Some("MissingEndpoints"));
    assert_eq!(reason(Some(&held), &[slice(true)]), None);
    assert_eq!(reason(Some(&json!({ "spec": { "type": "ExternalName" } })), &[]), None);
}

#[test]
fn extra_fields_are_escaped_for_headers() {
    let mut user = User::new("jane", ["dev".to_string()]);
    user.extra.insert("a.io/Scopes".into(), vec!["x".into(), "y".into()]);
    let headers = identity_headers(&user);
    let of = |name: &str| headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect::<Vec<_>>();
    assert_eq!(of("x-remote-user"), ["jane"]);
    assert_eq!(of("x-remote-group"), ["dev", "system:authenticated"]);
    assert_eq!(of("x-remote-extra-a.io%2Fscopes"), ["x", "y"]);
}

#[test]
fn what_belongs_to_a_definition_comes_and_goes_with_it() {
    let wanted = json!({ "spec": { "group": "a.io", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 100 } });
    assert_eq!(autoregister::plan("v1.a.io", Some(&wanted), None).actions.len(), 1);
    assert!(autoregister::plan("v1.a.io", None, None).actions.is_empty());
}
