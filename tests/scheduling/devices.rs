//! Claims on devices: from the template to the node, and given back at the end.
use super::*;

const DRIVER: &str = "test.example.com";

/// A class, and a slice of two devices on the scene's first node.
fn offer(scene: &Scene) {
    let name = &scene.kubectl.namespace;
    let selector =
        json!({"cel": {"expression": format!("device.driver == '{DRIVER}' && device.attributes['{DRIVER}'].scene == '{name}'")}});
    scene.create(
        &json!({"apiVersion": "resource.k8s.io/v1", "kind": "DeviceClass", "metadata": {"name": name}, "spec": {"selectors": [selector]}}),
    );
    let device = |of: &str| json!({"name": of, "attributes": {"scene": {"string": name}}});
    let pool = json!({"name": name, "generation": 1, "resourceSliceCount": 1});
    scene.create(&json!({"apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice", "metadata": {"name": name},
        "spec": {"driver": DRIVER, "nodeName": scene.nodes[0], "pool": pool, "devices": [device("a"), device("b")]}}));
    let requests = json!([{"name": "one", "exactly": {"deviceClassName": name, "allocationMode": "ExactCount", "count": 1}}]);
    scene.create(&json!({"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaimTemplate", "metadata": {"name": "device"},
        "spec": {"spec": {"devices": {"requests": requests}}}}));
}

fn user(scene: &Scene, name: &str) -> Value {
    let container = json!({"name": "c", "image": "none.example/i:1", "resources": {"claims": [{"name": "mine"}]}});
    scene.pod(
        name,
        "1",
        json!({"spec": {"containers": [container], "resourceClaims": [{"name": "mine", "resourceClaimTemplateName": "device"}]}}),
    )
}

#[test]
fn devices_go_with_their_pods() {
    let scene = Scene::new("devices", 2);
    offer(&scene);
    for name in ["first", "second"] {
        scene.create(&user(&scene, name));
        assert_eq!(scene.node_of(name), scene.nodes[0]);
    }
    let claims = scene.kubectl.json("get resourceclaims");
    let mut given: Vec<String> = Vec::new();
    for claim in claims["items"].as_array().into_iter().flatten() {
        assert_eq!(claim["metadata"]["annotations"]["resource.kubernetes.io/pod-claim-name"], "mine");
        assert_eq!(claim["status"]["reservedFor"][0]["name"], claim["metadata"]["ownerReferences"][0]["name"]);
        given.push(claim["status"]["allocation"]["devices"]["results"][0]["device"].to_string());
    }
    given.sort();
    assert_eq!(given, ["\"a\"", "\"b\""]);
    let states = scene.kubectl.ok("get resourceclaims --no-headers");
    assert!(states.lines().all(|line| line.contains("allocated,reserved")), "{states}");
    // The third has to wait until one of them has gone.
    scene.create(&user(&scene, "third"));
    let said = scene.refused("third", "Unschedulable");
    assert!(said.contains("cannot allocate all claims"), "{said}");
    scene.kubectl.ok("delete pod first --force --grace-period=0");
    assert_eq!(scene.node_of("third"), scene.nodes[0]);
    scene.kubectl.run(&format!("delete deviceclass,resourceslice {} --wait=false", scene.kubectl.namespace));
}
