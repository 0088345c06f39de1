//! The rules of the legacy group's kinds, by table.
use crate::actors::kinds::scene::{NOW, Scene, findings};
use serde_json::{Value, json};

fn scene(kind: &str) -> Scene {
    Scene::of("", kind)
}

fn with(mut body: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    body.pointer_mut(parent).expect("a parent")[key] = value;
    body
}

fn named(mut body: Value) -> Value {
    body["metadata"]["name"] = "x".into();
    body
}

fn service(spec: Value) -> Value {
    named(json!({ "spec": spec }))
}

#[test]
fn defaults_of_services() {
    let web = scene("Service").create(service(json!({ "ports": [{ "port": 80 }], "clusterIP": "10.0.0.1" }))).expect("good");
    assert_eq!(
        web["spec"],
        json!({
            "type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster", "clusterIP": "10.0.0.1",
            "clusterIPs": ["10.0.0.1"], "ports": [{ "port": 80, "protocol": "TCP", "targetPort": 80 }],
        })
    );
    assert_eq!(web["status"], json!({ "loadBalancer": {} }));
    let sticky =
        scene("Service").create(service(json!({ "type": "LoadBalancer", "sessionAffinity": "ClientIP", "ports": [{ "port": 80 }] })));
    let spec = &sticky.expect("good")["spec"];
    assert_eq!(spec["sessionAffinityConfig"], json!({ "clientIP": { "timeoutSeconds": 10800 } }));
    assert_eq!((&spec["externalTrafficPolicy"], &spec["allocateLoadBalancerNodePorts"]), (&json!("Cluster"), &json!(true)));
    let name = scene("Service").create(service(json!({ "type": "ExternalName", "externalName": "example.com." }))).expect("good");
    assert!(name["spec"].get("internalTrafficPolicy").is_none());
}

#[test]
fn refused_services() {
    let port = json!([{ "port": 80 }]);
    let balancer = "may only be used when `type` is 'LoadBalancer'";
    let cases = [
        (json!({}), vec!["spec.ports: Required value".to_string()]),
        (json!({ "type": "X", "ports": port }), vec![
            "spec.type: Unsupported value: \"X\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"".into(),
        ]),
        (json!({ "ports": [{ "port": 0 }] }), vec![
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive".into(),
            "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive".into(),
        ]),
        (json!({ "ports": [{ "port": 80 }, { "port": 81 }] }), vec![
            "spec.ports[0].name: Required value".into(), "spec.ports[1].name: Required value".into(),
        ]),
        (json!({ "ports": [{ "name": "a", "port": 80 }, { "name": "a", "port": 81 }] }), vec![
            "spec.ports[1].name: Duplicate value: \"a\"".into(),
        ]),
        (json!({ "ports": [{ "port": 80, "nodePort": 30000 }] }), vec![
            "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'".into(),
        ]),
        (json!({ "type": "NodePort", "clusterIP": "None", "ports": port }), vec![
            "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services".into(),
        ]),
        (json!({ "clusterIP": "1.2.3", "ports": port }), vec![
            "spec.clusterIPs[0]: Invalid value: \"1.2.3\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".into(),
        ]),
        (json!({ "clusterIPs": ["10.0.0.1"], "ports": port }), vec![
            "spec.clusterIPs: Invalid value: [\"10.0.0.1\"]: must be empty when `clusterIP` is not specified".into(),
        ]),
        (json!({ "clusterIP": "10.0.0.1", "ipFamilies": ["IPv6"], "ports": port }), vec![
            "spec.clusterIPs[0]: Invalid value: \"10.0.0.1\": expected an IPv6 value as indicated by `ipFamilies[0]`".into(),
        ]),
        (json!({ "type": "ExternalName" }), vec!["spec.externalName: Required value".into()]),
        (json!({ "ports": port, "externalIPs": ["127.0.0.1"] }), vec![
            "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)".into(),
        ]),
        (json!({ "ports": port, "loadBalancerSourceRanges": ["10.0.0.0/8"] }), vec![
            format!("spec.LoadBalancerSourceRanges: Forbidden: {balancer}"),
        ]),
        (json!({ "ports": port, "loadBalancerClass": "a/b" }), vec![format!("spec.loadBalancerClass: Forbidden: {balancer}")]),
        (json!({ "ports": port, "externalTrafficPolicy": "Local" }), vec![
            "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services".into(),
        ]),
        (json!({ "ports": port, "sessionAffinity": "ClientIP", "sessionAffinityConfig": { "clientIP": { "timeoutSeconds": 86401 } } }), vec![
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400".into(),
        ]),
        (json!({ "ports": port, "healthCheckNodePort": 31000 }), vec![
            "spec.healthCheckNodePort: Invalid value: 31000: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'".into(),
        ]),
    ];
    for (spec, words) in cases {
        assert_eq!(scene("Service").refusals(service(spec.clone())), words, "{spec}");
    }
    assert_eq!(
        scene("Service").refusals(json!({ "metadata": { "name": "1a" }, "spec": { "ports": port } })).len(),
        1,
        "a name that begins with a digit"
    );
}

#[test]
fn updates_of_services() {
    let services = scene("Service");
    let mut old = services
        .stored(service(json!({ "type": "NodePort", "ports": [{ "name": "a", "port": 80, "nodePort": 30080 }], "clusterIP": "10.0.0.1" })));
    old["spec"]["ipFamilies"] = json!(["IPv4"]);
    old["spec"]["ipFamilyPolicy"] = "SingleStack".into();
    // What was allocated stays when a client leaves it out.
    let kept = services.update(&old, |o| o["spec"] = json!({ "type": "NodePort", "ports": [{ "name": "a", "port": 81 }] })).expect("good");
    assert_eq!((&kept["spec"]["clusterIPs"], &kept["spec"]["ports"][0]["nodePort"]), (&json!(["10.0.0.1"]), &json!(30080)));
    // A change of type drops what means nothing any more.
    let plain = services.update(&old, |o| o["spec"]["type"] = "ClusterIP".into()).expect("good");
    assert!(plain["spec"]["ports"][0].get("nodePort").is_none() && plain["spec"].get("externalTrafficPolicy").is_none());
    let name = services.update(&old, |o| {
        o["spec"]["type"] = "ExternalName".into();
        o["spec"]["externalName"] = "a.b".into();
    });
    let name = name.expect("good");
    assert!(["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"].iter().all(|f| name["spec"].get(*f).is_none()), "{name}");
    let moved = services.update(&old, |o| o["spec"]["clusterIP"] = "10.0.0.2".into());
    assert_eq!(findings(moved), ["spec.clusterIPs[0]: Invalid value: [\"10.0.0.2\"]: may not change once set"]);
    let status = services.status(&old, |o| o["status"]["loadBalancer"] = json!({ "ingress": [{ "ip": "1.2.3.4" }] }));
    assert_eq!(findings(status), ["status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"]);
    let balancer = services.stored(service(json!({ "type": "LoadBalancer", "ports": [{ "port": 80 }] })));
    let balancer = services.status(&balancer, |o| o["status"]["loadBalancer"] = json!({ "ingress": [{ "ip": "1.2.3.4" }] })).expect("good");
    assert_eq!(balancer["status"]["loadBalancer"]["ingress"][0]["ipMode"], "VIP");
    assert_eq!(services.row(&balancer)[3], "1.2.3.4");
}

#[test]
fn endpoints() {
    let endpoints = scene("Endpoints");
    let body = named(
        json!({ "subsets": [{ "addresses": [{ "ip": "10.0.0.1" }, { "ip": "10.0.0.2" }], "ports": [{ "name": "a", "port": 80 }, { "name": "b", "port": 81 }] }] }),
    );
    let object = endpoints.stored(body.clone());
    assert_eq!(object["subsets"][0]["ports"][0]["protocol"], "TCP");
    assert_eq!(endpoints.row(&object), [json!("x"), json!("10.0.0.1:80,10.0.0.2:80,10.0.0.1:81 + 1 more..."), json!("60s")]);
    assert_eq!((endpoints.kind().rules.warnings)(&object, None), [super::endpoints::DEPRECATED]);
    for (pointer, value, words) in [
        (
            "/subsets/0/addresses/0/ip",
            json!("169.254.1.1"),
            "subsets[0].addresses[0].ip: Invalid value: \"169.254.1.1\": may not be in the link-local range (169.254.0.0/16, fe80::/10)",
        ),
        ("/subsets/0/ports/0/name", json!(""), "subsets[0].ports[0].name: Required value"),
        ("/subsets/0/ports/0/port", json!(70000), "subsets[0].ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive"),
        ("/subsets/0/addresses", json!([]), "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"),
    ] {
        assert_eq!(endpoints.refusals(with(body.clone(), pointer, value)), [words]);
    }
}

#[test]
fn limit_ranges() {
    let limits = scene("LimitRange");
    let range = |limit: Value| named(json!({ "spec": { "limits": [limit] } }));
    let object = limits.create(range(json!({ "type": "Container", "max": { "cpu": "1" }, "min": { "memory": "1Gi" } }))).expect("good");
    let limit = &object["spec"]["limits"][0];
    assert_eq!((&limit["default"], &limit["defaultRequest"]), (&json!({ "cpu": "1" }), &json!({ "cpu": "1", "memory": "1Gi" })));
    let path = "spec.limits[0]";
    for (limit, words) in [
        (
            json!({ "type": "Pod", "max": { "cpu": "1" }, "min": { "cpu": "2" } }),
            format!("{path}.min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1"),
        ),
        (
            json!({ "type": "Pod", "default": { "cpu": "1" } }),
            format!("{path}.default: Forbidden: may not be specified when `type` is 'Pod'"),
        ),
        (json!({ "type": "X" }), format!("{path}.type: Invalid value: \"X\": must be a standard limit type or fully qualified")),
        (
            json!({ "type": "PersistentVolumeClaim" }),
            format!("{path}.limits: Required value: either minimum or maximum storage value is required, but neither was provided"),
        ),
        (
            json!({ "type": "Container", "default": { "cpu": "1" }, "defaultRequest": { "cpu": "2" } }),
            format!("{path}.defaultRequest[cpu]: Invalid value: \"2\": default request value 2 is greater than default limit value 1"),
        ),
        (
            json!({ "type": "Pod", "min": { "cpu": "1" }, "max": { "cpu": "2" }, "maxLimitRequestRatio": { "cpu": "3" } }),
            format!("{path}.maxLimitRequestRatio[cpu]: Invalid value: \"3\": ratio 3 is greater than max/min = 2.000000"),
        ),
        (
            json!({ "type": "Pod", "max": { "gpus": "1" } }),
            format!("{path}.max[gpus]: Invalid value: \"gpus\": must be a standard resource type or fully qualified"),
        ),
    ] {
        assert_eq!(limits.refusals(range(limit.clone())).first(), Some(&words), "{limit}");
    }
}

#[test]
fn resource_quotas() {
    let quotas = scene("ResourceQuota");
    let quota = |spec: Value| named(json!({ "spec": spec }));
    let mut object = quotas.stored(quota(json!({ "hard": { "pods": "10", "limits.cpu": "2", "count/deployments.apps": "3" } })));
    assert_eq!(object["status"], json!({}));
    object["status"] = json!({ "hard": object["spec"]["hard"], "used": { "pods": "1" } });
    assert_eq!(quotas.row(&object)[1..3], [json!("count/deployments.apps: 0/3, pods: 1/10"), json!("limits.cpu: 0/2")]);
    let moved = quotas.update(&object, |o| o["spec"]["scopes"] = json!(["Terminating"]));
    assert!(findings(moved).contains(&"spec.scopes: Invalid value: [\"Terminating\"]: field is immutable".to_string()));
    for (spec, words) in [
        (json!({ "hard": { "pods": "1500m" } }), "spec.hard[pods]: Invalid value: \"1500m\": must be an integer"),
        (json!({ "hard": { "pods": "-1" } }), "spec.hard[pods]: Invalid value: \"-1\": must be greater than or equal to 0"),
        (json!({ "hard": { "storage": "1" } }), "spec.hard[storage]: Invalid value: \"storage\": must be a standard resource for quota"),
        (json!({ "scopes": ["X"] }), "spec.scopes: Invalid value: [\"X\"]: unsupported scope"),
        (
            json!({ "scopes": ["BestEffort", "NotBestEffort"] }),
            "spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\"]: conflicting scopes",
        ),
        (
            json!({ "hard": { "secrets": "1" }, "scopes": ["Terminating"] }),
            "spec.scopes: Invalid value: [\"Terminating\"]: unsupported scope applied to resource",
        ),
        (
            json!({ "scopeSelector": { "matchExpressions": [{ "scopeName": "PriorityClass", "operator": "In" }] } }),
            "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
        ),
    ] {
        assert_eq!(quotas.refusals(quota(spec.clone())), [words], "{spec}");
    }
}

fn volume() -> Value {
    named(json!({ "spec": { "capacity": { "storage": "1Gi" }, "accessModes": ["ReadWriteOnce"], "nfs": { "server": "s", "path": "/p" } } }))
}

#[test]
fn persistent_volumes() {
    let volumes = scene("PersistentVolume");
    let object = volumes.stored(volume());
    assert_eq!((&object["spec"]["persistentVolumeReclaimPolicy"], &object["spec"]["volumeMode"]), (&json!("Retain"), &json!("Filesystem")));
    assert_eq!(object["status"], json!({ "phase": "Pending", "lastPhaseTransitionTime": NOW }));
    let cells = ["x", "1Gi", "RWO", "Retain", "Pending", "", "", "<unset>", "", "60s", "Filesystem"].map(Value::from);
    assert_eq!(volumes.row(&object), cells);
    for (pointer, value, words) in [
        ("/spec/accessModes", json!([]), "spec.accessModes: Required value"),
        (
            "/spec/accessModes",
            json!(["ReadWriteOnce", "ReadWriteOncePod"]),
            "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
        ),
        ("/spec/capacity/storage", json!("0"), "spec.capacity[storage]: Invalid value: \"0\": must be greater than zero"),
        ("/spec/nfs", Value::Null, "spec: Required value: must specify a volume type"),
        ("/spec/hostPath", json!({ "path": "/x" }), "spec.nfs: Forbidden: may not specify more than 1 volume type"),
        ("/spec/volumeMode", json!("X"), "spec.volumeMode: Unsupported value: \"X\": supported values: \"Block\", \"Filesystem\""),
    ] {
        assert_eq!(volumes.refusals(with(volume(), pointer, value)), [words]);
    }
    let mut local = with(volume(), "/spec/nfs", Value::Null);
    local["spec"]["local"] = json!({ "path": "/p" });
    assert_eq!(volumes.refusals(local), ["spec.nodeAffinity: Required value: Local volume requires node affinity"]);
    let moved = findings(volumes.update(&object, |o| o["spec"]["nfs"]["path"] = "/q".into()));
    assert!(
        moved[0].starts_with("spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n"),
        "{moved:?}"
    );
    assert!(volumes.update(&object, |o| o["spec"]["claimRef"] = json!({ "namespace": "ns", "name": "c" })).is_ok());
}

#[test]
fn claims() {
    let claims = scene("PersistentVolumeClaim");
    let body = named(json!({ "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } } }));
    let object = claims.stored(body.clone());
    assert_eq!((&object["spec"]["volumeMode"], &object["status"]), (&json!("Filesystem"), &json!({ "phase": "Pending" })));
    assert_eq!(claims.row(&object), ["x", "Pending", "", "", "", "", "<unset>", "60s", "Filesystem"].map(Value::from));
    for (pointer, value, words) in [
        ("/spec/accessModes", json!([]), "spec.accessModes: Required value: at least 1 access mode is required"),
        ("/spec/resources", json!({}), "spec.resources[storage]: Required value"),
        ("/spec/resources/requests/storage", json!("-1"), "spec.resources[storage]: Invalid value: \"-1\": must be greater than zero"),
    ] {
        assert_eq!(claims.refusals(with(body.clone(), pointer, value)), [words]);
    }
    let frozen = findings(claims.update(&object, |o| o["spec"]["resources"]["requests"]["storage"] = "2Gi".into()));
    assert!(
        frozen[0].starts_with(
            "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n"
        ),
        "{frozen:?}"
    );
    // The binder names the volume, once; the default class may come late; a bound claim may grow, but not shrink.
    let bound = claims.update(&object, |o| {
        o["spec"]["volumeName"] = "v".into();
        o["spec"]["storageClassName"] = "fast".into();
    });
    let mut bound = bound.expect("good");
    bound["status"] = json!({ "phase": "Bound", "capacity": { "storage": "1Gi" }, "accessModes": ["ReadWriteOnce"] });
    assert!(claims.update(&bound, |o| o["spec"]["resources"]["requests"]["storage"] = "2Gi".into()).is_ok());
    let less = claims.update(&bound, |o| o["spec"]["resources"]["requests"]["storage"] = "1Mi".into());
    assert_eq!(findings(less), ["spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"]);
    assert!(claims.update(&bound, |o| o["spec"]["volumeName"] = "w".into()).is_err());
    assert_eq!(claims.row(&bound)[2..5], ["v", "1Gi", "RWO"].map(Value::from));
    let mut copy = body;
    copy["spec"]["dataSource"] = json!({ "kind": "PersistentVolumeClaim", "name": "other" });
    assert_eq!(claims.create(copy).expect("good")["spec"]["dataSourceRef"], json!({ "kind": "PersistentVolumeClaim", "name": "other" }));
}

#[test]
fn secrets_and_config_maps() {
    let secret = |type_: &str, data: Value| scene("Secret").refusals(named(json!({ "type": type_, "data": data })));
    for (type_, data, words) in [
        ("kubernetes.io/tls", json!({}), vec!["data[tls.crt]: Required value", "data[tls.key]: Required value"]),
        ("kubernetes.io/basic-auth", json!({}), vec!["data[username]: Required value", "data[password]: Required value"]),
        ("kubernetes.io/basic-auth", json!({ "username": "" }), vec![]),
        ("kubernetes.io/ssh-auth", json!({}), vec!["data[ssh-privatekey]: Required value"]),
        ("kubernetes.io/dockerconfigjson", json!({}), vec!["data[.dockerconfigjson]: Required value"]),
        ("kubernetes.io/dockerconfigjson", json!({ ".dockerconfigjson": "e30=" }), vec![]),
        (
            "kubernetes.io/service-account-token",
            json!({}),
            vec!["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
        ),
        ("mine", json!({}), vec![]),
    ] {
        assert_eq!(secret(type_, data), words, "{type_}");
    }
    assert!(secret("kubernetes.io/dockercfg", json!({ ".dockercfg": "W10=" }))[0].contains("<secret contents redacted>"));
    let twice = scene("ConfigMap").refusals(named(json!({ "data": { "a": "1" }, "binaryData": { "a": "AA==" } })));
    assert_eq!(twice, ["data[a]: Invalid value: \"a\": duplicate of key present in binaryData"]);
    let long = scene("ConfigMap").refusals(named(json!({ "data": { "a": "x".repeat(1024 * 1024 + 1) } })));
    assert_eq!(long, [": Too long: may not be more than 1048576 bytes"]);
}

#[test]
fn namespaces_and_nodes() {
    let spaces = scene("Namespace");
    let old = spaces.stored(named(json!({})));
    let ended = spaces.status(&old, |o| o["status"]["phase"] = "Terminating".into());
    assert_eq!(findings(ended), ["status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"]);
    let finalizer = spaces.refusals(named(json!({ "spec": { "finalizers": ["mine"] } })));
    assert_eq!(
        finalizer,
        ["spec.finalizers: Invalid value: \"mine\": name is neither a standard finalizer name nor is it fully qualified"]
    );

    let made = spaces.stored(json!({ "metadata": { "generateName": "x-" } }));
    assert!(made["metadata"]["name"].is_string());
    assert_eq!(made["metadata"]["labels"]["kubernetes.io/metadata.name"], made["metadata"]["name"]);

    let nodes = scene("Node");
    let old = nodes.stored(named(json!({ "spec": { "podCIDR": "10.0.0.0/24", "providerID": "p" } })));
    assert_eq!(old["spec"]["podCIDRs"], json!(["10.0.0.0/24"]));
    let moved = nodes.update(&old, |o| o["spec"]["providerID"] = "q".into());
    assert_eq!(findings(moved), ["spec.providerID: Forbidden: node updates may not change providerID except from \"\" to valid"]);
    let taints = json!([{ "key": "a", "effect": "X" }, { "key": "b", "effect": "NoSchedule" }, { "key": "b", "effect": "NoSchedule" }]);
    let words = nodes.refusals(named(json!({ "spec": { "taints": taints } })));
    assert_eq!(
        words[0],
        "metadata.taints[0].effect: Unsupported value: \"X\": supported values: \"NoExecute\", \"NoSchedule\", \"PreferNoSchedule\""
    );
    assert!(
        words[1].starts_with("metadata.taints[2]: Duplicate value") && words[1].ends_with("taints must be unique by key and effect pair")
    );
}

#[test]
fn events_of_old() {
    let events = scene("Event");
    let about = |namespace: &str| named(json!({ "involvedObject": { "kind": "Pod", "name": "p", "namespace": namespace }, "reason": "R" }));
    let object = events.stored(about("ns"));
    assert_eq!(events.row(&object)[3], "pod/p");
    let words = events.refusals(about("other"));
    assert_eq!(words, ["involvedObject.namespace: Invalid value: \"other\": does not match event.namespace"]);
    let mut new = about("ns");
    new["eventTime"] = "2026-01-01T00:00:00.000000Z".into();
    let words = events.refusals(new);
    assert_eq!(words.first().map(String::as_str), Some("reportingController: Required value"));
    assert!(words.contains(&"action: Required value".to_string()), "{words:?}");
}

#[test]
fn pod_templates() {
    let body =
        named(json!({ "template": { "metadata": { "labels": { "a": "b" } }, "spec": { "containers": [{ "name": "c", "image": "i" }] } } }));
    let object = scene("PodTemplate").stored(body);
    assert_eq!((&object["metadata"]["generation"], &object["template"]["spec"]["restartPolicy"]), (&json!(1), &json!("Always")));
    assert_eq!(scene("PodTemplate").row(&object), ["x", "c", "i", "a=b"].map(Value::from));
}

#[test]
fn component_statuses() {
    for object in super::component_status::objects() {
        let row = super::component_status::row(&object);
        assert_eq!(row[1..], ["Healthy", "ok", ""].map(Value::from));
    }
}
