//! Claims for which a volume has to be made. Nobody here makes volumes: drivers of their own do, once a claim says whose turn it is.
use super::bind::{about_claim, write};
use super::facts::{CLAIMS, CLASSES, Claim, PROVISIONERS};
use crate::actors::controllers::plan::Action;
use crate::actors::controllers::world::World;
use crate::protocol::meta::ObjectKey;
use crate::storage::entry::Entry;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::sync::Arc;

/// Mark the class for claims that name none.
const DEFAULT_MARKS: [&str; 2] = ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
/// Provisioners that were once built in, and the drivers that took over.
const MIGRATED: [(&str, &str); 7] = [
    ("kubernetes.io/aws-ebs", "ebs.csi.aws.com"),
    ("kubernetes.io/azure-disk", "disk.csi.azure.com"),
    ("kubernetes.io/azure-file", "file.csi.azure.com"),
    ("kubernetes.io/cinder", "cinder.csi.openstack.org"),
    ("kubernetes.io/gce-pd", "pd.csi.storage.gke.io"),
    ("kubernetes.io/portworx-volume", "pxd.portworx.com"),
    ("kubernetes.io/vsphere-volume", "csi.vsphere.vmware.com"),
];

/// A class by its name.
pub fn class(name: &str, world: &dyn World) -> Option<Value> {
    if name.is_empty() { None } else { world.get(CLASSES, &ObjectKey::new("", name)).map(|entry| entry.parse()) }
}

/// Whether the class is for claims that name none.
pub fn is_default(class: &Value) -> bool {
    DEFAULT_MARKS.iter().any(|mark| class["metadata"]["annotations"][*mark] == "true")
}

/// The class for claims that name none: the newest of those marked so.
pub fn default_class(classes: &[Arc<Entry>]) -> Option<Arc<str>> {
    let marked = classes.iter().filter(|class| class.meta.deleting.is_none() && is_default(&class.parse()));
    marked.min_by_key(|class| (Reverse(class.meta.created), class.key.name.clone())).map(|class| class.key.name.clone())
}

/// Asks the class's provisioner for a volume, or says why nobody can be asked.
pub fn ask(claim: &Claim, world: &dyn World) -> Vec<Action> {
    let name = claim.facts.class_name();
    let failed = |message: String| vec![about_claim(&claim.entry, "Warning", "ProvisioningFailed", message)];
    let Some(class) = class(name, world) else { return failed(format!("storageclass.storage.k8s.io {name:?} not found")) };
    let named = class["provisioner"].as_str().unwrap_or_default();
    let driver = MIGRATED.iter().find(|(old, _)| *old == named).map_or(named, |(_, new)| new);
    if driver.starts_with("kubernetes.io/") {
        return failed(format!("no volume plugin matched name: {driver}"));
    }
    let mut actions = Vec::new();
    let annotations = &claim.object["metadata"]["annotations"];
    if PROVISIONERS.iter().any(|name| annotations[*name] != driver) {
        let [today, before] = PROVISIONERS;
        actions.push(write(CLAIMS, &claim.entry, json!({ "metadata": { "annotations": { today: driver, before: driver } } })));
    }
    let message = format!(
        "Waiting for a volume to be created either by the external provisioner '{driver}' or manually by the system administrator. \
        If volume creation is delayed, please verify that the provisioner is running and correctly registered."
    );
    actions.push(about_claim(&claim.entry, "Normal", "ExternalProvisioning", message));
    actions
}
