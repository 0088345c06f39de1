//! The chain: which plugin looks at which request, in upstream's order.
use super::derived::Derived;
use super::plugins::{self, World};
use super::pod_security;
use super::policies::Policies;
use super::quota;
use super::refusal::{is, is_part};
use super::request::MastersOnly;
use super::selection::{Plugin, Plugins};
use super::webhooks::{ClusterServices, Hooks};
use crate::actors::aggregation::Dial;
use crate::actors::kinds::{Admission, Asked, Attributes, Operation};
use crate::protocol::authority::Authorize;
use crate::protocol::status::ApiError;
use crate::storage::{Change, Committer, Shelves};
use futures_util::future::BoxFuture;
use serde_json::Value;
use std::sync::Arc;

/// What the chain is built with.
pub struct AdmissionSettings {
    pub plugins: Plugins,
    pub authorizer: Arc<dyn Authorize>,
    /// Where webhooks behind a Service are.
    pub services: Arc<dyn Dial>,
}

impl AdmissionSettings {
    /// Upstream's default plugins; masters may do everything; services are reached straight.
    pub fn new(shelves: &Arc<Shelves>) -> Self {
        AdmissionSettings {
            plugins: Plugins::default(),
            authorizer: Arc::new(MastersOnly),
            services: Arc::new(ClusterServices::new(shelves.clone())),
        }
    }
}

/// See the module.
pub struct AdmissionChain {
    plugins: Plugins,
    authorizer: Arc<dyn Authorize>,
    world: World,
    policies: Policies,
    hooks: Hooks,
    committer: Committer,
}

impl AdmissionChain {
    /// `committer` numbers the writes to quotas.
    pub fn new(shelves: &Arc<Shelves>, committer: Committer, settings: AdmissionSettings) -> Self {
        AdmissionChain {
            policies: Policies::new(shelves.clone(), settings.authorizer.clone()),
            hooks: Hooks::new(shelves.clone(), settings.services, settings.authorizer.clone()),
            world: World::new(shelves),
            plugins: settings.plugins,
            authorizer: settings.authorizer,
            committer,
        }
    }

    fn on(&self, plugin: Plugin) -> bool {
        self.plugins.has(plugin)
    }

    fn mutate_new_pod(&self, a: &Attributes<'_>, pod: &mut Value) -> Result<(), ApiError> {
        if self.on(Plugin::LimitRanger) {
            plugins::limit_ranger::default_pod(pod, &self.world.limits_of(&a.key.namespace));
        }
        // A default account that the controller has not made yet is waited for later, see `ask_mutating`.
        if self.on(Plugin::ServiceAccount) && !self.awaits_account(a, Some(pod)) {
            plugins::service_account::mutate(a, pod, &self.world, plugins::random())?;
        }
        if self.on(Plugin::AlwaysPullImages) {
            plugins::pull_images::mutate(pod);
        }
        if self.on(Plugin::Priority) {
            plugins::priority::mutate_pod(a, pod, &self.world.priorities.get())?;
        }
        if self.on(Plugin::DefaultTolerationSeconds) {
            plugins::tolerations::default_seconds(pod);
        }
        if self.on(Plugin::ExtendedResourceToleration) {
            plugins::tolerations::extended_resources(pod);
        }
        if self.on(Plugin::RuntimeClass) {
            plugins::runtime_class::mutate(a, pod, &self.world.runtime_classes.get())?;
        }
        Ok(())
    }

    fn mutate_new(&self, a: &Attributes<'_>, object: &mut Value) -> Result<(), ApiError> {
        if is(a, "", "pods") {
            return self.mutate_new_pod(a, object);
        }
        if is(a, "", "nodes") && self.on(Plugin::TaintNodesByCondition) {
            plugins::taint_nodes::mutate(object);
        }
        let claim = is(a, "", "persistentvolumeclaims");
        if claim && self.on(Plugin::DefaultStorageClass) {
            plugins::default_class::storage(object, &self.world.storage_classes.get());
        }
        if (claim || is(a, "", "persistentvolumes")) && self.on(Plugin::StorageObjectInUseProtection) {
            plugins::storage_protection::mutate(object, claim);
        }
        if is(a, "networking.k8s.io", "ingresses") && self.on(Plugin::DefaultIngressClass) {
            plugins::default_class::ingress(object, &self.world.ingress_classes.get());
        }
        Ok(())
    }

    fn validate_pod(&self, a: &Attributes<'_>, pod: &Value, old: Option<&Value>) -> Result<(), ApiError> {
        let created = a.operation == Operation::Create;
        if created && self.on(Plugin::LimitRanger) {
            plugins::limit_ranger::validate_pod(a, pod, &self.world.limits_of(&a.key.namespace))?;
        }
        if created && self.on(Plugin::AlwaysPullImages) {
            plugins::pull_images::validate(a, pod)?;
        }
        if created && self.on(Plugin::RuntimeClass) {
            plugins::runtime_class::validate(a, pod, &self.world.runtime_classes.get())?;
        }
        let _ = old;
        Ok(())
    }

    fn validate_claim(&self, a: &Attributes<'_>, claim: &Value, old: Option<&Value>) -> Result<(), ApiError> {
        if self.on(Plugin::LimitRanger) {
            plugins::limit_ranger::validate_claim(a, claim, &self.world.limits_of(&a.key.namespace))?;
        }
        if let Some(old) = old.filter(|_| self.on(Plugin::PersistentVolumeClaimResize)) {
            plugins::claim_resize::validate(a, claim, old, &self.world.storage_classes.get())?;
        }
        Ok(())
    }

    fn validate_certificates(&self, a: &Attributes<'_>, object: &Value, old: Option<&Value>) -> Result<(), ApiError> {
        let requests = "certificatesigningrequests";
        if is_part(a, "certificates.k8s.io", requests, "approval") && self.on(Plugin::CertificateApproval) {
            plugins::certificates::approval(a, object, &*self.authorizer)?;
        }
        if is_part(a, "certificates.k8s.io", requests, "status") && self.on(Plugin::CertificateSigning) {
            plugins::certificates::signing(a, object, old, &*self.authorizer)?;
        }
        if is(a, "certificates.k8s.io", requests) && a.operation == Operation::Create && self.on(Plugin::CertificateSubjectRestriction) {
            plugins::certificates::subject(a, object)?;
        }
        if is(a, "certificates.k8s.io", "clustertrustbundles") && self.on(Plugin::ClusterTrustBundleAttest) {
            plugins::certificates::attest(a, object, old, &*self.authorizer)?;
        }
        Ok(())
    }

    fn validate_written(&self, a: &Attributes<'_>, object: &Value, old: Option<&Value>) -> Result<Vec<String>, ApiError> {
        if is(a, "", "pods") {
            self.validate_pod(a, object, old)?;
        }
        if is_part(a, "", "pods", "resize") && self.on(Plugin::LimitRanger) {
            plugins::limit_ranger::validate_pod(a, object, &self.world.limits_of(&a.key.namespace))?;
        }
        if is(a, "", "persistentvolumeclaims") {
            self.validate_claim(a, object, old)?;
        }
        if is(a, "scheduling.k8s.io", "priorityclasses") && self.on(Plugin::Priority) {
            plugins::priority::validate_class(a, object, &self.world.priorities.get())?;
        }
        if a.kind.resource.group == "certificates.k8s.io" {
            self.validate_certificates(a, object, old)?;
        }
        if is(a, "", "services") && self.on(Plugin::DenyServiceExternalIPs) {
            plugins::external_ips::validate(a, object, old)?;
        }
        if self.on(Plugin::OwnerReferencesPermissionEnforcement) {
            plugins::owner_references::validate(a, object, old, &*self.authorizer)?;
        }
        if self.on(Plugin::PodSecurity) {
            return pod_security::validate(a, object, old, &self.world);
        }
        Ok(Vec::new())
    }

    /// A pod that wants its namespace's default account, which is not there yet.
    fn awaits_account(&self, a: &Attributes<'_>, pod: Option<&Value>) -> bool {
        a.operation == Operation::Create
            && is(a, "", "pods")
            && self.on(Plugin::ServiceAccount)
            && pod.is_none_or(plugins::service_account::wants_default)
            && self.world.account(&a.key.namespace, plugins::service_account::DEFAULT).is_none()
            && self.world.namespace(&a.key.namespace).is_some()
    }

    async fn ask_mutating(&self, a: Attributes<'_>, mut object: Value, old: Option<&Value>) -> Asked<Value> {
        let mut warnings = Vec::new();
        if self.awaits_account(&a, Some(&object)) {
            plugins::service_account::wait_for_default(&self.world, &a.key.namespace).await;
        }
        if a.operation == Operation::Create && is(&a, "", "pods") && self.on(Plugin::ServiceAccount) {
            // Changes nothing when it was done already.
            plugins::service_account::mutate(&a, &mut object, &self.world, plugins::random())?;
        }
        let mut policies = self.on(Plugin::MutatingAdmissionPolicy).then(|| self.policies.round());
        let mut hooks = self.on(Plugin::MutatingAdmissionWebhook).then(|| self.hooks.round());
        let came = object.clone();
        for again in [false, true] {
            if let Some(round) = &mut policies {
                self.policies.mutate(&a, round, &mut object, old).await?;
            }
            if let Some(round) = &mut hooks {
                warnings.extend(self.hooks.mutate(&a, round, &mut object, old).await?);
            }
            if again || object == came {
                break;
            }
            // What they brought in gets what everything else gets, and those who want to see later changes see them.
            self.mutate_again(&a, &mut object, old)?;
        }
        Ok((object, warnings))
    }

    /// The server's own plugins once more, on what others have made of an object.
    fn mutate_again(&self, a: &Attributes<'_>, object: &mut Value, old: Option<&Value>) -> Result<(), ApiError> {
        if a.subresource.is_empty() {
            *object = a.kind.check_value(object).map_err(|e| ApiError::internal(e.to_string()))?.value;
            a.kind.default(object);
        }
        self.mutate_written(a, object, old)
    }

    fn mutate_written(&self, a: &Attributes<'_>, object: &mut Value, old: Option<&Value>) -> Result<(), ApiError> {
        match (a.operation, a.subresource) {
            (Operation::Create, "") => self.mutate_new(a, object)?,
            (Operation::Update, "") if is(a, "", "pods") => {
                if let Some(old) = old.filter(|_| self.on(Plugin::Priority)) {
                    plugins::priority::keep(object, old);
                }
                if self.on(Plugin::AlwaysPullImages) {
                    plugins::pull_images::mutate(object);
                }
            }
            (_, "binding") if is_part(a, "", "pods", "binding") && self.on(Plugin::PodTopologyLabels) => {
                plugins::topology_labels::mutate(object, &self.world);
            }
            _ => {}
        }
        Ok(())
    }

    async fn ask_validating(&self, a: Attributes<'_>, object: Option<&Value>, old: Option<&Value>) -> Asked<()> {
        let mut warnings = Vec::new();
        if a.operation == Operation::Delete && self.on(Plugin::MutatingAdmissionWebhook) {
            warnings.extend(self.hooks.mutate_nothing(&a, old).await?);
        }
        if self.on(Plugin::ValidatingAdmissionPolicy) {
            warnings.extend(self.policies.validate(&a, object, old).await?);
        }
        if self.on(Plugin::ValidatingAdmissionWebhook) {
            warnings.extend(self.hooks.validate(&a, object, old).await?);
        }
        Ok(((), warnings))
    }
}

impl Admission for AdmissionChain {
    fn mutate(&self, a: &Attributes<'_>, object: &mut Value, old: Option<&Value>) -> Result<Vec<String>, ApiError> {
        let mut warnings = Vec::new();
        // Presets are merged once: a second time they would be in conflict with themselves.
        if a.operation == Operation::Create && is(a, "", "pods") && self.on(Plugin::PodPreset) {
            warnings = plugins::pod_presets::mutate(a, object, &self.world);
        }
        self.mutate_written(a, object, old)?;
        Ok(warnings)
    }

    fn validate(&self, a: &Attributes<'_>, object: Option<&Value>, old: Option<&Value>) -> Result<Vec<String>, ApiError> {
        if a.operation == Operation::Delete {
            if is(a, "", "namespaces") && self.on(Plugin::NamespaceLifecycle) {
                plugins::namespace_lifecycle::validate(a)?;
            }
            return Ok(Vec::new());
        }
        object.map_or(Ok(Vec::new()), |object| self.validate_written(a, object, old))
    }

    fn charges(&self, a: &Attributes<'_>, object: Option<&Value>, old: Option<&Value>) -> Result<Vec<Change>, ApiError> {
        if !self.on(Plugin::ResourceQuota) || a.key.namespace.is_empty() {
            return Ok(Vec::new());
        }
        let quotas = self.world.quotas.snapshot();
        if quotas.namespace_len(&a.key.namespace) == 0 {
            return Ok(Vec::new());
        }
        quota::charges(a, object, old, &self.world.quotas, || self.committer.next_token())
    }

    fn asks(&self, a: &Attributes<'_>) -> bool {
        let policies = self.on(Plugin::MutatingAdmissionPolicy) || self.on(Plugin::ValidatingAdmissionPolicy);
        let hooks = self.on(Plugin::MutatingAdmissionWebhook) || self.on(Plugin::ValidatingAdmissionWebhook);
        (policies && self.policies.concern(a)) || (hooks && self.hooks.concern(a)) || self.awaits_account(a, None)
    }

    fn ask_mutating<'a>(&'a self, a: Attributes<'a>, object: Value, old: Option<&'a Value>) -> BoxFuture<'a, Asked<Value>> {
        Box::pin(AdmissionChain::ask_mutating(self, a, object, old))
    }

    fn ask_validating<'a>(&'a self, a: Attributes<'a>, object: Option<&'a Value>, old: Option<&'a Value>) -> BoxFuture<'a, Asked<()>> {
        Box::pin(AdmissionChain::ask_validating(self, a, object, old))
    }
}

/// The shelf of a kind in the legacy group or another.
pub(super) fn derived<T>(shelves: &Shelves, shelf: &str, build: fn(&crate::storage::Snapshot) -> T) -> Derived<T> {
    Derived::new(shelves.shelf(shelf), build)
}
