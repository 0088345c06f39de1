use super::*;
use proptest::prelude::{BoxedStrategy, Strategy as PropStrategy, prop, prop_assert_eq, proptest};
use serde_json::{Value, json};

fn deployment() -> Value {
    json!({"metadata": {"name": "d", "labels": {"a": "1", "b": "2"}, "finalizers": ["x/a", "x/b"]},
        "spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}, "template": {"spec": {
            "containers": [
                {"name": "web", "image": "web:1", "env": [{"name": "A", "value": "1"}], "ports": [{"containerPort": 80}]},
                {"name": "side", "image": "side:1", "args": ["a", "b"]}],
            "tolerations": [{"key": "k"}], "volumes": [{"name": "v", "emptyDir": {}}]}}}})
}

fn patched(patch: Value) -> Value {
    apply_strategic(&deployment(), &patch, "Deployment").unwrap()
}

fn in_pod(patch: Value) -> Value {
    patched(json!({"spec": {"template": {"spec": patch}}}))["spec"]["template"]["spec"].take()
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|i| i["name"].as_str().unwrap()).collect()
}

#[test]
fn lists_merge_by_their_keys() {
    let spec = in_pod(json!({"containers": [{"name": "web", "image": "web:2", "env": [{"name": "B", "value": "2"}],
        "ports": [{"containerPort": 80, "name": "http"}]}, {"name": "new", "image": "n", "args": null}], "tolerations": [{"key": "l"}]}));
    assert_eq!(names(&spec["containers"]), ["web", "new", "side"]);
    let web = &spec["containers"][0];
    assert_eq!((names(&web["env"]), &web["image"]), (vec!["B", "A"], &json!("web:2")));
    assert_eq!(web["ports"], json!([{"containerPort": 80, "name": "http"}]));
    assert_eq!(spec["containers"][1], json!({"name": "new", "image": "n"}));
    assert_eq!(spec["tolerations"], json!([{"key": "l"}]));
}

#[test]
fn directives() {
    assert_eq!(names(&in_pod(json!({"containers": [{"name": "web", "$patch": "delete"}]}))["containers"]), ["side"]);
    assert_eq!(names(&in_pod(json!({"containers": [{"$patch": "replace"}, {"name": "only"}]}))["containers"]), ["only"]);
    let ordered =
        json!({"$setElementOrder/containers": [{"name": "side"}, {"name": "third"}, {"name": "web"}], "containers": [{"name": "third"}]});
    assert_eq!(names(&in_pod(ordered)["containers"]), ["side", "third", "web"]);
    let labels = patched(json!({"metadata": {"labels": {"$patch": "replace", "c": "3"}}}));
    assert_eq!(labels["metadata"]["labels"], json!({"c": "3"}));
    let strategy = patched(json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}));
    assert_eq!(strategy["spec"]["strategy"], json!({"type": "Recreate"}));
    let volume = in_pod(json!({"volumes": [{"$retainKeys": ["name", "configMap"], "name": "v", "configMap": {"name": "c"}}]}));
    assert_eq!(volume["volumes"], json!([{"name": "v", "configMap": {"name": "c"}}]));
    let finalizers = patched(json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["x/a"],
        "$setElementOrder/finalizers": ["x/c", "x/b"], "finalizers": ["x/c"]}}));
    assert_eq!(finalizers["metadata"]["finalizers"], json!(["x/c", "x/b"]));
}

#[test]
fn nulls_delete_and_unmatched_nulls_vanish() {
    let result =
        patched(json!({"metadata": {"labels": {"a": null, "z": null}, "annotations": {"x": null, "y": "1"}}, "spec": {"strategy": null}}));
    assert_eq!(result["metadata"]["labels"], json!({"b": "2"}));
    assert_eq!(result["metadata"]["annotations"], json!({"y": "1"}));
    assert!(result["spec"].get("strategy").is_none());
}

#[test]
fn errors() {
    let fail = |patch: Value| apply_strategic(&deployment(), &patch, "Deployment").unwrap_err();
    assert!(matches!(fail(json!([])), PatchError::Malformed(_)));
    assert_eq!(fail(json!({"spec": {"strategy": {"$retainKeys": ["type"], "rollingUpdate": {}}}})), PatchError::RetainKeys);
    let no_key = fail(json!({"spec": {"template": {"spec": {"containers": [{"image": "x"}]}}}}));
    assert_eq!(no_key.to_string(), "map: {\"image\":\"x\"} does not contain declared merge key: name");
    assert_eq!(fail(json!({"$patch": "x"})).to_string(), "unknown patch type: x in map: {}");
    assert_eq!(no_key.to_api_error().code, 400);
}

#[test]
fn json_patch() {
    let apply = |patch: Value| apply_json(&json!({"a": {"b": [1, 2]}}), &patch);
    assert_eq!(
        apply(json!([{"op": "add", "path": "/a/b/-", "value": 3}, {"op": "test", "path": "/a/b/2", "value": 3}])),
        Ok(json!({"a": {"b": [1, 2, 3]}}))
    );
    assert!(apply(json!([{"op": "test", "path": "/a/none", "value": null}])).is_ok());
    for (path, value) in [("/a/b", json!(null)), ("/a/none", json!(1)), ("/none/none", json!(null))] {
        assert!(apply(json!([{"op": "test", "path": path, "value": value}])).is_err(), "{path}");
    }
    let failed = apply(json!([{"op": "test", "path": "/a/b/0", "value": 5}])).unwrap_err();
    assert_eq!((failed.to_string().as_str(), failed.to_api_error().code), ("testing value /a/b/0 failed: test failed", 422));
    assert!(apply(json!([{"op": "replace", "path": "/x", "value": 5}])).unwrap_err().to_string().contains("doc is missing key: /x"));
    assert!(apply(json!([{"op": "grow", "path": "/x"}])).is_err());
    assert_eq!(apply(json!({})).unwrap_err().to_api_error().code, 400);
    let many = vec![json!({"op": "test", "path": "/a/b/0", "value": 1}); MAX_OPERATIONS + 1];
    assert_eq!(apply(many.into()).unwrap_err().to_api_error().code, 413);
    let mut doubling = vec![json!({"op": "add", "path": "/c", "value": []})];
    doubling.extend((0..64).map(|_| json!({"op": "copy", "from": "/c", "path": "/c/-"})));
    assert!(apply(doubling.into()).unwrap_err().to_string().contains("accumulated size"));
}

#[test]
fn merge_patch() {
    assert_eq!(apply_merge(&json!({"a": 1, "b": [1]}), &json!({"a": null, "b": [2], "c": {"d": null}})), Ok(json!({"b": [2], "c": {}})));
    assert!(apply_merge(&json!({}), &json!(1)).is_err());
}

/// Lists as the API has them: no two items with the same key.
fn container() -> BoxedStrategy<Value> {
    let env = prop::collection::btree_map("[A-C]", "[0-2]", 0..3).prop_map(|m| m.into_iter().collect::<Vec<_>>()).prop_shuffle();
    let fields = ("[a-c]", env);
    fields
        .prop_map(
            |(image, env)| json!({"image": image, "env": env.iter().map(|(n, v)| json!({"name": n, "value": v})).collect::<Vec<_>>()}),
        )
        .boxed()
}

fn pod() -> BoxedStrategy<Value> {
    let containers = prop::collection::btree_map("[a-d]", container(), 0..4).prop_map(|m| m.into_iter().collect::<Vec<_>>()).prop_shuffle();
    let finalizers = prop::collection::btree_set("[x-z]", 0..3);
    (containers, finalizers)
        .prop_map(|(containers, finalizers)| {
            let named = containers.into_iter().map(|(name, mut container)| {
                container["name"] = name.into();
                container
            });
            json!({"metadata": {"finalizers": finalizers}, "spec": {"containers": named.collect::<Vec<_>>()}})
        })
        .boxed()
}

proptest! {
    #[test]
    fn twice_is_once(current in pod(), patch in pod()) {
        let once = apply_strategic(&current, &patch, "Pod").unwrap();
        let twice = apply_strategic(&once, &patch, "Pod").unwrap();
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn the_empty_patch_changes_nothing(current in pod()) {
        prop_assert_eq!(apply_strategic(&current, &json!({}), "Pod").unwrap(), current);
    }
}
