//! Who gets in, and how far.
use super::client::Client;
use super::{Place, server};
use serde_json::json;

#[tokio::test]
async fn strangers_see_the_health_and_nothing_else() {
    let stranger = Client::bearer(&server().kubeconfig(), "");
    for path in ["/healthz", "/livez", "/readyz", "/version"] {
        assert_eq!(stranger.get(path).await.status, 200, "{path}");
    }
    let said = stranger.get("/api/v1/namespaces/default/pods").await.refused(403, "Forbidden");
    assert_eq!(
        said,
        "pods is forbidden: User \"system:anonymous\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\""
    );
    let said = stranger.get("/apis").await.refused(403, "Forbidden");
    assert_eq!(said, "forbidden: User \"system:anonymous\" cannot get path \"/apis\"");
    // Whether something exists is nothing for strangers either.
    let said = stranger.get("/apis/no.such/v1/things/x").await.refused(403, "Forbidden");
    assert!(said.contains("cannot get resource \"things\" in API group \"no.such\" at the cluster scope"), "{said}");
    let pod = json!({ "metadata": { "name": "x" } });
    stranger.post("/api/v1/namespaces/default/pods", &pod).await.refused(403, "Forbidden");
    stranger.get("/metrics").await.refused(403, "Forbidden");
    stranger.get("/readyz/ping").await.refused(403, "Forbidden");
    stranger.get("/api/v1/namespaces/default/pods/x/exec?command=id").await.refused(403, "Forbidden");
}

#[tokio::test]
async fn tokens_open_what_their_users_may() {
    let kubeconfig = server().kubeconfig();
    let token = std::fs::read_to_string(server().data_dir().join("admin.token")).expect("the administrator's token");
    let admin = Client::bearer(&kubeconfig, token.trim());
    assert_eq!(admin.get("/api/v1/namespaces/default").await.status, 200);
    assert_eq!(admin.get("/metrics").await.status, 200);

    let jane = Client::bearer(&kubeconfig, "token-of-jane-0123456789abcdef");
    assert_eq!(jane.get("/apis").await.status, 200);
    let said = jane.get("/api/v1/nodes/n").await.refused(403, "Forbidden");
    assert_eq!(said, "nodes \"n\" is forbidden: User \"jane\" cannot get resource \"nodes\" in API group \"\" at the cluster scope");

    for wrong in ["token-of-jane-0123456789abcdeg", "x", &format!("{}x", token.trim())] {
        let refused = Client::bearer(&kubeconfig, wrong).get("/readyz").await;
        assert_eq!(refused.refused(401, "Unauthorized"), "Unauthorized", "a wrong token is no stranger");
    }
    let stranger = Client::bearer(&kubeconfig, "");
    for header in ["Basic eDp5", "Bearer", "Bearer ", "", "\u{e9}"] {
        let refused = stranger.send("GET", "/readyz", &[("authorization", header)], "").await;
        assert_eq!(refused.status, 401, "{header:?}");
    }
}

#[tokio::test]
async fn a_certificate_counts_more_than_a_token() {
    let admin = Client::of(&server().kubeconfig(), "http/1.1");
    let answer = admin.send("GET", "/api/v1/namespaces/default", &[("authorization", "Bearer nonsense")], "").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn who_creates_by_applying_needs_the_right_to_create() {
    let place = Place::new().await;
    let roles = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{}", place.namespace);
    let role = |verbs: &[&str]| json!({ "metadata": { "name": "patcher" }, "rules": [{ "apiGroups": ["", "coordination.k8s.io"], "resources": ["configmaps", "leases"], "verbs": verbs }] });
    place.api.post(&format!("{roles}/roles"), &role(&["patch", "update"])).await.ok();
    let binding = json!({
        "metadata": { "name": "patcher" }, "subjects": [{ "kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "jane" }],
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "patcher" },
    });
    place.api.post(&format!("{roles}/rolebindings"), &binding).await.ok();
    let jane = Client::bearer(&server().kubeconfig(), "token-of-jane-0123456789abcdef");
    let config = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "m" }, "data": { "a": "b" } });
    let (path, kind) = (format!("{}/m?fieldManager=j", place.maps), [("content-type", "application/apply-patch+yaml")]);
    // What a role allows is known everywhere a moment after it is written.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let said = loop {
        let said = jane.send("PATCH", &path, &kind, config.to_string()).await.refused(403, "Forbidden");
        if !said.contains("cannot patch") || std::time::Instant::now() > until {
            break said;
        }
        tokio::task::yield_now().await;
    };
    assert!(said.contains("User \"jane\" cannot create resource \"configmaps\""), "{said}");
    let lease = format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases/l", place.namespace);
    let said = jane.put(&lease, &json!({ "metadata": { "name": "l" }, "spec": {} })).await.refused(403, "Forbidden");
    assert!(said.contains("User \"jane\" cannot create resource \"leases\""), "{said}");
    place.api.put(&format!("{roles}/roles/patcher"), &role(&["patch", "update", "create"])).await.ok();
    while jane.send("PATCH", &path, &kind, config.to_string()).await.status != 201 {
        assert!(std::time::Instant::now() < until, "jane may create now");
        tokio::task::yield_now().await;
    }
    assert_eq!(jane.put(&lease, &json!({ "metadata": { "name": "l" }, "spec": {} })).await.status, 201);
}
