//! Single decisions, by table; whatever state, see the convergence tests.
use super::facts::PROVISIONED_BY;
use super::*;
use crate::actors::controllers::feed::Objects;
use crate::actors::controllers::plan::Propagation;
use crate::actors::controllers::testing::{Bench, Model, key, mk_pod};
use serde_json::{Value, json};

fn volume(name: &str, size: &str, spec: Value) -> Value {
    let mut volume = json!({"metadata": {"name": name, "uid": name}, "spec": {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": "/data"}}});
    spec.as_object().into_iter().flatten().for_each(|(field, value)| volume["spec"][field] = value.clone());
    volume
}

fn claim(name: &str, size: &str, spec: Value) -> Value {
    let mut claim = json!({"metadata": {"name": name, "namespace": "default", "uid": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "resources": {"requests": {"storage": size}}}, "status": {"phase": "Pending"}});
    spec.as_object().into_iter().flatten().for_each(|(field, value)| claim["spec"][field] = value.clone());
    claim
}

fn class(name: &str, provisioner: &str, mode: &str) -> Value {
    json!({"metadata": {"name": name}, "provisioner": provisioner, "volumeBindingMode": mode})
}

/// A model with what is given, and the binder at rest.
fn settle(objects: &[(&str, Value)]) -> Model {
    let model = Model::default();
    objects.iter().for_each(|(shelf, object)| drop(model.put(shelf, object.clone())));
    again(&model);
    model
}

fn again(model: &Model) {
    let mut binder = VolumeBinder::default();
    let mut bench = Bench::new(model, &mut binder);
    bench.converge(&mut binder, 0);
    assert_eq!(bench.converge(&mut binder, 0), 0);
}

fn of(model: &Model, shelf: &str, name: &str) -> Value {
    let at = if shelf == VOLUMES { ObjectKey::new("", name) } else { key(name) };
    model.get(shelf, &at).expect("the object").parse()
}

/// Reason and words of the last event.
fn told(model: &Model) -> String {
    model.events().last().map(|e| format!("{}: {}", e.reason, e.message)).unwrap_or_default()
}

fn phase(model: &Model, shelf: &str, name: &str) -> String {
    of(model, shelf, name)["status"]["phase"].as_str().unwrap_or_default().into()
}

#[test]
fn the_smallest_that_fits() {
    let labelled = |name: &str, size: &str| {
        let mut volume = volume(name, size, json!({}));
        volume["metadata"]["labels"] = json!({"disk": "fast"});
        volume
    };
    let many = json!(["ReadWriteOnce", "ReadOnlyMany"]);
    let model = settle(&[
        (VOLUMES, volume("small", "1Gi", json!({}))),
        (VOLUMES, volume("right", "3Gi", json!({}))),
        (VOLUMES, volume("large", "5Gi", json!({}))),
        (VOLUMES, volume("modes", "2Gi", json!({"accessModes": many}))),
        (VOLUMES, volume("classy", "2Gi", json!({"storageClassName": "x"}))),
        (VOLUMES, volume("block", "2Gi", json!({"volumeMode": "Block"}))),
        (VOLUMES, labelled("fast", "9Gi")),
        (CLAIMS, claim("c", "2Gi", json!({}))),
        (CLAIMS, claim("b", "1Gi", json!({"volumeMode": "Block"}))),
        (CLAIMS, claim("x", "1Gi", json!({"storageClassName": "x"}))),
        (CLAIMS, claim("f", "1Gi", json!({"selector": {"matchLabels": {"disk": "fast"}}}))),
    ]);
    for (name, want) in [("c", "right"), ("b", "block"), ("x", "classy"), ("f", "fast")] {
        assert_eq!(of(&model, CLAIMS, name)["spec"]["volumeName"], want, "{name}");
    }
    let (claim, right) = (of(&model, CLAIMS, "c"), of(&model, VOLUMES, "right"));
    assert_eq!(claim["status"], json!({"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "3Gi"}}));
    let both = json!({"pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes"});
    assert_eq!(claim["metadata"]["annotations"], both);
    assert_eq!((&right["spec"]["claimRef"]["uid"], &right["status"]["phase"]), (&"c".into(), &"Bound".into()));
    assert_eq!(right["metadata"]["annotations"], json!({"pv.kubernetes.io/bound-by-controller": "yes"}));
    assert_eq!(phase(&model, VOLUMES, "large"), "Available");
}

#[test]
fn named_by_hand() {
    let by_name = || json!({"volumeName": "v"});
    let kept = |uid: Value| json!({"claimRef": {"namespace": "default", "name": "c", "uid": uid}});
    let cases = [
        (volume("v", "2Gi", json!({})), by_name(), "Bound", ""),
        (
            volume("v", "1Gi", json!({})),
            by_name(),
            "Pending",
            "VolumeMismatch: Cannot bind to requested volume \"v\": requested PV is too small",
        ),
        (
            volume("v", "2Gi", json!({"storageClassName": "x"})),
            by_name(),
            "Pending",
            "VolumeMismatch: Cannot bind to requested volume \"v\": storageClassName does not match",
        ),
        (
            volume("v", "2Gi", json!({"accessModes": ["ReadOnlyMany"]})),
            by_name(),
            "Pending",
            "VolumeMismatch: Cannot bind to requested volume \"v\": incompatible accessMode",
        ),
        (
            volume("v", "2Gi", json!({"claimRef": {"namespace": "default", "name": "other"}})),
            by_name(),
            "Pending",
            "FailedBinding: volume \"v\" already bound to a different claim.",
        ),
        (volume("v", "2Gi", kept(Value::Null)), json!({}), "Bound", ""),
        (volume("v", "2Gi", kept("c".into())), json!({}), "Bound", ""),
        // A volume for the claim need not be of its class; one for a claim of that name that is gone is not for it.
        (volume("v", "2Gi", json!({"storageClassName": "x", "claimRef": {"namespace": "default", "name": "c"}})), json!({}), "Bound", ""),
        (
            volume("v", "2Gi", kept("old".into())),
            json!({}),
            "Pending",
            "FailedBinding: no persistent volumes available for this claim and no storage class is set",
        ),
    ];
    for (given, spec, want, words) in cases {
        let kept = given["spec"]["claimRef"].is_object();
        let model = settle(&[(VOLUMES, given.clone()), (CLAIMS, claim("c", "2Gi", spec))]);
        assert_eq!((phase(&model, CLAIMS, "c").as_str(), told(&model).as_str()), (want, words), "{given}");
        let ours = of(&model, VOLUMES, "v")["metadata"]["annotations"]["pv.kubernetes.io/bound-by-controller"] == "yes";
        assert_eq!(ours, want == "Bound" && !kept, "{given}");
    }
}

#[test]
fn whom_a_claim_waits_for() {
    let of_class = |name: &str| claim("c", "1Gi", json!({ "storageClassName": name }));
    let external = "Waiting for a volume to be created either by the external provisioner 'x.io/driver' or manually by the system \
        administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.";
    let mut selected = of_class("later");
    selected["metadata"]["annotations"] = json!({"volume.kubernetes.io/selected-node": "n"});
    let cases = [
        (of_class("later"), "WaitForFirstConsumer: waiting for first consumer to be created before binding".to_string()),
        (of_class("now"), format!("ExternalProvisioning: {external}")),
        (selected, format!("ExternalProvisioning: {external}")),
        (of_class("static"), "ProvisioningFailed: no volume plugin matched name: kubernetes.io/no-provisioner".into()),
        (of_class("none"), "ProvisioningFailed: storageclass.storage.k8s.io \"none\" not found".into()),
    ];
    for (given, want) in cases {
        let model = settle(&[
            (CLASSES, class("later", "x.io/driver", "WaitForFirstConsumer")),
            (CLASSES, class("now", "x.io/driver", "Immediate")),
            (CLASSES, class("static", "kubernetes.io/no-provisioner", "Immediate")),
            (VOLUMES, volume("v", "1Gi", json!({"storageClassName": "later"}))),
            (CLAIMS, given),
        ]);
        assert_eq!(told(&model), want);
        assert_eq!(phase(&model, CLAIMS, "c"), "Pending");
        let asked = &of(&model, CLAIMS, "c")["metadata"]["annotations"]["volume.kubernetes.io/storage-provisioner"];
        assert_eq!(asked == "x.io/driver", want.starts_with("External"));
    }
}

#[test]
fn the_scheduler_binds_what_waits() {
    let (model, mut binder) = (Model::default(), VolumeBinder::default());
    let mut bench = Bench::new(&model, &mut binder);
    model.put(CLASSES, class("later", "kubernetes.io/no-provisioner", "WaitForFirstConsumer"));
    model.put(VOLUMES, volume("v", "1Gi", json!({"storageClassName": "later"})));
    model.put(CLAIMS, claim("c", "1Gi", json!({"storageClassName": "later"})));
    bench.converge(&mut binder, 0);
    let mut pod = mk_pod("p", json!({}));
    pod["spec"]["volumes"] = json!([{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]);
    model.put("pods", pod);
    bench.converge(&mut binder, 0);
    assert_eq!(told(&model), "WaitForPodScheduled: waiting for pod p to be scheduled");
    // What the scheduler writes.
    let reference = json!({"namespace": "default", "name": "c", "uid": "c"});
    let patch = json!({"metadata": {"annotations": {"pv.kubernetes.io/bound-by-controller": "yes"}}, "spec": {"claimRef": reference}});
    model.edit(VOLUMES, &ObjectKey::new("", "v"), patch);
    bench.converge(&mut binder, 0);
    assert_eq!((phase(&model, CLAIMS, "c"), phase(&model, VOLUMES, "v")), ("Bound".into(), "Bound".into()));
}

#[test]
fn a_class_comes_later() {
    let mut without = claim("c", "1Gi", json!({}));
    without["spec"].as_object_mut().expect("a map").remove("storageClassName");
    let model = settle(&[(CLAIMS, without), (CLAIMS, claim("never", "1Gi", json!({})))]);
    let mut default = class("usual", "x.io/driver", "Immediate");
    default["metadata"]["annotations"] = json!({"storageclass.kubernetes.io/is-default-class": "true"});
    model.put(CLASSES, default);
    again(&model);
    assert_eq!(of(&model, CLAIMS, "c")["spec"]["storageClassName"], "usual");
    assert_eq!(of(&model, CLAIMS, "never")["spec"]["storageClassName"], "");
}

#[test]
fn after_the_claim() {
    let cases = [
        (json!({}), None, "Released", ""),
        (
            json!({"persistentVolumeReclaimPolicy": "Delete"}),
            None,
            "Failed",
            "VolumeFailedDelete: host_path deleter only supports /tmp/.+ but received provided /data",
        ),
        (
            json!({"persistentVolumeReclaimPolicy": "Delete", "hostPath": null, "local": {"path": "/data"}}),
            None,
            "Failed",
            "VolumeFailedDelete: error getting deleter volume plugin for volume \"v\": no deletable volume plugin matched",
        ),
        (json!({"persistentVolumeReclaimPolicy": "Delete"}), Some("x.io/driver"), "Released", ""),
        (
            json!({"persistentVolumeReclaimPolicy": "Recycle"}),
            None,
            "Failed",
            "VolumeFailedRecycle: No recycler plugin found for the volume!",
        ),
    ];
    for (spec, by, want, words) in cases {
        let mut given = volume("v", "1Gi", spec.clone());
        if let Some(by) = by {
            given["metadata"]["annotations"] = json!({ PROVISIONED_BY: by });
        }
        let model = settle(&[(VOLUMES, given), (CLAIMS, claim("c", "1Gi", json!({})))]);
        assert_eq!(phase(&model, VOLUMES, "v"), "Bound");
        model.delete_now(CLAIMS, &key("c"), Propagation::Background);
        again(&model);
        assert_eq!((phase(&model, VOLUMES, "v").as_str(), told(&model).as_str()), (want, words), "{spec}");
        // One of the same name does not get what the other left.
        let mut next = claim("c", "1Gi", json!({}));
        next["metadata"]["uid"] = "next".into();
        model.put(CLAIMS, next);
        again(&model);
        assert_eq!(phase(&model, CLAIMS, "c"), "Pending");
    }
}

#[test]
fn a_volume_that_vanishes_is_lost() {
    let model = settle(&[(VOLUMES, volume("v", "1Gi", json!({}))), (CLAIMS, claim("c", "1Gi", json!({})))]);
    model.delete_now(VOLUMES, &ObjectKey::new("", "v"), Propagation::Background);
    again(&model);
    assert_eq!(phase(&model, CLAIMS, "c"), "Lost");
    assert_eq!(told(&model), "ClaimLost: Bound claim has lost its PersistentVolume. Data on the volume is lost!");
    assert_eq!(of(&model, CLAIMS, "c")["status"], json!({"phase": "Lost"}));
}
