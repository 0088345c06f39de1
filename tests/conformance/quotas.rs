//! Quotas: what is charged, refused and given back.
use super::{controller, deployment, until};
use crate::api::{Place, map, names, pod};
use serde_json::{Value, json};

/// A namespace with one quota, or more.
struct Limited {
    place: Place,
}

impl Limited {
    async fn new() -> Limited {
        Limited { place: Place::new().await }
    }

    /// Makes a quota and waits until it was counted: nothing used but what the namespace came with.
    async fn quota(&self, name: &str, hard: Value, scopes: Value) {
        let mut spec = json!({ "hard": hard });
        if !scopes.is_null() {
            spec["scopes"] = scopes;
        }
        self.place.api.post(&self.place.path("resourcequotas"), &json!({ "metadata": { "name": name }, "spec": spec })).await.ok();
        let path = self.path(name);
        let hard = until("the quota was counted", async || {
            let quota = self.place.api.get(&path).await.ok();
            quota["status"].get("used").map(|_| quota["status"]["hard"].clone())
        })
        .await;
        assert_eq!(hard, spec["hard"]);
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.place.path("resourcequotas"))
    }

    /// Waits until this much is used, among others.
    async fn used(&self, name: &str, expected: Value) {
        let mut used = Value::Null;
        let what = format!("{name} uses {expected}");
        let seen = async || {
            used = self.place.api.get(&self.path(name)).await.ok()["status"]["used"].clone();
            let same = expected.as_object().is_some_and(|e| e.iter().all(|(k, v)| used[k] == *v));
            same.then_some(())
        };
        until(&what, seen).await;
    }

    /// What is used of one thing at this moment.
    async fn count(&self, name: &str, what: &str) -> u64 {
        let quota = self.place.api.get(&self.path(name)).await.ok();
        quota["status"]["used"][what].as_str().and_then(|n| n.parse().ok()).expect("a count")
    }

    /// One more of something is charged while it is there, in the quota named `q`.
    async fn life_of(&self, what: &str, plural_path: &str, body: Value) {
        let before = self.count("q", what).await;
        let made = self.place.api.post(plural_path, &body).await.ok();
        self.used("q", json!({ what: (before + 1).to_string() })).await;
        let one = format!("{plural_path}/{}", made["metadata"]["name"].as_str().expect("a name"));
        self.place.api.delete(&one).await.ok();
        self.used("q", json!({ what: before.to_string() })).await;
    }
}

fn plenty() -> Value {
    json!({
        "pods": "5", "services": "10", "services.nodeports": "1", "services.loadbalancers": "1", "replicationcontrollers": "10",
        "resourcequotas": "1", "secrets": "10", "configmaps": "10", "persistentvolumeclaims": "10", "requests.storage": "10Gi",
        "cpu": "1", "memory": "500Mi", "requests.ephemeral-storage": "50Gi", "count/replicasets.apps": "5", "requests.example.com/dongle": "3",
    })
}

async fn with_plenty() -> Limited {
    let limited = Limited::new().await;
    limited.quota("q", plenty(), Value::Null).await;
    limited
}

#[tokio::test]
async fn a_quota_is_counted_promptly() {
    let limited = with_plenty().await;
    limited.used("q", json!({ "resourcequotas": "1", "pods": "0", "cpu": "0", "memory": "0", "configmaps": "1", "secrets": "0" })).await;
}

#[tokio::test]
async fn a_secret_is_charged() {
    let limited = with_plenty().await;
    let body = json!({ "metadata": { "name": "test-secret" }, "stringData": { "data-1": "value-1" } });
    limited.life_of("secrets", &limited.place.path("secrets"), body).await;
}

#[tokio::test]
async fn a_config_map_is_charged() {
    let limited = with_plenty().await;
    limited.life_of("configmaps", &limited.place.maps.clone(), map("test-configmap", "1", Value::Null)).await;
}

#[tokio::test]
async fn a_replication_controller_is_charged() {
    let limited = with_plenty().await;
    limited.life_of("replicationcontrollers", &limited.place.path("replicationcontrollers"), controller("test-rc", 0)).await;
}

#[tokio::test]
async fn a_replica_set_is_charged() {
    let limited = with_plenty().await;
    let path = format!("/apis/apps/v1/namespaces/{}/replicasets", limited.place.namespace);
    limited.life_of("count/replicasets.apps", &path, deployment("test-rs", 0)).await;
}

#[tokio::test]
async fn services_are_charged_by_their_type() {
    let limited = with_plenty().await;
    let path = limited.place.path("services");
    let service = |name: &str, sort: &str, ports: bool| {
        let mut spec = json!({ "type": sort, "ports": [{ "port": 80, "targetPort": 80 }] });
        if !ports {
            spec["allocateLoadBalancerNodePorts"] = false.into();
        }
        json!({ "metadata": { "name": name }, "spec": spec })
    };
    let api = &limited.place.api;
    api.post(&path, &service("cluster", "ClusterIP", true)).await.ok();
    api.post(&path, &service("node", "NodePort", true)).await.ok();
    // A load balancer with a port on the nodes would be the second of these.
    let refused = api.post(&path, &service("balanced", "LoadBalancer", true)).await.refused(403, "Forbidden");
    assert!(
        refused.contains("exceeded quota: q, requested: services.nodeports=1, used: services.nodeports=1, limited: services.nodeports=1"),
        "{refused}"
    );
    api.post(&path, &service("balanced", "LoadBalancer", false)).await.ok();
    limited.used("q", json!({ "services": "3", "services.nodeports": "1", "services.loadbalancers": "1" })).await;
    for name in ["cluster", "node", "balanced"] {
        api.delete(&format!("{path}/{name}")).await.ok();
    }
    limited.used("q", json!({ "services": "0", "services.nodeports": "0", "services.loadbalancers": "0" })).await;
}

fn wanting(name: &str, requests: Value, limits: Value) -> Value {
    let mut pod = pod(name);
    pod["spec"]["containers"][0]["resources"] = json!({ "requests": requests, "limits": limits });
    pod
}

#[tokio::test]
async fn a_pod_is_charged_refused_and_given_back() {
    let limited = with_plenty().await;
    let (api, pods) = (&limited.place.api, limited.place.path("pods"));
    let dongle = json!({ "example.com/dongle": "2" });
    let requests = json!({ "cpu": "500m", "memory": "252Mi", "ephemeral-storage": "30Gi", "example.com/dongle": "2" });
    api.post(&pods, &wanting("test-pod", requests, dongle.clone())).await.ok();
    let used =
        json!({ "pods": "1", "cpu": "500m", "memory": "252Mi", "requests.ephemeral-storage": "30Gi", "requests.example.com/dongle": "2" });
    limited.used("q", used.clone()).await;
    let too_much = json!({ "cpu": "600m", "memory": "100Mi", "ephemeral-storage": "1Gi" });
    let refused = api.post(&pods, &wanting("fail-pod", too_much, json!({}))).await.refused(403, "Forbidden");
    assert!(refused.contains("exceeded quota: q, requested: cpu=600m, used: cpu=500m, limited: cpu=1"), "{refused}");
    let too_many = json!({ "cpu": "100m", "memory": "100Mi", "ephemeral-storage": "1Gi", "example.com/dongle": "2" });
    let refused = api.post(&pods, &wanting("fail-pod-for-extended-resource", too_many, dongle)).await.refused(403, "Forbidden");
    assert!(refused.contains("requests.example.com/dongle=2"), "{refused}");
    // What a pod asks for does not change by an ordinary update.
    let more = json!({ "spec": { "containers": [{ "name": "c", "resources": { "requests": { "cpu": "100m", "memory": "100Mi" } } }] } });
    api.patch(&format!("{pods}/test-pod"), "strategic-merge", &more).await.refused(422, "Invalid");
    limited.used("q", used).await;
    api.delete(&format!("{pods}/test-pod")).await.ok();
    limited
        .used("q", json!({ "pods": "0", "cpu": "0", "memory": "0", "requests.ephemeral-storage": "0", "requests.example.com/dongle": "0" }))
        .await;
}

#[tokio::test]
async fn terminating_pods_have_a_quota_of_their_own() {
    let limited = Limited::new().await;
    let hard = json!({ "pods": "5", "requests.cpu": "1", "requests.memory": "500Mi", "limits.cpu": "2", "limits.memory": "1Gi" });
    limited.quota("terminating", hard.clone(), json!(["Terminating"])).await;
    limited.quota("not-terminating", hard, json!(["NotTerminating"])).await;
    let none = json!({ "pods": "0", "requests.cpu": "0", "requests.memory": "0", "limits.cpu": "0", "limits.memory": "0" });
    let some = json!({ "pods": "1", "requests.cpu": "500m", "requests.memory": "200Mi", "limits.cpu": "1", "limits.memory": "400Mi" });
    let pods = limited.place.path("pods");
    let body = |name: &str| wanting(name, json!({ "cpu": "500m", "memory": "200Mi" }), json!({ "cpu": "1", "memory": "400Mi" }));
    let mut ending = body("ending");
    ending["spec"]["activeDeadlineSeconds"] = 3600.into();
    for (body, name, charged, free) in
        [(body("lasting"), "lasting", "not-terminating", "terminating"), (ending, "ending", "terminating", "not-terminating")]
    {
        limited.place.api.post(&pods, &body).await.ok();
        limited.used(charged, some.clone()).await;
        limited.used(free, none.clone()).await;
        limited.place.api.delete(&format!("{pods}/{name}")).await.ok();
        limited.used(charged, none.clone()).await;
    }
}

#[tokio::test]
async fn pods_that_ask_for_nothing_have_a_quota_of_their_own() {
    let limited = Limited::new().await;
    limited.quota("best", json!({ "pods": "5" }), json!(["BestEffort"])).await;
    limited.quota("other", json!({ "pods": "5" }), json!(["NotBestEffort"])).await;
    let pods = limited.place.path("pods");
    let asking = wanting("asking", json!({ "cpu": "500m", "memory": "200Mi" }), json!({ "cpu": "1", "memory": "400Mi" }));
    for (body, name, charged, free) in [(pod("modest"), "modest", "best", "other"), (asking, "asking", "other", "best")] {
        limited.place.api.post(&pods, &body).await.ok();
        limited.used(charged, json!({ "pods": "1" })).await;
        limited.used(free, json!({ "pods": "0" })).await;
        limited.place.api.delete(&format!("{pods}/{name}")).await.ok();
        limited.used(charged, json!({ "pods": "0" })).await;
    }
}

#[tokio::test]
async fn a_quota_is_updated_and_deleted() {
    let limited = Limited::new().await;
    limited.quota("test-quota", json!({ "cpu": "1", "memory": "500Mi" }), Value::Null).await;
    let path = limited.path("test-quota");
    let read = limited.place.api.get(&path).await.ok();
    assert_eq!(read["spec"]["hard"], json!({ "cpu": "1", "memory": "500Mi" }));
    let mut next = read.clone();
    next["spec"]["hard"] = json!({ "cpu": "2", "memory": "1Gi" });
    let updated = until("no controller is in between", async || {
        next["metadata"]["resourceVersion"] = limited.place.api.get(&path).await.ok()["metadata"]["resourceVersion"].clone();
        let answer = limited.place.api.put(&path, &next).await;
        (answer.status != 409).then(|| answer.ok())
    })
    .await;
    assert_eq!(updated["spec"]["hard"], next["spec"]["hard"]);
    assert_eq!(limited.place.api.get(&path).await.ok()["spec"]["hard"], next["spec"]["hard"]);
    limited.place.api.delete(&path).await.ok();
    limited.place.api.get(&path).await.refused(404, "NotFound");
}

#[tokio::test]
async fn the_life_of_a_quota() {
    let place = Place::new().await;
    let (path, label) = (place.path("resourcequotas"), place.namespace.clone());
    let body =
        json!({ "metadata": { "name": "e2e", "labels": { "e2e-rq": label } }, "spec": { "hard": { "cpu": "500m", "memory": "500Mi" } } });
    place.api.post(&path, &body).await.ok();
    let everywhere = format!("/api/v1/resourcequotas?labelSelector=e2e-rq%3D{label}");
    assert_eq!(names(&place.api.get(&everywhere).await.ok()), ["e2e"]);
    let patch = json!({ "metadata": { "labels": { "e2e": "patched" } }, "spec": { "hard": { "memory": "750Mi" } } });
    let patched = place.api.patch(&format!("{path}/e2e"), "strategic-merge", &patch).await.ok();
    assert_eq!(
        (&patched["metadata"]["labels"]["e2e"], &patched["spec"]["hard"]),
        (&json!("patched"), &json!({ "cpu": "500m", "memory": "750Mi" }))
    );
    assert_eq!(place.api.delete(&format!("{path}?labelSelector=e2e-rq%3D{label}")).await.status, 200);
    assert!(names(&place.api.get(&everywhere).await.ok()).is_empty());
}

#[tokio::test]
async fn the_status_of_a_quota() {
    let limited = Limited::new().await;
    limited.quota("rq", json!({ "cpu": "500m", "memory": "500Mi" }), Value::Null).await;
    let api = &limited.place.api;
    let (path, status) = (limited.path("rq"), format!("{}/status", limited.path("rq")));
    let more = json!({ "cpu": "750m", "memory": "750Mi" });
    let updated = api.change(&status, |quota| quota["status"]["hard"] = more.clone()).await;
    assert_eq!((&updated["status"]["hard"], &updated["spec"]["hard"]["cpu"]), (&more, &json!("500m")));
    // The controller brings it back to what the spec says.
    let same = async |cpu: &str| {
        until("status and spec agree", async || {
            let quota = api.get(&status).await.ok();
            (quota["status"]["hard"] == quota["spec"]["hard"] && quota["spec"]["hard"]["cpu"] == cpu).then_some(())
        })
        .await;
    };
    same("500m").await;
    api.patch(&path, "merge", &json!({ "spec": { "hard": { "cpu": "1", "memory": "1Gi" } } })).await.ok();
    same("1").await;
    let patched = api.patch(&status, "merge", &json!({ "status": { "hard": { "cpu": "2", "memory": "2Gi" } } })).await.ok();
    assert_eq!((&patched["status"]["hard"]["cpu"], &patched["spec"]["hard"]["cpu"]), (&json!("2"), &json!("1")));
    same("1").await;
}
