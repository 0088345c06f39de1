//! Reviews through the gateway, over a real write path without a disk.
use super::*;
use crate::actors::authority::testing::store;
use crate::actors::authority::tokens::{AccountTokens, TokenKeys};
use crate::actors::authority::{Authorizer, Rights, bootstrap};
use crate::actors::kinds::Unrestricted;
use crate::actors::system::{ControlPlane, start_kinds};
use crate::http::api::gateway::Reply;
use crate::http::api::{Documents, Health};
use crate::http::auth::{Access, Authenticator, MASTERS, StaticUser};
use std::sync::Arc;

struct Well;

impl Health for Well {
    fn checks(&self) -> Vec<(&'static str, Result<(), String>)> {
        Vec::new()
    }

    fn metrics(&self) -> String {
        String::new()
    }
}

struct Rig {
    gateway: Gateway,
    admin: Arc<User>,
    jane: Arc<User>,
    _plane: ControlPlane,
}

impl Rig {
    async fn new() -> Rig {
        let (committer, shelves) = store();
        let authorizer = Authorizer::new(shelves.clone());
        let plane = start_kinds(&committer, shelves.clone(), Rights::before(Arc::new(Unrestricted), authorizer.clone()));
        for name in ["default", "kube-system", "kube-public"] {
            let served = plane.kinds.find("", "namespaces").expect("served");
            plane.kinds.create(&served, "", json!({ "metadata": { "name": name } }), false).await.expect("a namespace");
        }
        bootstrap::reconcile(&plane.kinds).await.expect("defaults");
        authorizer.refresh();
        let pem = rcgen::KeyPair::generate().expect("a key").serialize_pem();
        let keys = TokenKeys::new(&pem, "https://kubernetes.default.svc.cluster.local").expect("a P-256 key");
        let tokens = Arc::new(AccountTokens::new(keys, shelves));
        let users = [StaticUser { token: "tok".into(), name: "jane".into(), groups: vec!["dev".into()] }];
        let authenticator = Authenticator::new(users).with_accounts(tokens.clone());
        let access = Arc::new(Access { authenticator, authorizer, tokens, webhooks: Default::default() });
        let documents = Documents::new(plane.kinds.clone(), |_, _| None, "h:1".into(), Arc::new(Well));
        let gateway = Gateway::new(plane.kinds.clone(), documents, access);
        let admin = Arc::new(User::new("root", [MASTERS.to_string()]));
        Rig { gateway, admin, jane: Arc::new(User::new("jane", ["dev".to_string()])), _plane: plane }
    }

    async fn send(&self, user: &Arc<User>, method: &str, path: &str, body: Value) -> Result<Value, ApiError> {
        let request = ApiRequest {
            method: method.into(),
            path: path.into(),
            accept: "application/json".into(),
            content_type: "application/json".into(),
            body: if body.is_null() { Default::default() } else { body.to_string().into() },
            ..Default::default()
        };
        match self.gateway.handle(user, request).await? {
            Reply::Whole(answer) => Ok(serde_json::from_slice(&answer.body).expect("JSON")),
            Reply::Watch(_) => panic!("no watch was asked for"),
        }
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.send(&self.admin, "POST", path, body).await.expect(path)
    }
}

const AUTHENTICATION: &str = "/apis/authentication.k8s.io/v1";
const AUTHORIZATION: &str = "/apis/authorization.k8s.io/v1";

#[actix_rt::test]
async fn a_token_from_its_request_to_its_end() {
    let rig = Rig::new().await;
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    rig.post(accounts, json!({ "metadata": { "name": "bot" } })).await;
    let path = format!("{accounts}/bot/token");
    let granted = rig.post(&path, json!({ "spec": { "audiences": [], "expirationSeconds": 600 } })).await;
    assert_eq!((granted["kind"].as_str(), granted["metadata"]["name"].as_str()), (Some("TokenRequest"), Some("bot")));
    let token = granted["status"]["token"].as_str().expect("a token").to_string();
    let review = |token: &str| json!({ "spec": { "token": token } });
    let reviews = format!("{AUTHENTICATION}/tokenreviews");
    let status = rig.post(&reviews, review(&token)).await["status"].clone();
    assert_eq!((&status["authenticated"], &status["user"]["username"]), (&json!(true), &json!("system:serviceaccount:default:bot")));
    assert_eq!(status["audiences"], json!(["https://kubernetes.default.svc.cluster.local"]));
    let bearer = format!("Bearer {token}");
    let bot = rig.gateway.access.authenticator.user(None, Some(&bearer)).expect("known");
    let old = json!({ "apiVersion": "authentication.k8s.io/v1beta1", "kind": "SelfSubjectReview" });
    let old = rig.send(&bot, "POST", "/apis/authentication.k8s.io/v1beta1/selfsubjectreviews", old).await.expect("a removed version");
    assert_eq!((&old["apiVersion"], &old["status"]["userInfo"]["username"]), (&json!("authentication.k8s.io/v1beta1"), &json!(bot.name)));
    let me = rig.send(&bot, "POST", &format!("{AUTHENTICATION}/selfsubjectreviews"), json!({})).await.expect("allowed");
    assert_eq!(me["status"]["userInfo"]["username"], "system:serviceaccount:default:bot");

    let vault = rig.post(&path, json!({ "spec": { "audiences": ["vault"] } })).await["status"]["token"].clone();
    assert_eq!(rig.post(&reviews, review(vault.as_str().expect("a token"))).await["status"]["authenticated"], Value::Null);
    let asked = json!({ "spec": { "token": vault, "audiences": ["vault"] } });
    assert_eq!(rig.post(&reviews, asked).await["status"]["audiences"], json!(["vault"]));

    let short = rig.send(&rig.admin, "POST", &path, json!({ "spec": { "audiences": [], "expirationSeconds": 5 } })).await.unwrap_err();
    assert!(short.message.ends_with("may not specify a duration less than 10 minutes"), "{}", short.message);
    let unbound = json!({ "spec": { "audiences": [], "boundObjectRef": { "kind": "Pod", "apiVersion": "v1", "name": "none" } } });
    assert_eq!(rig.send(&rig.admin, "POST", &path, unbound).await.unwrap_err().code, 404);
    assert_eq!(rig.send(&rig.jane, "POST", &path, json!({ "spec": { "audiences": [] } })).await.unwrap_err().code, 403);

    rig.send(&rig.admin, "DELETE", &format!("{accounts}/bot"), Value::Null).await.expect("deleted");
    assert_eq!(rig.gateway.access.authenticator.user(None, Some(&bearer)).unwrap_err().code, 401);
    assert_eq!(rig.post(&reviews, review("tok")).await["status"]["user"]["username"], "jane");
}

#[actix_rt::test]
async fn may_they() {
    let rig = Rig::new().await;
    let jane = |attributes: Value| json!({ "spec": { "user": "jane", "groups": ["dev"], "resourceAttributes": attributes } });
    let pods = json!({ "verb": "list", "resource": "pods", "namespace": "default" });
    let subject = format!("{AUTHORIZATION}/subjectaccessreviews");
    assert_eq!(rig.post(&subject, jane(pods.clone())).await["status"], json!({ "allowed": false }));
    let binding = json!({
        "metadata": { "name": "dev" }, "roleRef": { "kind": "ClusterRole", "name": "system:aggregate-to-view" },
        "subjects": [{ "kind": "Group", "name": "dev" }],
    });
    rig.post("/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings", binding.clone()).await;
    rig.gateway.access.authorizer.refresh();
    assert_eq!(
        rig.post(&subject, jane(pods.clone())).await["status"],
        json!({ "allowed": true, "reason": "RBAC: allowed by RoleBinding \"dev/default\" of ClusterRole \"system:aggregate-to-view\" to Group \"dev\"" })
    );
    let local = format!("{AUTHORIZATION}/namespaces/default/localsubjectaccessreviews");
    assert_eq!(rig.post(&local, jane(pods.clone())).await["status"]["allowed"], true);
    let own = json!({ "spec": { "resourceAttributes": pods } });
    let own = rig.send(&rig.jane, "POST", &format!("{AUTHORIZATION}/selfsubjectaccessreviews"), own).await.expect("allowed");
    assert_eq!(own["status"]["allowed"], true);
    let rules = json!({ "spec": { "namespace": "default" } });
    let rules = rig.send(&rig.jane, "POST", &format!("{AUTHORIZATION}/selfsubjectrulesreviews"), rules).await.expect("allowed");
    let listed = rules["status"]["resourceRules"].as_array().expect("rules");
    assert!(
        listed.iter().any(|r| r["resources"].as_array().is_some_and(|r| r.contains(&json!("pods"))))
            && rules["status"]["incomplete"] == false
    );

    assert_eq!(rig.send(&rig.jane, "POST", &subject, jane(json!({}))).await.unwrap_err().code, 403);
    let nobody =
        rig.send(&rig.admin, "POST", &subject, json!({ "spec": { "nonResourceAttributes": { "path": "/x" } } })).await.unwrap_err();
    assert!(
        nobody.message.ends_with("spec.user: Invalid value: \"\": at least one of user or group must be specified"),
        "{}",
        nobody.message
    );
    assert_eq!(rig.send(&rig.admin, "GET", &subject, Value::Null).await.unwrap_err().code, 405);
    // What they may read they may not grant to others.
    let more = json!({ "metadata": { "name": "more" }, "roleRef": { "kind": "ClusterRole", "name": "cluster-admin" }, "subjects": binding["subjects"] });
    rig.post(
        "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles",
        json!({
            "metadata": { "name": "binder" },
            "rules": [{ "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["rolebindings"], "verbs": ["create", "patch"] }],
        }),
    )
    .await;
    let binder = json!({ "metadata": { "name": "b" }, "roleRef": { "kind": "Role", "name": "binder" }, "subjects": binding["subjects"] });
    rig.post("/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings", binder).await;
    rig.gateway.access.authorizer.refresh();
    let path = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";
    let refused = rig.send(&rig.jane, "POST", path, more).await.unwrap_err();
    assert!(
        refused.code == 403 && refused.message.contains("attempting to grant RBAC permissions not currently held"),
        "{}",
        refused.message
    );
}
