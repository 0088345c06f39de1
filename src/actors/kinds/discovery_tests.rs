//! The yardstick: every resource that upstream's API server 1.36 serves by default, as its discovery describes it. What is in the
//! table of kinds must be described in the same way; the rest is answered without being stored, [`NOT_STORED`].
use super::*;
use std::collections::BTreeMap;

/// `group/version resource Kind scope verbs short-names categories subresources`, a line each; `-` for none.
///
/// Scope: `N`amespaced or `C`luster. Verbs: `all`, or the words. Subresources: `name=verbs`, and `name:Kind=verbs` when the body is
/// of another kind; `rw` stands for get, patch, update.
const SERVED: &str = "
v1 bindings Binding N create - - -
v1 componentstatuses ComponentStatus C get,list cs - -
v1 configmaps ConfigMap N all cm - -
v1 endpoints Endpoints N all ep - -
v1 events Event N all ev - -
v1 limitranges LimitRange N all limits - -
v1 namespaces Namespace C create,delete,get,list,patch,update,watch ns - finalize=update;status=rw
v1 nodes Node C all no - proxy:NodeProxyOptions=create,delete,get,patch,update;status=rw
v1 persistentvolumeclaims PersistentVolumeClaim N all pvc - status=rw
v1 persistentvolumes PersistentVolume C all pv - status=rw
v1 pods Pod N all po all attach:PodAttachOptions=create,get;binding:Binding=create;ephemeralcontainers=rw;eviction:Eviction=create;exec:PodExecOptions=create,get;log=get;portforward:PodPortForwardOptions=create,get;proxy:PodProxyOptions=create,delete,get,patch,update;resize=rw;status=rw
v1 podtemplates PodTemplate N all - - -
v1 replicationcontrollers ReplicationController N all rc all scale:Scale=rw;status=rw
v1 resourcequotas ResourceQuota N all quota - status=rw
v1 secrets Secret N all - - -
v1 serviceaccounts ServiceAccount N all sa - token:TokenRequest=create
v1 services Service N all svc all proxy:ServiceProxyOptions=create,delete,get,patch,update;status=rw
admissionregistration.k8s.io/v1 mutatingadmissionpolicies MutatingAdmissionPolicy C all - api-extensions -
admissionregistration.k8s.io/v1 mutatingadmissionpolicybindings MutatingAdmissionPolicyBinding C all - api-extensions -
admissionregistration.k8s.io/v1 mutatingwebhookconfigurations MutatingWebhookConfiguration C all - api-extensions -
admissionregistration.k8s.io/v1 validatingadmissionpolicies ValidatingAdmissionPolicy C all - api-extensions status=rw
admissionregistration.k8s.io/v1 validatingadmissionpolicybindings ValidatingAdmissionPolicyBinding C all - api-extensions -
admissionregistration.k8s.io/v1 validatingwebhookconfigurations ValidatingWebhookConfiguration C all - api-extensions -
apiextensions.k8s.io/v1 customresourcedefinitions CustomResourceDefinition C all crd,crds api-extensions status=rw
apiregistration.k8s.io/v1 apiservices APIService C all - api-extensions status=rw
apps/v1 controllerrevisions ControllerRevision N all - - -
apps/v1 daemonsets DaemonSet N all ds all status=rw
apps/v1 deployments Deployment N all deploy all scale:Scale=rw;status=rw
apps/v1 replicasets ReplicaSet N all rs all scale:Scale=rw;status=rw
apps/v1 statefulsets StatefulSet N all sts all scale:Scale=rw;status=rw
authentication.k8s.io/v1 selfsubjectreviews SelfSubjectReview C create - - -
authentication.k8s.io/v1 tokenreviews TokenReview C create - - -
authorization.k8s.io/v1 localsubjectaccessreviews LocalSubjectAccessReview N create - - -
authorization.k8s.io/v1 selfsubjectaccessreviews SelfSubjectAccessReview C create - - -
authorization.k8s.io/v1 selfsubjectrulesreviews SelfSubjectRulesReview C create - - -
authorization.k8s.io/v1 subjectaccessreviews SubjectAccessReview C create - - -
autoscaling/v1 horizontalpodautoscalers HorizontalPodAutoscaler N all hpa all status=rw
autoscaling/v2 horizontalpodautoscalers HorizontalPodAutoscaler N all hpa all status=rw
batch/v1 cronjobs CronJob N all cj all status=rw
batch/v1 jobs Job N all - all status=rw
certificates.k8s.io/v1 certificatesigningrequests CertificateSigningRequest C all csr - approval=rw;status=rw
coordination.k8s.io/v1 leases Lease N all - - -
discovery.k8s.io/v1 endpointslices EndpointSlice N all - - -
events.k8s.io/v1 events Event N all ev - -
flowcontrol.apiserver.k8s.io/v1 flowschemas FlowSchema C all - - status=rw
flowcontrol.apiserver.k8s.io/v1 prioritylevelconfigurations PriorityLevelConfiguration C all - - status=rw
networking.k8s.io/v1 ingressclasses IngressClass C all - - -
networking.k8s.io/v1 ingresses Ingress N all ing - status=rw
networking.k8s.io/v1 ipaddresses IPAddress C all ip - -
networking.k8s.io/v1 networkpolicies NetworkPolicy N all netpol - -
networking.k8s.io/v1 servicecidrs ServiceCIDR C all - - status=rw
node.k8s.io/v1 runtimeclasses RuntimeClass C all - - -
policy/v1 poddisruptionbudgets PodDisruptionBudget N all pdb - status=rw
rbac.authorization.k8s.io/v1 clusterrolebindings ClusterRoleBinding C all - - -
rbac.authorization.k8s.io/v1 clusterroles ClusterRole C all - - -
rbac.authorization.k8s.io/v1 rolebindings RoleBinding N all - - -
rbac.authorization.k8s.io/v1 roles Role N all - - -
resource.k8s.io/v1 deviceclasses DeviceClass C all - - -
resource.k8s.io/v1 resourceclaims ResourceClaim N all - - status=rw
resource.k8s.io/v1 resourceclaimtemplates ResourceClaimTemplate N all - - -
resource.k8s.io/v1 resourceslices ResourceSlice C all - - -
scheduling.k8s.io/v1 priorityclasses PriorityClass C all pc - -
storage.k8s.io/v1 csidrivers CSIDriver C all - - -
storage.k8s.io/v1 csinodes CSINode C all - - -
storage.k8s.io/v1 csistoragecapacities CSIStorageCapacity N all - - -
storage.k8s.io/v1 storageclasses StorageClass C all sc - -
storage.k8s.io/v1 volumeattachments VolumeAttachment C all - - status=rw
storage.k8s.io/v1 volumeattributesclasses VolumeAttributesClass C all vac - -
";

/// What is answered without being stored: there is no [`Kind`] to look at.
const NOT_STORED: &[&str] = &[
    "v1 bindings",
    "v1 componentstatuses",
    "authentication.k8s.io/v1 selfsubjectreviews",
    "authentication.k8s.io/v1 tokenreviews",
    "authorization.k8s.io/v1 localsubjectaccessreviews",
    "authorization.k8s.io/v1 selfsubjectaccessreviews",
    "authorization.k8s.io/v1 selfsubjectrulesreviews",
    "authorization.k8s.io/v1 subjectaccessreviews",
];

/// The verbs as the table spells them.
fn verbs(verbs: &[&str]) -> String {
    if verbs == crate::protocol::resource::ALL_VERBS {
        return "all".into();
    }
    if verbs == ["get", "patch", "update"] { "rw".into() } else { verbs.join(",") }
}

fn or_dash(words: &[&str]) -> String {
    if words.is_empty() { "-".into() } else { words.join(",") }
}

/// A resource's line, without its subresources; and the subresources.
fn described(kind: &Kind) -> (String, BTreeMap<String, String>) {
    let r = &kind.resource;
    let scope = if r.namespaced { "N" } else { "C" };
    let (version, short, categories) = (r.api_version(), or_dash(r.short_names), or_dash(r.categories));
    let line = format!("{version} {} {} {scope} {} {short} {categories}", r.plural, r.kind, verbs(r.verbs));
    let subresource = |s: &crate::protocol::resource::Subresource| {
        let body = if s.kind == r.kind { String::new() } else { format!(":{}", s.kind) };
        (s.name.to_string(), format!("{}{body}={}", s.name, verbs(s.verbs)))
    };
    (line, r.subresources.iter().map(subresource).collect())
}

#[test]
fn as_upstream_describes_it() {
    let kinds = all();
    let mut served = Vec::new();
    let mut faults = Vec::new();
    for line in SERVED.trim().lines() {
        let (wanted, subresources) = line.rsplit_once(' ').expect("a line of eight words");
        let name = wanted.split(' ').take(2).collect::<Vec<_>>().join(" ");
        let found = kinds.iter().find(|k| format!("{} {}", k.resource.api_version(), k.resource.plural) == name);
        match (found, NOT_STORED.contains(&name.as_str())) {
            (None, false) => faults.push(format!("{name} is missing")),
            (Some(_), true) => faults.push(format!("{name} is stored")),
            (None, true) => {}
            (Some(kind), false) => {
                let (line, mut have) = described(kind);
                if line != wanted {
                    faults.push(format!("{line}\n    should be {wanted}"));
                }
                for wanted in subresources.split(';').filter(|s| *s != "-") {
                    let short = wanted.split([':', '=']).next().unwrap_or_default();
                    let given = have.remove(short);
                    if given.as_deref() != Some(wanted) {
                        faults.push(format!("{name}: {given:?} should be {wanted}"));
                    }
                }
                faults.extend(have.values().map(|more| format!("{name}: upstream has no {more}")));
            }
        }
        served.push(name);
    }
    for kind in &kinds {
        let name = format!("{} {}", kind.resource.api_version(), kind.resource.plural);
        if !served.contains(&name) && !crate::protocol::legacy::is_removed(&kind.resource) {
            faults.push(format!("{name} is not served by default upstream"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn singular_names_and_columns() {
    for kind in all() {
        let resource = &kind.resource;
        assert_eq!(resource.singular, resource.kind.to_lowercase(), "{}", resource.plural);
        let row = kind.row(&serde_json::json!({}), 0);
        assert_eq!(row.len(), kind.columns().len(), "{}", resource.plural);
    }
}
