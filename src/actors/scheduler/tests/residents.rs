//! What pods that run count for, however little of them is looked at.
use super::fixture::{Stage, cpu, pod};
use crate::actors::scheduler::demand::Resident;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A pod as the server stores it: with the fields that defaulting adds.
fn stored(mut spec: Value) -> Value {
    for container in spec["containers"].as_array_mut().unwrap() {
        container["imagePullPolicy"] = "Always".into();
    }
    pod("p", json!({}), spec)
}

#[test]
fn a_short_look_at_a_pod_finds_what_a_long_one_does() {
    let volume = |source: Value| {
        let mut spec = cpu("1");
        spec["volumes"] = json!([source]);
        spec
    };
    let asks = |name: &str, amount: &str| {
        let mut spec = cpu("1");
        spec["containers"][0]["resources"]["requests"][name] = amount.into();
        spec
    };
    let cases = [
        cpu("1"),
        asks("hugepages-2Mi", "4Mi"),
        asks("ephemeral-storage", "1Gi"),
        asks("x.io/gpu", "1"),
        // Requests of the pod as a whole, and of a container beside it.
        {
            let mut spec = cpu("1");
            spec["resources"] = json!({"requests": {"cpu": "3", "memory": "1Gi"}});
            spec
        },
        volume(json!({"name": "v", "iscsi": {"iqn": "iqn.2001-04.com.example:disk", "targetPortal": "10.0.0.1", "lun": 0}})),
        volume(json!({"name": "v", "rbd": {"monitors": ["m"], "image": "i"}})),
        volume(json!({"name": "v", "gcePersistentDisk": {"pdName": "d"}})),
        volume(json!({"name": "v", "awsElasticBlockStore": {"volumeID": "d"}})),
        volume(json!({"name": "v", "persistentVolumeClaim": {"claimName": "c"}})),
    ];
    let stage = Stage::new(0);
    let extended = BTreeSet::from(["x.io/gpu".into()]);
    for spec in cases {
        let entry = stage.entry(stored(spec.clone()));
        let short = Resident::read(&entry, &extended).unwrap();
        let long = Resident::parse(&entry, &entry.parse()).unwrap();
        assert_eq!((short.demand, short.volumes), (long.demand, long.volumes), "{spec}");
    }
}

#[test]
fn a_pod_that_shrinks_where_it_is_leaves_room() {
    let mut stage = Stage::new(1);
    let at = |asked: &str, granted: &str| {
        let mut object = stored(cpu(asked));
        object["status"] = json!({"containerStatuses": [{"name": "c", "allocatedResources": {"cpu": granted, "memory": "64Mi"}}]});
        object
    };
    stage.on("n0", at("1", "4"));
    assert_eq!(stage.outcome(pod("q", json!({}), cpu("3"))), "0/1 nodes are available: 1 Insufficient cpu.");
    stage.on("n0", at("1", "1"));
    assert_eq!(stage.outcome(pod("q", json!({}), cpu("3"))), "n0");
}
