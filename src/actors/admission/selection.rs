//! Which plugins are on. Names, order and defaults are upstream's.
use std::collections::BTreeSet;

/// A plugin that this server knows, in the order that they run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Plugin {
    NamespaceLifecycle,
    PodPreset,
    LimitRanger,
    ServiceAccount,
    /// The authorizer's part; the chain only keeps its place.
    NodeRestriction,
    TaintNodesByCondition,
    AlwaysPullImages,
    PodSecurity,
    Priority,
    DefaultTolerationSeconds,
    ExtendedResourceToleration,
    DefaultStorageClass,
    StorageObjectInUseProtection,
    OwnerReferencesPermissionEnforcement,
    PersistentVolumeClaimResize,
    RuntimeClass,
    CertificateApproval,
    CertificateSigning,
    ClusterTrustBundleAttest,
    CertificateSubjectRestriction,
    DefaultIngressClass,
    DenyServiceExternalIPs,
    PodTopologyLabels,
    MutatingAdmissionPolicy,
    MutatingAdmissionWebhook,
    ValidatingAdmissionPolicy,
    ValidatingAdmissionWebhook,
    ResourceQuota,
}

/// A name that is no plugin's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown admission plugin \"{name}\"; known are {known}")]
pub struct SelectionError {
    pub name: String,
    known: String,
}

impl Plugin {
    /// Every plugin, in order.
    pub const ALL: [Plugin; 28] = [
        Plugin::NamespaceLifecycle,
        Plugin::PodPreset,
        Plugin::LimitRanger,
        Plugin::ServiceAccount,
        Plugin::NodeRestriction,
        Plugin::TaintNodesByCondition,
        Plugin::AlwaysPullImages,
        Plugin::PodSecurity,
        Plugin::Priority,
        Plugin::DefaultTolerationSeconds,
        Plugin::ExtendedResourceToleration,
        Plugin::DefaultStorageClass,
        Plugin::StorageObjectInUseProtection,
        Plugin::OwnerReferencesPermissionEnforcement,
        Plugin::PersistentVolumeClaimResize,
        Plugin::RuntimeClass,
        Plugin::CertificateApproval,
        Plugin::CertificateSigning,
        Plugin::ClusterTrustBundleAttest,
        Plugin::CertificateSubjectRestriction,
        Plugin::DefaultIngressClass,
        Plugin::DenyServiceExternalIPs,
        Plugin::PodTopologyLabels,
        Plugin::MutatingAdmissionPolicy,
        Plugin::MutatingAdmissionWebhook,
        Plugin::ValidatingAdmissionPolicy,
        Plugin::ValidatingAdmissionWebhook,
        Plugin::ResourceQuota,
    ];

    /// As the cluster file names it.
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    fn on_by_default(self) -> bool {
        !matches!(
            self,
            Plugin::AlwaysPullImages
                | Plugin::ExtendedResourceToleration
                | Plugin::OwnerReferencesPermissionEnforcement
                | Plugin::DenyServiceExternalIPs
                | Plugin::NodeRestriction
        )
    }
}

/// The plugins that are on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugins(BTreeSet<Plugin>);

impl Default for Plugins {
    fn default() -> Self {
        Plugins(Plugin::ALL.into_iter().filter(|p| p.on_by_default()).collect())
    }
}

impl Plugins {
    /// The default ones, with those of `enable` and without those of `disable`.
    pub fn choose(enable: &[String], disable: &[String]) -> Result<Plugins, SelectionError> {
        let mut chosen = Plugins::default();
        for name in enable {
            chosen.0.insert(find(name)?);
        }
        for name in disable {
            chosen.0.remove(&find(name)?);
        }
        Ok(chosen)
    }

    pub fn has(&self, plugin: Plugin) -> bool {
        self.0.contains(&plugin)
    }
}

fn find(name: &str) -> Result<Plugin, SelectionError> {
    let known = || Plugin::ALL.map(Plugin::name).join(", ");
    Plugin::ALL.into_iter().find(|p| p.name() == name).ok_or_else(|| SelectionError { name: name.into(), known: known() })
}
