//! What a pod refers to: the only things of others that its node may read.
use crate::protocol::meta::ObjectKey;
use serde_json::Value;
use std::collections::BTreeSet;

/// The sorts of things that pods refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sort {
    Secret,
    ConfigMap,
    Claim,
    ResourceClaim,
    ServiceAccount,
}

/// Something that a pod refers to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Thing {
    pub sort: Sort,
    pub key: ObjectKey,
}

/// Names the secret of a volume by its driver.
const SECRET_REFS: [&str; 8] = ["azureFile", "cephfs", "cinder", "flexVolume", "rbd", "scaleIO", "iscsi", "storageos"];

/// Everything that a pod refers to, each once. A mirror pod was made by its node and gives it nothing.
pub fn of_pod(pod: &Value) -> Vec<Thing> {
    if !pod["metadata"]["annotations"]["kubernetes.io/config.mirror"].is_null() {
        return Vec::new();
    }
    let mut found = Found { namespace: pod["metadata"]["namespace"].as_str().unwrap_or_default(), things: BTreeSet::new() };
    let spec = &pod["spec"];
    found.add(Sort::ServiceAccount, &spec["serviceAccountName"]);
    for secret in list(&spec["imagePullSecrets"]) {
        found.add(Sort::Secret, &secret["name"]);
    }
    for containers in ["containers", "initContainers", "ephemeralContainers"] {
        for container in list(&spec[containers]) {
            found.of_environment(container);
        }
    }
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    for volume in list(&spec["volumes"]) {
        found.of_volume(volume, name);
    }
    for claim in list(&spec["resourceClaims"]).chain(list(&pod["status"]["resourceClaimStatuses"])) {
        found.add(Sort::ResourceClaim, &claim["resourceClaimName"]);
    }
    found.things.into_iter().collect()
}

/// The secrets that a PersistentVolume needs; one without a namespace is the claim's.
pub fn of_volume(volume: &Value, claim_namespace: &str) -> Vec<ObjectKey> {
    let spec = &volume["spec"];
    let key = |reference: &Value, namespace: &str, name: &str| {
        let name = reference[name].as_str().filter(|n| !n.is_empty())?;
        let namespace = reference[namespace].as_str().filter(|n| !n.is_empty()).unwrap_or(claim_namespace);
        Some(ObjectKey::new(namespace, name))
    };
    let mut keys: Vec<ObjectKey> = key(&spec["azureFile"], "secretNamespace", "secretName").into_iter().collect();
    keys.extend(SECRET_REFS.iter().filter_map(|driver| key(&spec[*driver]["secretRef"], "namespace", "name")));
    let csi = ["controllerPublishSecretRef", "nodePublishSecretRef", "nodeStageSecretRef", "nodeExpandSecretRef"];
    keys.extend(csi.iter().filter_map(|of| key(&spec["csi"][*of], "namespace", "name")));
    keys
}

struct Found<'a> {
    namespace: &'a str,
    things: BTreeSet<Thing>,
}

impl Found<'_> {
    fn add(&mut self, sort: Sort, name: &Value) {
        if let Some(name) = name.as_str().filter(|n| !n.is_empty()) {
            self.things.insert(Thing { sort, key: ObjectKey::new(self.namespace, name) });
        }
    }

    fn of_environment(&mut self, container: &Value) {
        for source in list(&container["envFrom"]) {
            self.add(Sort::Secret, &source["secretRef"]["name"]);
            self.add(Sort::ConfigMap, &source["configMapRef"]["name"]);
        }
        for variable in list(&container["env"]) {
            self.add(Sort::Secret, &variable["valueFrom"]["secretKeyRef"]["name"]);
            self.add(Sort::ConfigMap, &variable["valueFrom"]["configMapKeyRef"]["name"]);
        }
    }

    fn of_volume(&mut self, volume: &Value, pod: &str) {
        self.add(Sort::Secret, &volume["secret"]["secretName"]);
        self.add(Sort::ConfigMap, &volume["configMap"]["name"]);
        self.add(Sort::Claim, &volume["persistentVolumeClaim"]["claimName"]);
        self.add(Sort::Secret, &volume["azureFile"]["secretName"]);
        self.add(Sort::Secret, &volume["csi"]["nodePublishSecretRef"]["name"]);
        for driver in SECRET_REFS {
            self.add(Sort::Secret, &volume[driver]["secretRef"]["name"]);
        }
        for source in list(&volume["projected"]["sources"]) {
            self.add(Sort::Secret, &source["secret"]["name"]);
            self.add(Sort::ConfigMap, &source["configMap"]["name"]);
        }
        if volume["ephemeral"].is_object() {
            let name = format!("{pod}-{}", volume["name"].as_str().unwrap_or_default());
            self.add(Sort::Claim, &name.into());
        }
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
