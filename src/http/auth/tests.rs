//! Who may do what.
use super::*;
use crate::http::api::Target;

fn list_pods(user: &User, namespace: &str) -> Result<(), crate::protocol::status::ApiError> {
    let target = Target { version: "v1".into(), resource: "pods".into(), namespace: namespace.into(), ..Default::default() };
    authorize(user, &Action::resource("list", &target))
}

#[test]
fn rights_by_group() {
    let admin = User::new("kubernetes-admin", [MASTERS.to_string()]);
    let node = User::new("system:node:n1", [NODES.to_string()]);
    let jane = User::new("jane", []);
    assert!(list_pods(&admin, "").is_ok());
    assert!(list_pods(&node, "").is_ok());
    let refused = list_pods(&jane, "default").unwrap_err();
    assert_eq!(refused.code, 403);
    assert_eq!(
        refused.message,
        "pods is forbidden: User \"jane\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\""
    );
    assert!(authorize(&User::anonymous(), &Action::path("GET", "/readyz")).is_ok());
    assert!(authorize(&User::anonymous(), &Action::path("GET", "/apis")).is_err());
    assert!(authorize(&User::anonymous(), &Action::path("GET", "/healthzz")).is_err());
    assert!(authorize(&jane, &Action::path("GET", "/apis")).is_ok());
    assert!(authorize(&jane, &Action::path("GET", "/metrics")).is_err());
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
