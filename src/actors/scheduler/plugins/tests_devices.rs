//! Devices: which claims get which, and why none.
use crate::actors::controllers::resource_claim::FINALIZER;
use crate::actors::controllers::testing::mk_pod;
use crate::actors::scheduler::cluster::devices::{CLAIMS, CLASSES, SLICES};
use crate::actors::scheduler::framework::Write;
use crate::actors::scheduler::tests::fixture::Stage;
use serde_json::{Value, json};

const DRIVER: &str = "gpu.example.com";

fn device(name: &str, model: &str, memory: &str) -> Value {
    json!({"name": name, "attributes": {"model": {"string": model}, "version": {"version": "1.2.0"}}, "capacity": {"memory": {"value": memory}}})
}

fn slice(node: &str, count: i64, devices: &[Value]) -> Value {
    let pool = json!({"name": node, "generation": 1, "resourceSliceCount": count});
    json!({"metadata": {"name": format!("s-{node}")}, "spec": {"driver": DRIVER, "nodeName": node, "pool": pool, "devices": devices}})
}

fn claim(name: &str, exactly: Value) -> Value {
    let mut asked = json!({"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 1});
    exactly.as_object().into_iter().flatten().for_each(|(field, value)| asked[field] = value.clone());
    json!({"metadata": {"name": name, "namespace": "default", "uid": name}, "spec": {"devices": {"requests": [{"name": "r", "exactly": asked}]}}})
}

fn pod(claim: &str) -> Value {
    let mut pod = mk_pod("p", json!({}));
    pod["spec"]["resourceClaims"] = json!([{"name": "c", "resourceClaimName": claim}]);
    pod
}

/// Three nodes; the second has two devices, the third one.
fn stage() -> Stage {
    let mut stage = Stage::new(3);
    let selector = json!({"cel": {"expression": format!("device.driver == '{DRIVER}'")}});
    let config = json!([{"opaque": {"driver": DRIVER, "parameters": {}}}]);
    stage
        .object(CLASSES, json!({"metadata": {"name": "gpu"}, "spec": {"selectors": [selector], "config": config}}))
        .object(SLICES, slice("n1", 1, &[device("a", "big", "16Gi"), device("b", "small", "4Gi")]))
        .object(SLICES, slice("n2", 1, &[device("c", "small", "4Gi")]));
    stage
}

fn selected(expression: &str) -> Value {
    json!({"selectors": [{"cel": {"expression": expression}}]})
}

/// The scheduler decides for a node; what has to be written.
fn reserve(stage: &mut Stage, claim: &str, slot: usize) -> Vec<Write> {
    let (info, node) = (stage.info(pod(claim)), stage.cluster.nodes()[slot].clone());
    let at = stage.profile.plugins.iter().position(|p| p.plugin.name() == "DynamicResources").expect("the plugin");
    stage.profile.plugins[at].plugin.reserve(&info, slot, &node, &mut stage.cluster).expect("devices")
}

#[test]
fn selectors_choose_nodes() {
    let mut stage = stage();
    let cases = [
        (json!({}), &["n1", "n2"][..]),
        (selected("device.attributes['gpu.example.com'].model == 'big'"), &["n1"]),
        (selected("device.capacity['gpu.example.com'].memory.compareTo(quantity('8Gi')) < 0"), &["n1", "n2"]),
        (selected("device.attributes['gpu.example.com'].version.isGreaterThan(semver('1.3.0'))"), &[]),
        (selected("device.attributes['other.example.com'].x == 1"), &[]),
        (json!({"count": 2}), &["n1"]),
        (json!({"allocationMode": "All", "count": null}), &["n1", "n2"]),
    ];
    for (asked, want) in cases {
        stage.object(CLAIMS, claim("c", asked.clone()));
        assert_eq!(stage.feasible(pod("c")), want, "{asked}");
    }
}

#[test]
fn what_is_given_is_given_once() {
    let mut stage = stage();
    for name in ["c", "d", "e"] {
        stage.object(CLAIMS, claim(name, json!({})));
    }
    let writes = reserve(&mut stage, "c", 1);
    assert_eq!(writes[0].patch["metadata"]["finalizers"], json!([FINALIZER]));
    let given = &writes[1].patch["status"];
    assert_eq!(given["allocation"]["devices"]["results"], json!([{"request": "r", "driver": DRIVER, "pool": "n1", "device": "a"}]));
    let config = json!([{"source": "FromClass", "requests": ["r"], "opaque": {"driver": DRIVER, "parameters": {}}}]);
    assert_eq!(given["allocation"]["devices"]["config"], config);
    let here = json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]);
    assert_eq!(given["allocation"]["nodeSelector"]["nodeSelectorTerms"], here);
    assert_eq!((&given["reservedFor"][0]["name"], writes[1].subresource), (&"p".into(), Some("status")));
    // Before it is written it counts, too.
    let words = "0/3 nodes are available: resource claim default/c is in the process of being allocated.";
    assert_eq!(stage.outcome(pod("c")), words);
    assert_eq!(reserve(&mut stage, "d", 1)[1].patch["status"]["allocation"]["devices"]["results"][0]["device"], "b");
    assert_eq!(stage.feasible(pod("e")), ["n2"]);
    // Once it stands there, everybody who uses the claim goes where it is.
    let mut written = claim("c", json!({}));
    written["status"] = given.clone();
    stage.object(CLAIMS, written);
    assert_eq!(stage.feasible(pod("c")), ["n1"]);
    let [shared] = &reserve(&mut stage, "c", 1)[..] else { panic!("the pod is added") };
    assert_eq!(shared.patch["status"]["reservedFor"].as_array().map(Vec::len), Some(2));
    reserve(&mut stage, "e", 2);
    stage.object(CLAIMS, claim("f", json!({})));
    assert_eq!(stage.outcome(pod("f")), "0/3 nodes are available: 3 cannot allocate all claims.");
}

#[test]
fn alike_tainted_and_half_known() {
    let mut stage = stage();
    let mut alike = claim("c", json!({"count": 2}));
    alike["spec"]["devices"]["constraints"] = json!([{"matchAttribute": "gpu.example.com/model"}]);
    stage.object(CLAIMS, alike.clone());
    assert_eq!(stage.feasible(pod("c")), [""; 0]);
    stage.object(SLICES, slice("n0", 1, &[device("x", "big", "1Gi"), device("y", "small", "1Gi"), device("z", "small", "1Gi")]));
    assert_eq!(stage.feasible(pod("c")), ["n0"]);
    let mut tainted = device("x", "big", "1Gi");
    tainted["taints"] = json!([{"key": "broken", "effect": "NoSchedule"}]);
    stage.object(SLICES, slice("n0", 1, &[tainted])).object(CLAIMS, claim("c", json!({})));
    assert_eq!(stage.feasible(pod("c")), ["n1", "n2"]);
    stage.object(CLAIMS, claim("c", json!({"tolerations": [{"key": "broken", "operator": "Exists"}]})));
    assert_eq!(stage.feasible(pod("c")), ["n0", "n1", "n2"]);
    // A pool of which a part is missing offers nothing yet.
    stage.object(SLICES, slice("n2", 2, &[device("c", "small", "4Gi")]));
    assert_eq!(stage.feasible(pod("c")), ["n0", "n1"]);
}

#[test]
fn why_a_pod_can_go_nowhere() {
    let mut stage = stage();
    let mut first = claim("first", json!({}));
    first["spec"]["devices"]["requests"] = json!([{"name": "r", "firstAvailable": [{"name": "s"}]}]);
    let mut going = claim("going", json!({}));
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    stage
        .object(CLAIMS, claim("unknown", json!({"deviceClassName": "none"})))
        .object(CLAIMS, claim("wrong", selected("device.attributes['gpu.example.com'].nothing == 1")))
        .object(CLAIMS, first)
        .object(CLAIMS, going);
    let cases = [
        ("none", "resourceclaim.resource.k8s.io \"none\" not found"),
        ("unknown", "request r: device class none does not exist"),
        ("wrong", "claim default/wrong: selector #0: runtime error: no such key: nothing"),
        ("first", "resource claim default/first, request r: has subrequests, but the DRAPrioritizedList feature is disabled"),
        ("going", "resourceclaim \"going\" is being deleted"),
    ];
    for (name, want) in cases {
        assert_eq!(stage.outcome(pod(name)), format!("0/3 nodes are available: {want}."));
    }
    let mut own = pod("x");
    own["spec"]["resourceClaims"] = json!([{"name": "c", "resourceClaimTemplateName": "t"}]);
    assert_eq!(stage.outcome(own), "0/3 nodes are available: pod \"default/p\": ResourceClaim not created yet.");
}
