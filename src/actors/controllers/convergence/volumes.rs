//! Claims and volumes: never two of one, whoever meddles, and wherever the binder is interrupted.
use super::*;
use crate::actors::controllers::plan::Propagation;
use crate::actors::controllers::testing::{Bench, key};
use crate::actors::controllers::volume_binder::VolumeBinder;
use crate::actors::controllers::volume_binder::facts::{CLAIMS, CLASSES, VOLUMES};
use crate::protocol::meta::ObjectKey;
use std::collections::HashMap;

#[derive(Clone, Debug)]
enum Step {
    /// A claim by number, its size, its class, and the volume that it names.
    Claim(u8, u8, u8, Option<u8>),
    DeleteClaim(u8),
    /// A volume, its size, its class, and the claim that it is for.
    Volume(u8, u8, u8, Option<u8>),
    DeleteVolume(u8),
    /// The scheduler has chosen a volume for a claim.
    Choose(u8, u8),
    /// The binder goes on for so many writes; then it is killed, and another comes.
    Kill(usize),
    Work,
}

fn step() -> impl Strategy<Value = Step> {
    let number = || 0u8..4;
    let some = || proptest::option::weighted(0.3, 0u8..4);
    prop_oneof![
        4 => (number(), 1u8..4, 0u8..2, some()).prop_map(|(n, size, class, volume)| Step::Claim(n, size, class, volume)),
        1 => number().prop_map(Step::DeleteClaim),
        4 => (number(), 1u8..5, 0u8..2, some()).prop_map(|(n, size, class, claim)| Step::Volume(n, size, class, claim)),
        1 => number().prop_map(Step::DeleteVolume),
        2 => (number(), number()).prop_map(|(claim, volume)| Step::Choose(claim, volume)),
        3 => (0usize..6).prop_map(Step::Kill),
        2 => Just(Step::Work),
    ]
}

/// The first has its claims wait for the scheduler.
const NAMES: [&str; 2] = ["later", ""];

fn claim_key(n: u8) -> ObjectKey {
    key(&format!("c{n}"))
}

fn volume_key(n: u8) -> ObjectKey {
    ObjectKey::new("", format!("v{n}"))
}

fn put_claim(model: &Model, n: u8, size: u8, class: u8, volume: Option<u8>) {
    if model.get(CLAIMS, &claim_key(n)).is_some() {
        return;
    }
    let mut spec = json!({"accessModes": ["ReadWriteOnce"], "storageClassName": NAMES[usize::from(class)], "resources": {"requests": {"storage": format!("{size}Gi")}}});
    if let Some(volume) = volume {
        spec["volumeName"] = format!("v{volume}").into();
    }
    model.put(CLAIMS, json!({"metadata": {"name": format!("c{n}"), "namespace": "default"}, "spec": spec, "status": {"phase": "Pending"}}));
}

fn put_volume(model: &Model, n: u8, size: u8, class: u8, claim: Option<u8>) {
    if model.get(VOLUMES, &volume_key(n)).is_some() {
        return;
    }
    let mut spec = json!({"accessModes": ["ReadWriteOnce"], "storageClassName": NAMES[usize::from(class)], "capacity": {"storage": format!("{size}Gi")},
        "persistentVolumeReclaimPolicy": "Retain"});
    if let Some(claim) = claim {
        spec["claimRef"] = json!({"namespace": "default", "name": format!("c{claim}")});
    }
    model.put(VOLUMES, json!({"metadata": {"name": format!("v{n}")}, "spec": spec}));
}

fn choose(model: &Model, claim: u8, volume: u8) {
    let (Some(claim), Some(entry)) = (model.get(CLAIMS, &claim_key(claim)), model.get(VOLUMES, &volume_key(volume))) else { return };
    let (wants, has) = (claim.parse(), entry.parse());
    let waits = wants["spec"]["storageClassName"] == "later" && wants["spec"]["volumeName"].is_null();
    if waits && has["spec"]["claimRef"].is_null() && has["status"]["phase"] == "Available" {
        let reference = json!({"namespace": "default", "name": &*claim.key.name, "uid": &*claim.meta.uid});
        let patch = json!({"metadata": {"annotations": {"pv.kubernetes.io/bound-by-controller": "yes"}}, "spec": {"claimRef": reference}});
        model.edit(VOLUMES, &entry.key, patch);
    }
}

fn objects(model: &Model, shelf: &str) -> Vec<Value> {
    model.list(shelf, None).iter().map(|entry| entry.parse()).collect()
}

/// Of all that are bound, no two share anything.
fn nothing_twice(model: &Model) {
    let bound = |shelf: &str| objects(model, shelf).into_iter().filter(|o| o["status"]["phase"] == "Bound").collect::<Vec<_>>();
    let mut of: HashMap<String, usize> = HashMap::new();
    for claim in bound(CLAIMS) {
        *of.entry(claim["spec"]["volumeName"].to_string()).or_default() += 1;
    }
    for volume in bound(VOLUMES) {
        *of.entry(volume["spec"]["claimRef"]["uid"].to_string()).or_default() += 1;
    }
    assert!(of.values().all(|count| *count == 1), "{of:?}");
}

/// Who is bound is so on both sides, and nobody waits beside what would suit.
fn all_is_well(model: &Model) {
    let (claims, volumes) = (objects(model, CLAIMS), objects(model, VOLUMES));
    let by_name = |name: &Value| volumes.iter().find(|v| v["metadata"]["name"] == *name);
    for claim in &claims {
        match claim["status"]["phase"].as_str() {
            Some("Bound") => {
                let volume = by_name(&claim["spec"]["volumeName"]).expect("its volume");
                assert_eq!(volume["spec"]["claimRef"]["uid"], claim["metadata"]["uid"]);
                assert_eq!((&volume["status"]["phase"], &claim["status"]["capacity"]), (&"Bound".into(), &volume["spec"]["capacity"]));
            }
            Some("Pending") if claim["spec"]["volumeName"].is_null() && claim["spec"]["storageClassName"] == "" => {
                let fits = |v: &&Value| {
                    let size = |v: &Value| v.as_str().unwrap_or_default().to_string();
                    let least = size(&claim["spec"]["resources"]["requests"]["storage"]);
                    let alike = v["spec"]["claimRef"].is_null() && v["spec"]["storageClassName"] == "";
                    alike && size(&v["spec"]["capacity"]["storage"]) >= least
                };
                assert_eq!(volumes.iter().find(fits), None, "{claim}");
            }
            _ => {}
        }
    }
    for volume in volumes.iter().filter(|v| v["status"]["phase"] == "Bound") {
        let claim = claims.iter().find(|c| c["metadata"]["uid"] == volume["spec"]["claimRef"]["uid"]).expect("its claim");
        assert_eq!(claim["spec"]["volumeName"], volume["metadata"]["name"]);
    }
}

proptest! {
    #![proptest_config(crate::actors::properties::property(256))]

    #[test]
    fn no_claim_has_two_volumes_and_no_volume_two_claims(script in prop::collection::vec(step(), 1..60)) {
        let model = Model::default();
        model.put(CLASSES, json!({"metadata": {"name": "later"}, "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"}));
        let mut binder = VolumeBinder::default();
        let mut bench = Bench::new(&model, &mut binder);
        for step in script {
            match step {
                Step::Claim(n, size, class, volume) => put_claim(&model, n, size, class, volume),
                Step::Volume(n, size, class, claim) => put_volume(&model, n, size, class, claim),
                Step::DeleteClaim(n) if model.get(CLAIMS, &claim_key(n)).is_some() => {
                    model.delete_now(CLAIMS, &claim_key(n), Propagation::Background);
                }
                Step::DeleteVolume(n) if model.get(VOLUMES, &volume_key(n)).is_some() => {
                    model.delete_now(VOLUMES, &volume_key(n), Propagation::Background);
                }
                Step::DeleteClaim(_) | Step::DeleteVolume(_) => {}
                Step::Choose(claim, volume) => choose(&model, claim, volume),
                Step::Kill(writes) => {
                    bench.left = writes;
                    bench.converge_checked(&mut binder, 0, &mut nothing_twice);
                    binder = VolumeBinder::default();
                    bench = Bench::new(&model, &mut binder);
                }
                Step::Work => drop(bench.converge_checked(&mut binder, 0, &mut nothing_twice)),
            }
        }
        bench.converge_checked(&mut binder, 0, &mut nothing_twice);
        all_is_well(&model);
        prop_assert_eq!(bench.converge(&mut binder, 0), 0);
    }
}
