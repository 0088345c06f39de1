//! What each plugin allows and prefers, by table.
use crate::actors::controllers::testing::mk_node;
use crate::actors::scheduler::tests::fixture::{Stage, cpu, pod, term};
use serde_json::{Value, json};

const HOST: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

#[test]
fn resources_count_as_upstream_counts_them() {
    let request = |list: Value| json!({"name": "c", "image": "i", "resources": {"requests": list}});
    let sidecar = |cpu: &str| json!({"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": cpu}}});
    // What is asked for, and whether a node with 4 CPUs of which 2 are taken has it.
    let cases = [
        (json!({"containers": [request(json!({"cpu": "2"}))]}), "n0"),
        (json!({"containers": [request(json!({"cpu": "2001m"}))]}), "0/1 nodes are available: 1 Insufficient cpu."),
        (
            json!({"containers": [request(json!({"cpu": "1"}))], "overhead": {"cpu": "1500m"}}),
            "0/1 nodes are available: 1 Insufficient cpu.",
        ),
        (
            json!({"containers": [request(json!({}))], "initContainers": [request(json!({"cpu": "3"}))]}),
            "0/1 nodes are available: 1 Insufficient cpu.",
        ),
        (json!({"containers": [request(json!({"cpu": "1"}))], "initContainers": [sidecar("1"), request(json!({"cpu": "1"}))]}), "n0"),
        (
            json!({"containers": [request(json!({"cpu": "1"}))], "resources": {"requests": {"cpu": "3"}}}),
            "0/1 nodes are available: 1 Insufficient cpu.",
        ),
        (
            json!({"containers": [request(json!({"cpu": "3", "memory": "9Gi", "x.io/gpu": 1, "ephemeral-storage": "1Gi"}))]}),
            "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient ephemeral-storage, 1 Insufficient memory, 1 Insufficient x.io/gpu.",
        ),
        (json!({"containers": [request(json!({}))]}), "n0"),
    ];
    for (spec, want) in cases {
        let mut stage = Stage::new(1);
        stage.on("n0", pod("there", json!({}), cpu("2")));
        assert_eq!(stage.outcome(pod("p", json!({}), spec.clone())), want, "{spec}");
    }
    let mut full = Stage::new(0);
    full.node(mk_node("n0", "4", "8Gi", 1)).on("n0", pod("there", json!({}), json!({})));
    assert_eq!(full.outcome(pod("p", json!({}), json!({}))), "0/1 nodes are available: 1 Too many pods.");
    let mut gpu = mk_node("gpu", "4", "8Gi", 10);
    gpu["status"]["allocatable"]["x.io/gpu"] = "1".into();
    let wants = json!({"containers": [request(json!({"x.io/gpu": "1"}))]});
    let mut devices = Stage::new(1);
    devices.node(gpu);
    assert_eq!(devices.outcome(pod("p", json!({}), wants.clone())), "gpu");
    devices.on("gpu", pod("q", json!({}), wants.clone()));
    assert_eq!(devices.outcome(pod("p", json!({}), wants)), "0/2 nodes are available: 2 Insufficient x.io/gpu.");
}

#[test]
fn strategies_of_scoring() {
    let strategy = |name: &str, more: &str| {
        format!("profiles: [{{pluginConfig: [{{name: NodeResourcesFit, args: {{scoringStrategy: {{type: {name}{more}}}}}}}]}}]")
    };
    let shape =
        ", requestedToCapacityRatio: {shape: [{utilization: 0, score: 10}, {utilization: 100, score: 0}]}, resources: [{name: cpu}]";
    // A pod of one CPU and 2 GiB; 4 CPUs and 8 GiB free, or half of both.
    for (yaml, want) in [
        (strategy("LeastAllocated", ""), [75, 25]),
        (strategy("MostAllocated", ""), [25, 75]),
        (strategy("RequestedToCapacityRatio", shape), [75, 25]),
    ] {
        let mut stage = Stage::configured(&yaml);
        let half = json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": "2", "memory": "4Gi"}}}]});
        let quarter = json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": "1", "memory": "2Gi"}}}]});
        stage.node(mk_node("a", "4", "8Gi", 10)).node(mk_node("b", "4", "8Gi", 10)).on("b", pod("q", json!({}), half));
        assert_eq!(stage.scores("NodeResourcesFit", pod("p", json!({}), quarter.clone())), want, "{yaml}");
        assert_eq!(stage.scores("NodeResourcesBalancedAllocation", pod("p2", json!({}), quarter)), [100, 100]);
    }
    let mut lopsided = Stage::new(2);
    lopsided.on("n1", pod("q", json!({}), json!({"containers": [{"name": "c", "resources": {"requests": {"memory": "4Gi"}}}]})));
    assert_eq!(lopsided.scores("NodeResourcesBalancedAllocation", pod("p", json!({}), cpu("2"))), [75, 99]);
}

#[test]
fn taints_cordons_names_and_selectors() {
    let taint = |effect: &str| json!({"taints": [{"key": "k", "value": "v", "effect": effect}]});
    let tolerates = |operator: &str, effect: &str| json!({"tolerations": [{"key": "k", "operator": operator, "value": if operator == "Equal" { "v" } else { "" }, "effect": effect}]});
    let cases = [
        (taint("NoSchedule"), json!({}), false),
        (taint("NoExecute"), json!({}), false),
        (taint("PreferNoSchedule"), json!({}), true),
        (taint("NoSchedule"), tolerates("Equal", "NoSchedule"), true),
        (taint("NoSchedule"), tolerates("Exists", ""), true),
        (taint("NoSchedule"), tolerates("Equal", "NoExecute"), false),
        (taint("NoSchedule"), json!({"tolerations": [{"operator": "Exists"}]}), true),
        (json!({"unschedulable": true}), json!({}), false),
        (json!({"unschedulable": true}), json!({"tolerations": [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}]}), true),
    ];
    for (node, spec, want) in cases {
        let mut stage = Stage::new(1);
        stage.spec("n0", node.clone());
        assert_eq!(!stage.feasible(pod("p", json!({}), spec.clone())).is_empty(), want, "{node} {spec}");
    }
    let mut stage = Stage::new(3);
    stage.spec("n0", taint("PreferNoSchedule")).spec("n2", taint("NoSchedule")).spec("n1", json!({"unschedulable": true}));
    assert_eq!(stage.scores("TaintToleration", pod("p", json!({}), json!({}))), [0, 100, 100]);
    stage.spec("n0", taint("NoSchedule"));
    let said = stage.outcome(pod("p", json!({}), json!({})));
    assert_eq!(said, "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) had untolerated taint(s).");
}

#[test]
fn node_affinity() {
    let affinity = |kind: &str, body: Value| json!({"affinity": {"nodeAffinity": {kind: body}}});
    let term = |operator: &str, values: &[&str]| json!({"matchExpressions": [{"key": "size", "operator": operator, "values": values}]});
    let named = |names: &[&str]| json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": names}]});
    let required = |terms: Value| affinity(REQUIRED, json!({ "nodeSelectorTerms": terms }));
    let mut stage = Stage::new(0);
    for (name, size) in [("a", "1"), ("b", "5")] {
        let mut node = mk_node(name, "4", "8Gi", 10);
        node["metadata"]["labels"]["size"] = size.into();
        stage.node(node);
    }
    stage.node(mk_node("c", "4", "8Gi", 10));
    let cases: [(Value, &[&str]); 11] = [
        (json!({"nodeSelector": {"size": "5"}}), &["b"]),
        (required(json!([term("In", &["1", "5"])])), &["a", "b"]),
        (required(json!([term("NotIn", &["1"])])), &["b", "c"]),
        (required(json!([term("Exists", &[])])), &["a", "b"]),
        (required(json!([term("DoesNotExist", &[])])), &["c"]),
        (required(json!([term("Gt", &["2"])])), &["b"]),
        (required(json!([term("Lt", &["2"])])), &["a"]),
        (required(json!([{}])), &[]),
        (required(json!([term("Gt", &["2"]), named(&["c"])])), &["b", "c"]),
        (required(json!([named(&["a", "zzz"])])), &["a"]),
        (required(json!([named(&["zzz"])])), &[]),
    ];
    for (spec, want) in cases {
        assert_eq!(stage.feasible(pod("p", json!({}), spec.clone())), want, "{spec}");
    }
    let said = stage.outcome(pod("p", json!({}), required(json!([named(&["zzz"])]))));
    assert_eq!(said, "0/3 nodes are available: 3 node(s) didn't satisfy plugin(s) [NodeAffinity].");
    let wish =
        affinity(PREFERRED, json!([{"weight": 10, "preference": term("Exists", &[])}, {"weight": 30, "preference": term("Gt", &["2"])}]));
    assert_eq!(stage.scores("NodeAffinity", pod("p", json!({}), wish)), [25, 100, 0]);
    let added = "profiles: [{pluginConfig: [{name: NodeAffinity, args: {addedAffinity: {requiredDuringSchedulingIgnoredDuringExecution: \
        {nodeSelectorTerms: [{matchExpressions: [{key: pool, operator: Exists}]}]}}}}]}]";
    let mut enforced = Stage::configured(added);
    enforced.node(mk_node("a", "4", "8Gi", 10));
    assert_eq!(
        enforced.outcome(pod("p", json!({}), json!({}))),
        "0/1 nodes are available: 1 node(s) didn't match scheduler-enforced node affinity."
    );
}

#[test]
fn ports() {
    let on = |port: u16, protocol: &str, ip: &str| json!({"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": port, "protocol": protocol, "hostIP": ip}]}]});
    let cases = [
        (on(80, "TCP", "127.0.0.1"), on(80, "TCP", "127.0.0.1"), false),
        (on(80, "TCP", "127.0.0.1"), on(80, "TCP", "127.0.0.2"), true),
        (on(80, "TCP", "127.0.0.1"), on(80, "TCP", "0.0.0.0"), false),
        (on(80, "TCP", ""), on(80, "TCP", "127.0.0.2"), false),
        (on(80, "TCP", ""), on(80, "UDP", ""), true),
        (on(80, "TCP", ""), on(81, "TCP", ""), true),
    ];
    for (there, wanted, want) in cases {
        let mut stage = Stage::new(1);
        stage.on("n0", pod("q", json!({}), there.clone()));
        assert_eq!(stage.feasible(pod("p", json!({}), wanted.clone())).len() == 1, want, "{there} {wanted}");
    }
}

fn affinity(kind: &str, terms: Value) -> Value {
    json!({"affinity": {kind: {REQUIRED: terms}}})
}

#[test]
fn pods_beside_pods() {
    let db = || pod("db", json!({"app": "db"}), json!({}));
    let near = |key: &str| affinity("podAffinity", json!([term("db", key)]));
    let far = |key: &str| affinity("podAntiAffinity", json!([term("db", key)]));
    let mut stage = Stage::new(4);
    stage.on("n0", db());
    let cases: [(Value, Value, &[&str]); 5] = [
        (json!({}), near(HOST), &["n0"]),
        (json!({}), near(ZONE), &["n0", "n2"]),
        (json!({}), far(HOST), &["n1", "n2", "n3"]),
        (json!({}), far(ZONE), &["n1", "n3"]),
        (json!({}), near("no.such/label"), &[]),
    ];
    for (labels, spec, want) in cases {
        assert_eq!(stage.feasible(pod("p", labels, spec.clone())), want, "{spec}");
    }
    let said = stage.outcome(pod("p", json!({}), affinity("podAffinity", json!([term("none", HOST)]))));
    assert_eq!(said, "0/4 nodes are available: 4 node(s) didn't match pod affinity rules.");
    // The first of a group may begin anywhere, one that is not of it may not.
    let alone = affinity("podAffinity", json!([term("new", HOST)]));
    assert_eq!(stage.feasible(pod("p", json!({"app": "new"}), alone)).len(), 4);
    // All terms must be met by the same pods.
    let both = affinity("podAffinity", json!([term("db", HOST), {"labelSelector": {"matchLabels": {"tier": "x"}}, "topologyKey": HOST}]));
    assert!(stage.feasible(pod("p", json!({}), both.clone())).is_empty());
    stage.on("n3", pod("db2", json!({"app": "db", "tier": "x"}), json!({})));
    assert_eq!(stage.feasible(pod("p", json!({}), both)), ["n3"]);
}

#[test]
fn what_others_say_about_a_pod() {
    let guard = pod("guard", json!({"app": "guard"}), affinity("podAntiAffinity", json!([term("web", ZONE)])));
    let mut stage = Stage::new(4);
    stage.on("n1", guard.clone());
    assert_eq!(stage.feasible(pod("p", json!({"app": "web"}), json!({}))), ["n0", "n2"]);
    assert_eq!(stage.feasible(pod("p", json!({"app": "other"}), json!({}))).len(), 4);
    stage.on("n0", {
        let mut second = guard;
        second["metadata"]["name"] = "guard2".into();
        second
    });
    let said = stage.outcome(pod("p", json!({"app": "web"}), json!({})));
    assert_eq!(said, "0/4 nodes are available: 4 node(s) didn't satisfy existing pods anti-affinity rules.");
    // Other namespaces are meant only when named, or chosen by their labels.
    let far = |more: Value| {
        let mut one = term("db", HOST);
        one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        affinity("podAntiAffinity", json!([one]))
    };
    let mut stage = Stage::new(2);
    let mut elsewhere = pod("db", json!({"app": "db"}), json!({}));
    elsewhere["metadata"]["namespace"] = "other".into();
    stage.on("n0", elsewhere);
    stage.cluster.namespace(&"other".into(), Some(&[("team".into(), "x".into())]));
    for (more, want) in [
        (json!({}), 2),
        (json!({"namespaces": ["other"]}), 1),
        (json!({"namespaceSelector": {}}), 1),
        (json!({"namespaceSelector": {"matchLabels": {"team": "x"}}}), 1),
        (json!({"namespaceSelector": {"matchLabels": {"team": "y"}}}), 2),
    ] {
        assert_eq!(stage.feasible(pod("p", json!({}), far(more.clone()))).len(), want, "{more}");
    }
}

#[test]
fn preferences_about_pods() {
    let wish =
        |kind: &str, weight: i64| json!({"affinity": {kind: {PREFERRED: [{"weight": weight, "podAffinityTerm": term("db", HOST)}]}}});
    let mut stage = Stage::new(3);
    stage.on("n1", pod("db", json!({"app": "db"}), json!({})));
    assert_eq!(stage.scores("InterPodAffinity", pod("p", json!({}), wish("podAffinity", 5))), [0, 100, 0]);
    assert_eq!(stage.scores("InterPodAffinity", pod("p", json!({}), wish("podAntiAffinity", 5))), [100, 0, 100]);
    // What pods that are there wish or require counts too.
    let mut stage = Stage::new(3);
    stage.on("n2", pod("q", json!({}), wish("podAffinity", 5)));
    assert_eq!(stage.scores("InterPodAffinity", pod("p", json!({"app": "db"}), json!({}))), [0, 0, 100]);
    let mut stage = Stage::new(3);
    stage.on("n0", pod("db", json!({"app": "db"}), json!({})));
    stage.on("n0", pod("q", json!({}), affinity("podAffinity", json!([term("db", HOST)]))));
    assert_eq!(stage.scores("InterPodAffinity", pod("p", json!({"app": "db"}), json!({}))), [100, 0, 0]);
}

fn spread(key: &str, skew: i64, more: Value) -> Value {
    let mut one = json!({"topologyKey": key, "maxSkew": skew, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "web"}}});
    one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    one
}

#[test]
fn spreading() {
    let web = |name: &str| pod(name, json!({"app": "web"}), json!({}));
    let with = |constraints: Value| pod("p", json!({"app": "web"}), json!({ "topologySpreadConstraints": constraints }));
    let mut stage = Stage::new(4);
    stage.on("n0", web("a")).on("n0", web("b")).on("n1", web("c"));
    let cases: [(Value, &[&str]); 6] = [
        (json!([spread(ZONE, 1, json!({}))]), &["n1", "n3"]),
        (json!([spread(ZONE, 2, json!({}))]), &["n0", "n1", "n2", "n3"]),
        (json!([spread(HOST, 1, json!({}))]), &["n2", "n3"]),
        (json!([spread(ZONE, 1, json!({})), spread(HOST, 1, json!({}))]), &["n3"]),
        (json!([spread(ZONE, 1, json!({"minDomains": 3}))]), &[]),
        (json!([spread("no.such/label", 1, json!({}))]), &[]),
    ];
    for (constraints, want) in cases {
        assert_eq!(stage.feasible(with(constraints.clone())), want, "{constraints}");
    }
    let said = stage.outcome(with(json!([spread("no.such/label", 1, json!({}))])));
    assert_eq!(said, "0/4 nodes are available: 4 node(s) didn't match pod topology spread constraints (missing required label).");
    let said = stage.outcome(with(json!([spread(ZONE, 1, json!({"minDomains": 3}))])));
    assert_eq!(said, "0/4 nodes are available: 4 node(s) didn't match pod topology spread constraints.");
    // A pod that is not of the kind it spreads doesn't count itself.
    let mut stranger = with(json!([spread(ZONE, 1, json!({}))]));
    stranger["metadata"]["labels"]["app"] = "x".into();
    assert_eq!(stage.feasible(stranger).len(), 4);
}

#[test]
fn which_nodes_count_for_a_spread() {
    let web = |name: &str| pod(name, json!({"app": "web"}), json!({}));
    let chooses = |more: Value| {
        let spec = json!({"nodeSelector": {ZONE: "z1"}, "topologySpreadConstraints": [spread(HOST, 1, more)]});
        pod("p", json!({"app": "web"}), spec)
    };
    let mut stage = Stage::new(4);
    stage.on("n0", web("a")).on("n2", web("b"));
    // n1 and n3 are empty, but of no use to the pod: only when they count is the skew too great.
    assert_eq!(stage.feasible(chooses(json!({}))), ["n0", "n2"]);
    assert!(stage.feasible(chooses(json!({"nodeAffinityPolicy": "Ignore"}))).is_empty());
    let tainted = json!({"taints": [{"key": "k", "effect": "NoSchedule"}]});
    stage.spec("n1", tainted.clone()).spec("n3", tainted);
    let plain = |more: Value| pod("p", json!({"app": "web"}), json!({"topologySpreadConstraints": [spread(HOST, 1, more)]}));
    assert!(stage.feasible(plain(json!({}))).is_empty());
    assert_eq!(stage.feasible(plain(json!({"nodeTaintsPolicy": "Honor"}))), ["n0", "n2"]);
    // Soft constraints only prefer.
    let mut stage = Stage::new(2);
    stage.on("n0", web("a"));
    let soft = plain(json!({"whenUnsatisfiable": "ScheduleAnyway"}));
    assert_eq!(stage.scores("PodTopologySpread", soft), [0, 100]);
}

#[test]
fn images_that_are_there() {
    let mut stage = Stage::new(1);
    let mut node = mk_node("has", "4", "8Gi", 10);
    node["status"]["images"] = json!([{"names": ["r.io/app:v1"], "sizeBytes": 1_000_000_000i64}]);
    stage.node(node);
    let wants = json!({"containers": [{"name": "c", "image": "r.io/app:v1"}]});
    let scores = stage.scores("ImageLocality", pod("p", json!({}), wants));
    assert!(scores[0] == 0 && (40..60).contains(&scores[1]), "{scores:?}");
}

fn claim(name: &str, spec: Value, annotations: Value) -> Value {
    let mut spec = spec;
    spec["resources"] = json!({"requests": {"storage": "1Gi"}});
    json!({"metadata": {"name": name, "namespace": "default", "annotations": annotations}, "spec": spec})
}

#[test]
fn volumes() {
    let mounts = |name: &str| json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": name}}]});
    let here = |node: &str| json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": HOST, "operator": "In", "values": [node]}]}]}});
    let volume = |name: &str, size: &str, node: &str, class: &str| {
        json!({"metadata": {"name": name}, "spec": {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "storageClassName": class,
            "nodeAffinity": here(node)}, "status": {"phase": "Available"}})
    };
    let mut stage = Stage::new(3);
    let done = json!({"pv.kubernetes.io/bind-completed": "yes"});
    stage
        .object("storageclasses.storage.k8s.io", json!({"metadata": {"name": "local"}, "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"}))
        .object("storageclasses.storage.k8s.io", json!({"metadata": {"name": "made"}, "provisioner": "x.io/driver", "volumeBindingMode": "WaitForFirstConsumer",
            "allowedTopologies": [{"matchLabelExpressions": [{"key": ZONE, "values": ["z1"]}]}]}))
        .object("persistentvolumes", volume("v-bound", "1Gi", "n2", ""))
        .object("persistentvolumes", volume("v-small", "500Mi", "n0", "local"))
        .object("persistentvolumes", volume("v-right", "2Gi", "n1", "local"))
        .object("persistentvolumeclaims", claim("bound", json!({"volumeName": "v-bound", "storageClassName": ""}), done.clone()))
        .object("persistentvolumeclaims", claim("lost", json!({"volumeName": "v-none", "storageClassName": ""}), done))
        .object("persistentvolumeclaims", claim("now", json!({"storageClassName": ""}), json!({})))
        .object("persistentvolumeclaims", claim("waits", json!({"storageClassName": "local", "accessModes": ["ReadWriteOnce"]}), json!({})))
        .object("persistentvolumeclaims", claim("made", json!({"storageClassName": "made"}), json!({})))
        .object("persistentvolumeclaims", claim("chosen", json!({"storageClassName": "made"}), json!({"volume.kubernetes.io/selected-node": "n2"})));
    for (name, want) in [("bound", &["n2"][..]), ("waits", &["n1"]), ("made", &["n0", "n2"]), ("chosen", &["n2"])] {
        assert_eq!(stage.feasible(pod("p", json!({}), mounts(name))), want, "{name}");
    }
    for (name, want) in [
        ("none", "0/3 nodes are available: persistentvolumeclaim \"none\" not found."),
        ("now", "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims."),
        ("lost", "0/3 nodes are available: 3 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)."),
    ] {
        assert_eq!(stage.outcome(pod("p", json!({}), mounts(name))), want);
    }
    stage.spec("n2", json!({"unschedulable": true}));
    let said = stage.outcome(pod("p", json!({}), mounts("bound")));
    assert_eq!(said, "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't match PersistentVolume's node affinity.");
    // Two pods don't get one volume.
    let first = stage.info(pod("p", json!({}), mounts("waits")));
    let (slot, node) = (1, stage.cluster.nodes()[1].clone());
    let at = stage.profile.plugins.iter().position(|p| p.plugin.name() == "VolumeBinding").unwrap();
    let writes = stage.profile.plugins[at].plugin.reserve(&first, slot, &node, &mut stage.cluster).unwrap();
    assert_eq!(writes[0].patch["spec"]["claimRef"]["name"], "waits");
    stage.object("persistentvolumeclaims", claim("waits2", json!({"storageClassName": "local"}), json!({})));
    let said = stage.outcome(pod("q", json!({}), mounts("waits2")));
    assert_eq!(said, "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't find available persistent volumes to bind.");
}

#[test]
fn zones_limits_and_disks_of_volumes() {
    let mounts = |name: &str| json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": name}}]});
    let done = json!({"pv.kubernetes.io/bind-completed": "yes"});
    let mut stage = Stage::new(2);
    for at in 0..2 {
        stage
            .object(
                "persistentvolumes",
                json!({"metadata": {"name": format!("v{at}"), "labels": {ZONE: "z2__z3"}},
                "spec": {"capacity": {"storage": "1Gi"}, "csi": {"driver": "x.io", "volumeHandle": format!("h{at}")}}}),
            )
            .object(
                "persistentvolumeclaims",
                claim(&format!("c{at}"), json!({"volumeName": format!("v{at}"), "accessModes": ["ReadWriteOncePod"]}), done.clone()),
            );
    }
    assert_eq!(stage.feasible(pod("p", json!({}), mounts("c0"))), ["n1"]);
    stage.on("n1", pod("q", json!({}), mounts("c0")));
    let said = stage.outcome(pod("p", json!({}), mounts("c0")));
    let once = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode";
    assert_eq!(said, format!("0/2 nodes are available: 2 {once}."));
    assert_eq!(stage.feasible(pod("p", json!({}), mounts("c1"))), ["n1"]);
    stage.object(
        "csinodes.storage.k8s.io",
        json!({"metadata": {"name": "n1"}, "spec": {"drivers": [{"name": "x.io", "allocatable": {"count": 1}}]}}),
    );
    let said = stage.outcome(pod("p", json!({}), mounts("c1")));
    assert_eq!(said, "0/2 nodes are available: 1 node(s) exceed max volume count, 1 node(s) had no available volume zone.");
    let disk = |read_only: bool| json!({"volumes": [{"name": "v", "gcePersistentDisk": {"pdName": "d", "readOnly": read_only}}]});
    let mut stage = Stage::new(2);
    stage.on("n0", pod("q", json!({}), disk(true)));
    assert_eq!(stage.feasible(pod("p", json!({}), disk(true))).len(), 2);
    assert_eq!(stage.feasible(pod("p", json!({}), disk(false))), ["n1"]);
}
