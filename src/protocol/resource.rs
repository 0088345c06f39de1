//! What discovery says about a resource: its names, its scope, its subresources.

/// A resource served by the API, as discovery describes it. Built-in ones are `static`.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Empty for the legacy `v1` group.
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
    pub singular: &'static str,
    pub namespaced: bool,
    pub short_names: &'static [&'static str],
    pub categories: &'static [&'static str],
    pub verbs: &'static [&'static str],
    pub subresources: &'static [Subresource],
}

/// A subresource (`status`, `scale`, `log`, …) with the kind that its bodies have.
#[derive(Clone, Debug)]
pub struct Subresource {
    pub name: &'static str,
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub verbs: &'static [&'static str],
}

/// Resources whose finished deletion is answered with the object, as upstream's `ReturnDeletedObject` has it; all others answer with a
/// `Status`.
const RETURN_DELETED: &[(&str, &[&str])] = &[
    ("", &["persistentvolumeclaims", "persistentvolumes", "pods", "podtemplates", "resourcequotas", "serviceaccounts", "services"]),
    ("resource.k8s.io", &["deviceclasses", "devicetaintrules", "resourceclaims", "resourceclaimtemplates", "resourceslices"]),
    ("storage.k8s.io", &["csidrivers", "csinodes", "storageclasses", "volumeattachments", "volumeattributesclasses"]),
];

impl Resource {
    /// Whether a deletion that is over is answered with the object.
    pub fn returns_deleted(&self) -> bool {
        RETURN_DELETED.iter().any(|(group, plurals)| *group == self.group && plurals.contains(&self.plural))
    }

    /// `v1`, or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_string() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `pods`, or `deployments.apps`: how upstream's messages name a resource.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.to_string() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// The subresource of that name.
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|s| s.name == name)
    }
}

/// The verbs of an ordinary stored resource.
pub const ALL_VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
