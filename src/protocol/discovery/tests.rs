use super::*;
use crate::resource::{ALL_VERBS, Resource, Subresource};
use serde_json::json;

const fn resource(group: &'static str, version: &'static str, kind: &'static str, plural: &'static str) -> Resource {
    Resource {
        group,
        version,
        kind,
        plural,
        singular: "",
        namespaced: true,
        short_names: &[],
        categories: &[],
        verbs: ALL_VERBS,
        subresources: &[],
    }
}

fn served() -> Vec<Resource> {
    let log = Subresource { name: "log", group: "", version: "v1", kind: "Pod", verbs: &["get"] };
    let eviction = Subresource { name: "eviction", group: "policy", version: "v1", kind: "Eviction", verbs: &["create"] };
    let mut pods = resource("", "v1", "Pod", "pods");
    pods.short_names = &["po"];
    pods.subresources = Box::leak(Box::new([log, eviction]));
    vec![
        resource("example.com", "v1", "Thing", "things"),
        resource("metrics.k8s.io", "v1beta1", "PodMetrics", "pods"),
        resource("autoscaling", "v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
        resource("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
        resource("apps", "v1", "Deployment", "deployments"),
        resource("", "v1", "ConfigMap", "configmaps"),
        pods,
    ]
}

#[test]
fn groups_come_in_upstreams_order_with_their_preferred_version_first() {
    let list = api_group_list(&served());
    let names: Vec<&str> = list["groups"].as_array().unwrap().iter().map(|g| g["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["apps", "autoscaling", "example.com", "metrics.k8s.io"]);
    assert_eq!(list["groups"][1]["preferredVersion"]["groupVersion"], "autoscaling/v2");
    assert_eq!(api_group(&served(), "apps").unwrap()["kind"], "APIGroup");
    assert!(api_group(&served(), "").is_none());
    assert_eq!(api_versions(&served(), "10.0.0.1:6443")["versions"][0], "v1");
}

#[test]
fn resource_lists_name_subresources_and_their_foreign_kinds() {
    let list = api_resource_list(&served(), "", "v1").unwrap();
    let names: Vec<&str> = list["resources"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["configmaps", "pods", "pods/eviction", "pods/log"]);
    assert_eq!(list["resources"][2]["group"], "policy");
    assert!(list["resources"][3].get("group").is_none());
    assert_eq!(list["resources"][1]["shortNames"][0], "po");
    assert!(list.get("apiVersion").is_none());
    assert!(api_resource_list(&served(), "apps", "v2").is_none());
}

#[test]
fn aggregated_lists_hold_the_same_in_one_document() {
    let api = aggregated_api(&served(), Version::V2);
    assert_eq!(api["apiVersion"], "apidiscovery.k8s.io/v2");
    let pods = &api["items"][0]["versions"][0]["resources"][1];
    assert_eq!(pods["subresources"][0]["responseKind"]["kind"], "Eviction");
    assert_eq!(pods["scope"], "Namespaced");
    let apis = aggregated_apis(&served(), Version::V2Beta1);
    assert_eq!(apis["items"].as_array().unwrap().len(), 4);
    assert_eq!(apis["items"][1]["versions"][0]["version"], "v2");
}

#[test]
fn the_aggregated_form_is_for_those_who_prefer_it() {
    let both = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
    assert_eq!(wants_aggregated(both), Some(Version::V2));
    let old = "application/json;as=APIGroupDiscoveryList;v=v2beta1;g=apidiscovery.k8s.io, application/json";
    assert_eq!(wants_aggregated(old), Some(Version::V2Beta1));
    assert_eq!(wants_aggregated("application/json"), None);
    assert_eq!(wants_aggregated("*/*"), None);
    assert_eq!(wants_aggregated("application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList"), None);
}

#[test]
fn an_etag_is_quoted_and_follows_the_body() {
    let one = Body::plain(&api_group_list(&served()));
    let two = Body::aggregated(&aggregated_apis(&served(), Version::V2), Version::V2);
    assert!(one.etag.starts_with('"') && one.etag.ends_with('"') && one.etag.len() == 66);
    assert_ne!(one.etag, two.etag);
}

#[test]
fn what_others_serve_is_put_beside_ours() {
    let flunder = json!({ "name": "flunders", "singularName": "flunder", "namespaced": true, "kind": "Flunder", "verbs": ["get"] });
    let status = json!({ "name": "flunders/status", "singularName": "", "namespaced": true, "kind": "Flunder", "verbs": ["get"] });
    let theirs = RemoteVersion {
        group: "wardle.io".into(),
        version: "v1alpha1".into(),
        group_priority: 2000,
        version_priority: 200,
        resources: vec![flunder, status],
        openapi: None,
        stale: false,
    };
    let mut list = aggregated_apis(&served(), Version::V2);
    add_to_aggregated(&mut list, std::slice::from_ref(&theirs));
    let names: Vec<&str> = list["items"].as_array().unwrap().iter().map(|g| g["metadata"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["apps", "autoscaling", "wardle.io", "example.com", "metrics.k8s.io"]);
    let resource = &list["items"][2]["versions"][0]["resources"][0];
    assert_eq!((&resource["scope"], &resource["subresources"][0]["subresource"]), (&json!("Namespaced"), &json!("status")));
    assert_eq!(resource["responseKind"], json!({ "group": "wardle.io", "version": "v1alpha1", "kind": "Flunder" }));

    // A version that we have as well is theirs; another one of the group stands where its priority puts it.
    let ours = RemoteVersion { group: "example.com".into(), version: "v1".into(), stale: true, version_priority: 10, ..theirs.clone() };
    let newer = RemoteVersion { version: "v2".into(), version_priority: 200, ..ours.clone() };
    let mut list = aggregated_apis(&served(), Version::V2);
    add_to_aggregated(&mut list, &[ours.clone(), newer]);
    let group = list["items"].as_array().unwrap().iter().find(|g| g["metadata"]["name"] == "example.com").unwrap();
    let versions: Vec<(&str, &str)> =
        group["versions"].as_array().unwrap().iter().map(|v| (v["version"].as_str().unwrap(), v["freshness"].as_str().unwrap())).collect();
    assert_eq!(versions, [("v2", "Stale"), ("v1", "Stale")]);
    let group = add_to_group(api_group(&served(), "example.com"), "example.com", &[ours]).unwrap();
    assert_eq!((&group["kind"], &group["preferredVersion"]["version"]), (&json!("APIGroup"), &json!("v1")));
    assert_eq!(add_to_group(None, "nobody.io", &[]), None);
}
