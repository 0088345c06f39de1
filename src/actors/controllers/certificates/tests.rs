use super::super::plan::Action;
use super::super::testing::{Model, at};
use super::signer::{Refusal, judge, life};
use super::*;
use crate::actors::authority::{RbacIndex, bootstrap};
use crate::actors::kinds::certificates::signing_request::{CLIENT_SIGNER, KUBELET_CLIENT_SIGNER, KUBELET_SERVING_SIGNER};
use crate::protocol::authority::{Attributes, Authorize, Decision};
use crate::protocol::user::User;
use crate::storage::pki::{ParsedRequest, PkiConfig, identity_of};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};
use std::time::Duration;
use x509_parser::pem::Pem;

const NODE_USAGES: [&str; 2] = ["digital signature", "client auth"];

fn request(name: &str, organizations: &[&str], names: Vec<SanType>) -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for (spelling, organization) in [DnType::OrganizationName, DnType::CustomDnType(vec![2, 5, 4, 10])].into_iter().zip(organizations) {
        params.distinguished_name.push(spelling, *organization);
    }
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = names;
    params.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap()
}

fn parsed(pem: &str) -> ParsedRequest {
    ParsedRequest::from_pem(pem.as_bytes()).unwrap()
}

fn put(model: &Model, spec: Value, status: Value) -> std::sync::Arc<Entry> {
    let object = json!({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": "r"}, "spec": spec, "status": status,
    });
    model.put(SHELF, object)
}

fn node_spec(username: &str, groups: &[&str]) -> Value {
    let pem = request("system:node:n1", &["system:nodes"], vec![]);
    json!({
        "signerName": KUBELET_CLIENT_SIGNER, "request": STANDARD.encode(pem), "usages": NODE_USAGES,
        "username": username, "groups": groups,
    })
}

#[test]
fn what_signers_sign() {
    let dns = || vec![SanType::DnsName("n1".try_into().unwrap())];
    let node = parsed(&request("system:node:n1", &["system:nodes"], vec![]));
    let named = parsed(&request("system:node:n1", &["system:nodes"], dns()));
    let jane = parsed(&request("jane", &["dev", "ops"], vec![]));
    assert_eq!(jane.organizations, ["dev", "ops"]);
    let server = ["digital signature", "key encipherment", "server auth"];
    let table: Vec<(&str, &ParsedRequest, &[&str], Result<(), Refusal>)> = vec![
        (CLIENT_SIGNER, &jane, &["client auth"], Ok(())),
        (CLIENT_SIGNER, &jane, &["digital signature"], Err(Refusal::NoClientAuth)),
        (CLIENT_SIGNER, &jane, &["client auth", "server auth"], Err(Refusal::Usage("server auth".into()))),
        (KUBELET_CLIENT_SIGNER, &node, &NODE_USAGES, Ok(())),
        (KUBELET_CLIENT_SIGNER, &node, &["client auth"], Err(Refusal::Usages("client auth digital signature key encipherment"))),
        (KUBELET_CLIENT_SIGNER, &jane, &NODE_USAGES, Err(Refusal::Organization)),
        (KUBELET_CLIENT_SIGNER, &named, &NODE_USAGES, Err(Refusal::Names("DNS"))),
        (KUBELET_SERVING_SIGNER, &named, &server, Ok(())),
        (KUBELET_SERVING_SIGNER, &node, &server, Err(Refusal::NamesRequired)),
        (KUBELET_SERVING_SIGNER, &named, &NODE_USAGES, Err(Refusal::Usages("digital signature key encipherment server auth"))),
    ];
    for (signer, request, usages, wanted) in table {
        assert_eq!(judge(signer, request, usages), Some(wanted), "{signer} {usages:?}");
    }
    assert_eq!(judge("example.com/signer", &jane, &["any"]), None);
    assert_eq!(life(None), Duration::from_secs(8760 * 3600));
    assert_eq!((life(Some(1)).as_secs(), life(Some(7200)).as_secs(), life(Some(i64::MAX))), (600, 7200, life(None)));
}

/// What the default roles allow, and nothing else.
struct Defaults(RbacIndex);

impl Authorize for Defaults {
    fn decide(&self, user: &User, wanted: &Attributes<'_>) -> Decision {
        Decision { allowed: self.0.allows(user, wanted).is_ok(), ..Decision::default() }
    }
}

#[test]
fn nodes_are_approved_for_themselves_only() {
    let may = approver::rights(Arc::new(Defaults(bootstrap::index())));
    let model = Model::default();
    let table: [(&str, &[&str], Option<&str>); 4] = [
        ("system:node:n1", &["system:nodes"], Some("Auto approving self kubelet client certificate after SubjectAccessReview.")),
        ("system:node:n2", &["system:nodes"], None),
        ("jane", &["dev"], None),
        (
            "system:bootstrap:abcdef",
            &["system:bootstrappers:kubeadm:default-node-token"],
            Some("Auto approving kubelet client certificate after SubjectAccessReview."),
        ),
    ];
    for (user, groups, message) in table {
        let entry = put(&model, node_spec(user, groups), json!({}));
        let plan = approver::plan(&entry, &entry.parse(), at(0), &*may);
        let found = plan.actions.iter().find_map(|action| match action {
            Action::Patch(p) if p.subresource == Some("approval") => p.patch["status"]["conditions"][0]["message"].as_str(),
            _ => None,
        });
        assert_eq!(found, message, "{user}");
        assert_eq!(plan.requeue_after.is_some(), message.is_none(), "a right may come later: {user}");
    }
    // Where the cluster's roles say otherwise, that is what counts.
    let entry = put(&model, node_spec("system:node:n1", &["system:nodes"]), json!({}));
    let nobody = approver::rights(Arc::new(Defaults(RbacIndex::default())));
    assert!(approver::plan(&entry, &entry.parse(), at(0), &*nobody).actions.is_empty());
    let denied = json!({"conditions": [{"type": "Denied", "status": "True"}]});
    let entry = put(&model, node_spec("system:node:n1", &["system:nodes"]), denied);
    assert!(approver::plan(&entry, &entry.parse(), at(0), &*may).actions.is_empty());
}

#[test]
fn refused_ones_fail_and_unapproved_ones_wait() {
    let model = Model::default();
    let sign: signer::Sign<'_> = &|_, _, _| Ok("PEM".to_string());
    let approved = json!({"conditions": [{"type": "Approved", "status": "True"}]});
    let good = node_spec("system:node:n1", &[]);
    let mut bad = good.clone();
    bad["usages"] = json!(["client auth"]);
    let status = |spec: &Value, status: &Value| {
        let entry = put(&model, spec.clone(), status.clone());
        match signer::plan(&entry, &entry.parse(), at(0), sign).actions.as_slice() {
            [] => Value::Null,
            [Action::Patch(patch)] => patch.patch["status"].clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(status(&good, &json!({})), Value::Null);
    assert_eq!(status(&good, &approved), json!({"certificate": STANDARD.encode("PEM")}));
    let failed = status(&bad, &approved);
    assert_eq!(
        (&failed["conditions"][1]["type"], &failed["conditions"][1]["reason"]),
        (&json!("Failed"), &json!("SignerValidationFailure"))
    );
    assert_eq!(status(&bad, &failed), Value::Null);
}

#[test]
fn old_ones_are_removed() {
    let condition = |type_: &str| json!([{"type": type_, "status": "True", "lastUpdateTime": "1970-01-01T01:00:00Z"}]);
    let object = |status: Value| json!({"metadata": {"creationTimestamp": "1970-01-01T00:00:00Z"}, "status": status});
    let table = [
        (json!({}), Some(24 * 3600)),
        (json!({"conditions": condition("Denied")}), Some(7200)),
        (json!({"conditions": condition("Approved")}), None),
        (json!({"conditions": condition("Approved"), "certificate": "AAAA"}), Some(7200)),
    ];
    for (status, wanted) in table {
        assert_eq!(cleaner::deadline(&object(status.clone())), wanted, "{status}");
    }
    let model = Model::default();
    let entry = put(&model, json!({}), json!({"conditions": condition("Denied")}));
    let early = cleaner::plan(&entry, &entry.parse(), at(7000));
    assert_eq!((early.actions.len(), early.requeue_after), (0, Some(Duration::from_secs(201))));
    assert!(matches!(cleaner::plan(&entry, &entry.parse(), at(7201)).actions.as_slice(), [Action::Delete(_)]));
}

/// The real CA signs what the request says, subject and names and all.
#[test]
fn certificates_say_what_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let config = PkiConfig { cluster_name: "c".into(), server_names: vec![], server_ips: vec![] };
    let now = at(1_800_000_000);
    let pki = Pki::open_at(dir.path(), config, now).unwrap();
    let names = vec![SanType::DnsName("a.example.com".try_into().unwrap()), SanType::IpAddress("10.0.0.1".parse().unwrap())];
    let request = parsed(&request("jane", &["dev", "ops"], names));
    assert_eq!((request.dns_names, request.ip_addresses), (1, 1));
    let pem = pki.sign_request(&request, &["digital signature", "client auth"], Duration::from_secs(3600), now).unwrap();
    let block = Pem::iter_from_buffer(pem.as_bytes()).next().unwrap().unwrap();
    let certificate = block.parse_x509().unwrap();
    let (_, ca) = x509_parser::parse_x509_certificate(pki.ca_certificate()).unwrap();
    certificate.verify_signature(Some(ca.public_key())).expect("signed by the cluster's CA");
    assert_eq!(certificate.issuer(), ca.subject());
    let identity = identity_of(&block.contents).unwrap();
    assert_eq!((identity.common_name.as_str(), identity.organizations), ("jane", vec!["dev".to_string(), "ops".to_string()]));
    assert_eq!(certificate.validity().not_after.timestamp(), 1_800_003_600);
    assert!(!certificate.is_ca());
    let usage = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth);
    assert_eq!(certificate.subject_alternative_name().unwrap().unwrap().value.general_names.len(), 2);
    crate::storage::pki::check_certificates(pem.as_bytes()).unwrap();
    assert_eq!(crate::storage::pki::not_after(pem.as_bytes()), Some(1_800_003_600));
}
