use super::*;
use crate::actors::controllers::feed::Objects;
use crate::actors::controllers::testing::{Bench, Model, key, mk_node, mk_pod};
use serde_json::{Value, json};

fn service(spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "default", "labels": {"team": "x"}}, "spec": spec})
}

fn pod(model: &Model, name: &str, ip: &str, ready: bool, port: i64) {
    let mut pod = mk_pod(name, json!({"app": "a"}));
    pod["spec"]["nodeName"] = "n".into();
    pod["spec"]["containers"][0]["ports"] = json!([{"name": "web", "containerPort": port}]);
    let ready = if ready { "True" } else { "False" };
    pod["status"] = json!({"phase": "Running", "podIP": ip, "conditions": [{"type": "Ready", "status": ready}]});
    model.put("pods", pod);
}

fn look(model: &Model) -> usize {
    let mut controller = Endpoints::default();
    Bench::new(model, &mut controller).converge(&mut controller, 0)
}

fn slices(model: &Model) -> Vec<Value> {
    model.list(SLICES, None).iter().map(|s| s.parse()).collect()
}

#[test]
fn pods_behind_a_service() {
    let model = Model::default();
    let mut node = mk_node("n", "1", "1Gi", 10);
    node["metadata"]["labels"]["topology.kubernetes.io/zone"] = "z".into();
    model.put("nodes", node);
    pod(&model, "p1", "10.0.0.1", true, 8080);
    pod(&model, "p2", "10.0.0.2", false, 8080);
    pod(&model, "p3", "10.0.0.3", true, 9090);
    model.put(
        SERVICES,
        service(json!({"selector": {"app": "a"}, "ports": [{"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"}]})),
    );
    look(&model);
    let found = slices(&model);
    assert_eq!(found.len(), 2);
    let first = found.iter().find(|s| s["ports"][0]["port"] == 8080).unwrap();
    let (one, two) = (&first["endpoints"][0], &first["endpoints"][1]);
    assert_eq!(one["conditions"], json!({"ready": true, "serving": true, "terminating": false}));
    assert_eq!(
        (&two["conditions"]["ready"], &one["zone"], &one["nodeName"], &one["targetRef"]["name"]),
        (&json!(false), &json!("z"), &json!("n"), &json!("p1"))
    );
    let labels = json!({"team": "x", "kubernetes.io/service-name": "s", "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"});
    assert_eq!((&first["metadata"]["labels"], &first["metadata"]["ownerReferences"][0]["kind"]), (&labels, &json!("Service")));
    let endpoints = model.get(ENDPOINTS, &key("s")).unwrap().parse();
    assert_eq!(
        (&endpoints["subsets"][0]["addresses"][0]["ip"], &endpoints["subsets"][0]["notReadyAddresses"][0]["ip"]),
        (&json!("10.0.0.1"), &json!("10.0.0.2"))
    );
    assert_eq!(endpoints["subsets"][1]["ports"], json!([{"name": "http", "port": 9090, "protocol": "TCP"}]));

    // A pod on its way out still serves; one that is gone is not listed.
    model.delete_now("pods", &key("p1"), Propagation::Background);
    model.delete_now("pods", &key("p3"), Propagation::Background);
    look(&model);
    let found = slices(&model);
    let leaving = json!({"ready": false, "serving": true, "terminating": true});
    assert!(found.iter().flat_map(|s| s["endpoints"].as_array().unwrap()).filter(|e| e["conditions"] == leaving).count() == 2);
    model.reap_pods();
    look(&model);
    assert_eq!((slices(&model).len(), slices(&model)[0]["endpoints"].as_array().unwrap().len()), (1, 1));
    model.edit(SERVICES, &key("s"), json!({"spec": {"publishNotReadyAddresses": true}}));
    look(&model);
    assert_eq!(slices(&model)[0]["endpoints"][0]["conditions"], json!({"ready": true, "serving": false, "terminating": false}));
    model.delete_now(SERVICES, &key("s"), Propagation::Background);
    look(&model);
    assert!(model.get(ENDPOINTS, &key("s")).is_none());
}

#[test]
fn endpoints_are_for_those_who_are_near() {
    let model = Model::default();
    pod(&model, "p1", "10.0.0.1", true, 8080);
    pod(&model, "p2", "10.0.0.2", false, 8080);
    let ports = json!([{"port": 80, "targetPort": 8080}]);
    model.put(SERVICES, service(json!({"selector": {"app": "a"}, "ports": ports, "trafficDistribution": "PreferSameNode"})));
    let hints = |model: &Model| slices(model)[0]["endpoints"].as_array().unwrap().iter().map(|e| e["hints"].clone()).collect::<Vec<_>>();
    look(&model);
    assert_eq!(hints(&model), [json!({"forNodes": [{"name": "n"}]}), Value::Null], "without a zone, and for what is ready");
    let mut node = mk_node("n", "1", "1Gi", 10);
    node["metadata"]["labels"]["topology.kubernetes.io/zone"] = "z".into();
    model.put("nodes", node);
    look(&model);
    assert_eq!(hints(&model)[0], json!({"forNodes": [{"name": "n"}], "forZones": [{"name": "z"}]}));
    for distribution in ["PreferSameZone", "PreferClose"] {
        model.edit(SERVICES, &key("s"), json!({"spec": {"trafficDistribution": distribution}}));
        look(&model);
        assert_eq!(hints(&model)[0], json!({"forZones": [{"name": "z"}]}));
    }
    model.edit(SERVICES, &key("s"), json!({"spec": {"trafficDistribution": null}}));
    look(&model);
    assert_eq!(hints(&model)[0], Value::Null);
}

#[test]
fn endpoints_are_shared_out_among_zones_by_their_processors() {
    let model = Model::default();
    let mut controller = Endpoints::default();
    let mut bench = Bench::new(&model, &mut controller);
    let node = |name: &str, cpu: &str, zone: &str| {
        let mut node = mk_node(name, cpu, "1Gi", 10);
        node["metadata"]["labels"]["topology.kubernetes.io/zone"] = zone.into();
        model.put("nodes", node)
    };
    node("n", "4", "a");
    node("m", "4", "b");
    for i in 0..6 {
        pod(&model, &format!("p{i}"), &format!("10.0.0.{i}"), true, 80);
    }
    let mut shared =
        service(json!({"selector": {"app": "a"}, "ports": [{"port": 80, "targetPort": 80}], "trafficDistribution": "PreferClose"}));
    shared["metadata"]["annotations"] = json!({"service.kubernetes.io/topology-mode": "Auto"});
    model.put(SERVICES, shared);
    bench.converge(&mut controller, 0);
    let zones = |model: &Model| {
        let hint = |e: &Value| e["hints"]["forZones"][0]["name"].as_str().unwrap_or("-").to_string();
        slices(model)[0]["endpoints"].as_array().unwrap().iter().map(hint).collect::<Vec<_>>().concat()
    };
    // All of them run in one zone; half of them work for the other.
    assert_eq!(zones(&model), "bbbaaa");
    node("o", "4", "c");
    bench.converge(&mut controller, 0);
    let mut sorted: Vec<char> = zones(&model).chars().collect();
    sorted.sort_unstable();
    assert_eq!(sorted.iter().collect::<String>(), "aabbcc", "a node makes a difference");
    // A node that keeps its zone to itself, a zone with hardly a processor, and too few endpoints: no hints at all.
    let odd = model.put("nodes", mk_node("odd", "1", "1Gi", 10));
    bench.converge(&mut controller, 0);
    assert_eq!(zones(&model), "------");
    model.delete_now("nodes", &odd.key, Propagation::Background);
    bench.converge(&mut controller, 0);
    assert!(!zones(&model).contains('-'));
    for i in 0..4 {
        model.delete_now("pods", &key(&format!("p{i}")), Propagation::Background);
    }
    model.reap_pods();
    bench.converge(&mut controller, 0);
    assert_eq!(zones(&model), "--");
}

#[test]
fn what_moved_the_endpoints_is_told_by_its_time() {
    let model = Model::default();
    let mut controller = Endpoints::default();
    let mut bench = Bench::new(&model, &mut controller);
    let ready = |truth: &str, at: &str| json!({"status": {"conditions": [{"type": "Ready", "status": truth, "lastTransitionTime": at}]}});
    let told = |model: &Model| {
        let slice = slices(model)[0]["metadata"]["annotations"]["endpoints.kubernetes.io/last-change-trigger-time"].clone();
        let legacy = model.get(ENDPOINTS, &key("s")).unwrap().parse()["metadata"]["annotations"][LAST_CHANGE].clone();
        assert_eq!(slice, legacy);
        slice
    };
    for (name, ip) in [("p1", "10.0.0.1"), ("p2", "10.0.0.2")] {
        pod(&model, name, ip, true, 8080);
    }
    model.edit("pods", &key("p1"), ready("True", "1970-01-01T00:10:00Z"));
    model.edit("pods", &key("p2"), ready("True", "1970-01-01T00:20:00Z"));
    let mut made = service(json!({"selector": {"app": "a"}, "ports": [{"port": 80, "targetPort": 8080}]}));
    made["metadata"]["creationTimestamp"] = "1970-01-01T00:30:00Z".into();
    model.put(SERVICES, made);
    bench.converge(&mut controller, 0);
    assert_eq!(told(&model), "1970-01-01T00:10:00Z", "the earliest of all that is new");
    model.edit("pods", &key("p2"), ready("False", "1970-01-01T00:40:00Z"));
    bench.converge(&mut controller, 0);
    assert_eq!(told(&model), "1970-01-01T00:40:00Z");
    model.delete_now("pods", &key("p1"), Propagation::Background);
    model.reap_pods();
    bench.converge(&mut controller, 0);
    assert_eq!(told(&model), Value::Null, "nobody measures this");
}

#[test]
fn a_slice_has_at_most_a_hundred_and_little_moves() {
    let model = Model::default();
    for i in 0..150 {
        pod(&model, &format!("p{i:03}"), &format!("10.0.1.{i}"), true, 80);
    }
    model.put(SERVICES, service(json!({"selector": {"app": "a"}, "clusterIP": "None", "ports": [{"port": 80, "targetPort": 80}]})));
    look(&model);
    let sizes = |model: &Model| slices(model).iter().map(|s| s["endpoints"].as_array().unwrap().len()).collect::<Vec<_>>();
    assert_eq!(sizes(&model), [100, 50]);
    let before = slices(&model);
    assert_eq!(before[0]["metadata"]["labels"]["service.kubernetes.io/headless"], "");
    pod(&model, "q", "10.0.2.1", true, 80);
    look(&model);
    assert_eq!((sizes(&model), &slices(&model)[0]), (vec![100, 51], &before[0]));
}

#[test]
fn endpoints_made_by_hand_are_mirrored() {
    let model = Model::default();
    model.put(SERVICES, service(json!({"ports": [{"port": 80}]})));
    let subsets = json!([{"addresses": [{"ip": "1.2.3.4"}], "notReadyAddresses": [{"ip": "fd00::1"}], "ports": [{"port": 80}]}]);
    model.put(
        ENDPOINTS,
        json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "s", "namespace": "default"}, "subsets": subsets}),
    );
    look(&model);
    let found = slices(&model);
    assert_eq!(found.len(), 2);
    assert_eq!(
        (&found[0]["endpoints"][0]["addresses"][0], &found[0]["endpoints"][0]["conditions"]["ready"]),
        (&json!("1.2.3.4"), &json!(true))
    );
    assert_eq!((&found[1]["addressType"], &found[1]["endpoints"][0]["conditions"]["ready"]), (&json!("IPv6"), &json!(false)));
    assert_eq!(found[0]["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"], "endpointslicemirroring-controller.k8s.io");
    model.edit(ENDPOINTS, &key("s"), json!({"metadata": {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}}));
    look(&model);
    assert!(slices(&model).is_empty());
}
