//! Versions that Kubernetes has removed: converted on the way in and out, with a warning each time.
use super::{Place, admin, names, pod};
use crate::cluster::Cluster;
use crate::kubectl::newest;
use serde_json::{Value, json};

const OLD_SET: &str = "299 - \"extensions/v1beta1 ReplicaSet is deprecated in v1.8+, unavailable in v1.16+; use apps/v1 ReplicaSet\"";

/// A ReplicaSet as `extensions/v1beta1` had it: nobody says what it selects.
fn old_set(name: &str) -> Value {
    let template = json!({ "metadata": { "labels": { "app": "old" } }, "spec": pod("x")["spec"] });
    json!({ "apiVersion": "extensions/v1beta1", "kind": "ReplicaSet", "metadata": { "name": name }, "spec": { "replicas": 0, "template": template } })
}

#[tokio::test]
async fn one_object_under_two_versions() {
    let place = Place::new().await;
    let sets = |version: &str| format!("/apis/{version}/namespaces/{}/replicasets", place.namespace);
    let (old, today) = (sets("extensions/v1beta1"), sets("apps/v1"));
    let made = place.api.post(&old, &old_set("a")).await;
    assert_eq!((made.status, made.header("warning")), (201, OLD_SET));
    assert_eq!(made.json()["apiVersion"], "extensions/v1beta1");
    let stored = place.api.get(&format!("{today}/a")).await;
    assert_eq!(stored.header("warning"), "");
    let stored = stored.ok();
    assert_eq!((&stored["apiVersion"], &stored["spec"]["selector"]), (&json!("apps/v1"), &json!({ "matchLabels": { "app": "old" } })));
    assert_eq!(stored["metadata"]["labels"], json!({ "app": "old" }));

    let listed = place.api.get(&old).await;
    assert_eq!(listed.header("warning"), OLD_SET);
    let list = listed.ok();
    assert_eq!(
        (&list["apiVersion"], &list["items"][0]["apiVersion"], names(&list)),
        (&json!("extensions/v1beta1"), &json!("extensions/v1beta1"), vec!["a".to_string()])
    );

    for how in ["merge", "strategic-merge"] {
        let patch = json!({ "metadata": { "annotations": { "by": how } } });
        let patched = place.api.patch(&format!("{old}/a"), how, &patch).await;
        assert_eq!(patched.header("warning"), OLD_SET, "{}", patched.text());
        assert_eq!(patched.ok()["metadata"]["annotations"]["by"], how);
    }
    place.api.change(&format!("{old}/a"), |whole| whole["spec"]["minReadySeconds"] = 5.into()).await;
    assert_eq!(place.api.get(&format!("{today}/a")).await.ok()["spec"]["minReadySeconds"], 5);
    // What was read before is a conflict, whichever version it came by.
    place.api.put(&format!("{today}/a"), &stored).await.refused(409, "Conflict");
    let refused = place.api.post(&old, &json!({ "apiVersion": "apps/v1", "kind": "ReplicaSet" })).await.refused(400, "BadRequest");
    assert!(refused.contains("does not match the expected API version (extensions/v1beta1)"), "{refused}");

    let mut watch = place.api.watch(&format!("{old}?watch=1&resourceVersion=0")).await;
    assert_eq!(watch.next().await.expect("an event")["object"]["apiVersion"], "extensions/v1beta1");
    place.api.delete(&format!("{old}/a")).await.ok();
    place.api.get(&format!("{today}/a")).await.refused(404, "NotFound");
}

#[tokio::test]
async fn what_nobody_would_enforce_is_refused() {
    let refused = admin().post("/apis/policy/v1beta1/podsecuritypolicies", &json!({})).await.refused(404, "NotFound");
    assert!(refused.contains("PodSecurityPolicy is unavailable in v1.25+, and nothing here would enforce it"), "{refused}");
}

#[tokio::test]
async fn removed_versions_come_last_and_under_full_names_only() {
    let groups = admin().get("/apis").await.ok();
    let groups: Vec<&str> = groups["groups"].as_array().expect("groups").iter().filter_map(|g| g["name"].as_str()).collect();
    assert_eq!(groups[groups.len() - 2..], ["extensions", "settings.k8s.io"]);
    assert_eq!(admin().get("/apis/apps").await.ok()["preferredVersion"]["version"], "v1");
    for path in ["/apis/extensions/v1beta1", "/apis/apps/v1beta2", "/apis/settings.k8s.io/v1alpha1"] {
        for resource in admin().get(path).await.ok()["resources"].as_array().expect("resources") {
            assert!(resource.get("shortNames").is_none() && resource.get("categories").is_none(), "{resource}");
        }
    }
    let documents = admin().get("/openapi/v3").await.ok();
    assert!(documents["paths"].get("apis/extensions/v1beta1").is_none() && documents["paths"].get("apis/apps/v1").is_some());
}

#[tokio::test]
async fn kubectl_applies_old_manifests() {
    let place = Place::new().await;
    let server: &Cluster = super::server();
    let tool = newest();
    let kubectl = server.kubectl(tool, &place.namespace);
    for (file, kind) in [("apps-v1beta2-replicaset", "replicaset.apps"), ("extensions-v1beta1-replicaset", "replicaset.apps")] {
        let manifest =
            std::fs::read_to_string(format!("{}/config/examples/old/{file}.yaml", env!("CARGO_MANIFEST_DIR"))).expect("a manifest");
        for said in ["created", "unchanged", "configured"] {
            let manifest =
                if said == "configured" { manifest.replace("replicas: 0", "replicas: 0\n  minReadySeconds: 3") } else { manifest.clone() };
            let run = kubectl.feed("apply", &manifest);
            assert!(run.stdout.contains(said), "{file}: {} {}", run.stdout, run.stderr);
            assert!(run.stderr.contains("Warning: ") && run.stderr.contains("; use apps/v1 ReplicaSet"), "{}", run.stderr);
        }
        assert!(kubectl.ok(&format!("get {kind} -o name")).starts_with("replicaset.apps/"));
    }
    // A server-side apply makes what is not there, and is recorded under today's version.
    let set = old_set("c").to_string();
    for _ in 0..2 {
        let run = kubectl.feed("apply --server-side --field-manager=me", &set);
        assert!(run.stdout.contains("serverside-applied"), "{} {}", run.stdout, run.stderr);
    }
    let set = kubectl.json("get rs c --show-managed-fields -o json");
    let managers = set["metadata"]["managedFields"].as_array().expect("managers");
    assert!(managers.iter().all(|m| m["apiVersion"] == "apps/v1"), "{managers:?}");
    // Each object shows once, and names mean today's kinds.
    assert_eq!(kubectl.ok("get all -o name").lines().filter(|l| l.contains("replicaset")).count(), 3);
    assert!(kubectl.ok("get rs -o name").lines().all(|l| l.starts_with("replicaset.apps/")));
    let preset = "apiVersion: settings.k8s.io/v1alpha1\nkind: PodPreset\nmetadata: {name: p}\nspec: {env: [{name: A, value: '1'}]}\n";
    assert!(kubectl.feed("apply", preset).stderr.contains("PodPreset is deprecated"));
    kubectl.drop_namespace();
}
