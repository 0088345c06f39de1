//! Which schema describes which kind: every stable built-in kind, so that serving one more needs no change here.
use crate::metrics;
use k8s_openapi::api::{
    admissionregistration::v1 as admission, apps::v1 as apps, authentication::v1 as authentication, authorization::v1 as authorization,
    autoscaling::v1 as autoscaling_v1, autoscaling::v2 as autoscaling_v2, batch::v1 as batch, certificates::v1 as certificates,
    coordination::v1 as coordination, core::v1 as core, discovery::v1 as discovery, events::v1 as events, flowcontrol::v1 as flowcontrol,
    networking::v1 as networking, node::v1 as node, policy::v1 as policy, rbac::v1 as rbac, resource::v1 as dynamic_resources,
    scheduling::v1 as scheduling, storage::v1 as storage,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as apiextensions;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1 as apiregistration;
use schemars::{JsonSchema, SchemaGenerator};
use std::borrow::Cow;

/// A built-in kind and how to obtain its schema.
pub struct Kind {
    /// Empty for the legacy `v1` group.
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    model: fn() -> Cow<'static, str>,
    define: fn(&mut SchemaGenerator),
}

impl Kind {
    const fn of<T: JsonSchema + k8s_openapi::Resource>() -> Kind {
        Kind { group: T::GROUP, version: T::VERSION, kind: T::KIND, model: T::schema_name, define: define::<T> }
    }

    const fn named<T: JsonSchema>(group: &'static str, version: &'static str, kind: &'static str) -> Kind {
        Kind { group, version, kind, model: T::schema_name, define: define::<T> }
    }

    /// The definition's name in the documents: `io.k8s.api.core.v1.Pod`.
    pub fn model(&self) -> Cow<'static, str> {
        (self.model)()
    }

    /// Adds the kind's definition, and all that it refers to, to the generator.
    pub fn define(&self, generator: &mut SchemaGenerator) {
        (self.define)(generator);
    }
}

/// Adds a type's definition to the generator.
pub(super) fn define<T: JsonSchema>(generator: &mut SchemaGenerator) {
    generator.subschema_for::<T>();
}

/// The built-in kind of that name, if it has a schema.
pub fn find(group: &str, version: &str, kind: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|k| k.kind == kind && k.group == group && k.version == version)
}

/// Every built-in kind with a schema.
pub static KINDS: &[Kind] = &[
    Kind::of::<core::Binding>(),
    Kind::of::<core::ComponentStatus>(),
    Kind::of::<core::ConfigMap>(),
    Kind::of::<core::Endpoints>(),
    Kind::of::<core::Event>(),
    Kind::of::<core::LimitRange>(),
    Kind::of::<core::Namespace>(),
    Kind::of::<core::Node>(),
    Kind::of::<core::PersistentVolume>(),
    Kind::of::<core::PersistentVolumeClaim>(),
    Kind::of::<core::Pod>(),
    Kind::of::<core::PodTemplate>(),
    Kind::of::<core::ReplicationController>(),
    Kind::of::<core::ResourceQuota>(),
    Kind::of::<core::Secret>(),
    Kind::of::<core::Service>(),
    Kind::of::<core::ServiceAccount>(),
    Kind::of::<apps::ControllerRevision>(),
    Kind::of::<apps::DaemonSet>(),
    Kind::of::<apps::Deployment>(),
    Kind::of::<apps::ReplicaSet>(),
    Kind::of::<apps::StatefulSet>(),
    Kind::of::<batch::CronJob>(),
    Kind::of::<batch::Job>(),
    Kind::of::<autoscaling_v1::HorizontalPodAutoscaler>(),
    Kind::of::<autoscaling_v1::Scale>(),
    Kind::of::<autoscaling_v2::HorizontalPodAutoscaler>(),
    Kind::of::<policy::Eviction>(),
    Kind::of::<policy::PodDisruptionBudget>(),
    Kind::of::<networking::IPAddress>(),
    Kind::of::<networking::Ingress>(),
    Kind::of::<networking::IngressClass>(),
    Kind::of::<networking::NetworkPolicy>(),
    Kind::of::<networking::ServiceCIDR>(),
    Kind::of::<discovery::EndpointSlice>(),
    Kind::of::<storage::CSIDriver>(),
    Kind::of::<storage::CSINode>(),
    Kind::of::<storage::CSIStorageCapacity>(),
    Kind::of::<storage::StorageClass>(),
    Kind::of::<storage::VolumeAttachment>(),
    Kind::of::<storage::VolumeAttributesClass>(),
    Kind::of::<rbac::ClusterRole>(),
    Kind::of::<rbac::ClusterRoleBinding>(),
    Kind::of::<rbac::Role>(),
    Kind::of::<rbac::RoleBinding>(),
    Kind::of::<scheduling::PriorityClass>(),
    Kind::of::<coordination::Lease>(),
    Kind::of::<node::RuntimeClass>(),
    Kind::of::<events::Event>(),
    Kind::of::<certificates::CertificateSigningRequest>(),
    Kind::of::<authentication::SelfSubjectReview>(),
    Kind::of::<authentication::TokenRequest>(),
    Kind::of::<authentication::TokenReview>(),
    Kind::of::<authorization::LocalSubjectAccessReview>(),
    Kind::of::<authorization::SelfSubjectAccessReview>(),
    Kind::of::<authorization::SelfSubjectRulesReview>(),
    Kind::of::<authorization::SubjectAccessReview>(),
    Kind::of::<admission::MutatingAdmissionPolicy>(),
    Kind::of::<admission::MutatingAdmissionPolicyBinding>(),
    Kind::of::<admission::MutatingWebhookConfiguration>(),
    Kind::of::<admission::ValidatingAdmissionPolicy>(),
    Kind::of::<admission::ValidatingAdmissionPolicyBinding>(),
    Kind::of::<admission::ValidatingWebhookConfiguration>(),
    Kind::of::<flowcontrol::FlowSchema>(),
    Kind::of::<flowcontrol::PriorityLevelConfiguration>(),
    Kind::of::<dynamic_resources::DeviceClass>(),
    Kind::of::<dynamic_resources::ResourceClaim>(),
    Kind::of::<dynamic_resources::ResourceClaimTemplate>(),
    Kind::of::<dynamic_resources::ResourceSlice>(),
    Kind::of::<apiextensions::CustomResourceDefinition>(),
    Kind::of::<apiregistration::APIService>(),
    Kind::named::<metrics::NodeMetrics>(metrics::GROUP, "v1beta1", "NodeMetrics"),
    Kind::named::<metrics::PodMetrics>(metrics::GROUP, "v1beta1", "PodMetrics"),
];
