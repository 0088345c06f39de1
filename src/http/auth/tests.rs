//! Who somebody is, and whom they may act as.
use super::*;
use crate::actors::authority::testing::authorizer;
use crate::http::api::{Query, Target};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;

fn target(resource: &str, namespace: &str, name: &str) -> Target {
    Target { version: "v1".into(), resource: resource.into(), namespace: namespace.into(), name: name.into(), ..Default::default() }
}

#[test]
fn requests_as_authorizers_see_them() {
    let one = Query::of([("fieldSelector", "metadata.name=a")]);
    let pods = target("pods", "d", "");
    assert_eq!(Action::resource("watch", &pods, &one).attributes().name, "a");
    assert_eq!(Action::resource("deletecollection", &pods, &one).attributes().name, "");
    let node = Query::of([("fieldSelector", "spec.nodeName=n")]);
    assert_eq!(Action::resource("list", &pods, &node).attributes().field_selector, "spec.nodeName=n");
    let namespace = target("namespaces", "", "x");
    assert_eq!(Action::resource("get", &namespace, &Query::default()).attributes().namespace, "x");
    assert_eq!(Action::path("GET", "/x").attributes().verb, "get");
}

#[test]
fn tokens_are_recognised_and_wrong_ones_refused() {
    let users = [StaticUser { token: "s3cret".into(), name: "jane".into(), groups: vec!["dev".into()] }];
    let authenticator = Authenticator::new(users);
    let jane = authenticator.user(None, Some("Bearer s3cret")).unwrap();
    assert_eq!((jane.name.as_str(), jane.is_in("dev")), ("jane", true));
    assert_eq!(authenticator.user(None, Some("Bearer other")).unwrap_err().code, 401);
    assert_eq!(authenticator.user(None, Some("Basic x")).unwrap_err().code, 401);
    assert_eq!(*authenticator.user(None, None).unwrap(), User::anonymous());
    assert_eq!(authenticator.user(Some(b"no certificate"), None).unwrap_err().code, 401);
}

#[test]
fn acting_as_somebody_else_needs_the_right_to() {
    let authorizer = authorizer();
    let headers = |pairs: &[(&str, &str)]| {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        map
    };
    let admin = Arc::new(User::new("root", [MASTERS.to_string()]));
    let jane = Arc::new(User::new("jane", []));
    let as_bob =
        headers(&[("Impersonate-User", "bob"), ("Impersonate-Group", "dev"), ("Impersonate-Extra-A%2fB", "x"), ("Impersonate-Uid", "7")]);
    let bob = impersonated(&authorizer, admin.clone(), &as_bob).unwrap();
    assert_eq!(
        (bob.name.as_str(), bob.uid.as_str(), bob.groups.clone()),
        ("bob", "7", vec!["dev".to_string(), "system:authenticated".into()])
    );
    assert_eq!(bob.extra.get("a/b"), Some(&vec!["x".to_string()]));
    let refused = impersonated(&authorizer, jane.clone(), &as_bob).unwrap_err();
    assert_eq!(
        refused.message,
        "users \"bob\" is forbidden: User \"jane\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope"
    );
    let account = impersonated(&authorizer, admin.clone(), &headers(&[("Impersonate-User", "system:serviceaccount:a:b")])).unwrap();
    assert_eq!(account.groups, ["system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"]);
    let nobody = impersonated(&authorizer, admin.clone(), &headers(&[("Impersonate-User", "system:anonymous")])).unwrap();
    assert_eq!(nobody.groups, ["system:unauthenticated"]);
    assert_eq!(impersonated(&authorizer, admin, &headers(&[("Impersonate-Group", "dev")])).unwrap_err().code, 500);
    assert_eq!(impersonated(&authorizer, jane.clone(), &HeaderMap::new()).unwrap(), jane);
}
