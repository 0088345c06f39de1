use super::signing_request::{KIND, merge_approval, restricted_subject, set_requester, validate_approval};
use crate::actors::kinds::{Part, begin_create, prepare_create, prepare_update};
use crate::protocol::user::User;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::{Value, json};

const NOW: &str = "2026-01-01T00:00:00Z";

fn request(common_name: &str, organization: &str) -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.distinguished_name.push(DnType::OrganizationName, organization);
    let key = KeyPair::generate().unwrap();
    STANDARD.encode(params.serialize_request(&key).unwrap().pem().unwrap())
}

fn spec(signer: &str) -> Value {
    json!({"signerName": signer, "request": request("jane", "dev"), "usages": ["client auth"], "username": "system:admin", "groups": ["system:masters"]})
}

fn create(spec: Value) -> Result<Value, String> {
    let body = json!({"metadata": {"name": "Any Name"}, "spec": spec, "status": {"conditions": [{"type": "Approved", "status": "True"}]}});
    let checked = KIND.check(body.to_string().as_bytes()).expect("a body of that kind");
    let mut object = checked.value;
    begin_create(&KIND, "", &mut object).map_err(|e| e.message)?;
    prepare_create(&KIND, object, NOW, "uid", *b"abcde").map_err(|e| e.message)
}

fn stored() -> Value {
    let mut object = create(spec("example.com/signer")).unwrap();
    object["metadata"]["resourceVersion"] = "7".into();
    set_requester(&mut object, &User::new("jane", ["dev".to_string()]));
    object
}

#[test]
fn who_asks_is_what_the_server_knows() {
    let object = create(spec("example.com/signer")).unwrap();
    assert!(object["spec"].get("username").is_none() && object["spec"].get("groups").is_none());
    assert!(object["status"].get("conditions").is_none());
    let object = stored();
    assert_eq!(object["spec"]["username"], "jane");
    assert_eq!(object["spec"]["groups"], json!(["dev", "system:authenticated"]));
}

#[test]
fn refused() {
    let with = |field: &str, value: Value| {
        let mut spec = spec("example.com/signer");
        spec[field] = value;
        spec
    };
    let table = [
        (with("request", STANDARD.encode("hello").into()), "PEM block type must be CERTIFICATE REQUEST"),
        (with("usages", json!([])), "spec.usages: Required value"),
        (with("usages", json!(["flying"])), "spec.usages[0]: Unsupported value: \"flying\": supported values: \"any\", \"cert sign\""),
        (with("usages", json!(["any", "any"])), "spec.usages[1]: Duplicate value: \"any\""),
        (with("expirationSeconds", 599.into()), "may not specify a duration less than 600 seconds (10 minutes)"),
        (with("signerName", "".into()), "spec.signerName: Required value"),
        (with("signerName", "signer".into()), "must be a fully qualified domain and path of the form 'example.com/signer-name'"),
        (with("signerName", "com/signer".into()), "should be a domain with at least two segments separated by dots"),
        (with("signerName", "kubernetes.io/legacy-unknown".into()), "the legacy signerName is not allowed via this API version"),
    ];
    for (spec, message) in table {
        let error = create(spec).expect_err(message);
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn approval_takes_conditions_and_nothing_else() {
    let old = stored();
    let mut body = old.clone();
    body["spec"]["username"] = "mallory".into();
    body["status"] = json!({"certificate": "AAAA", "conditions": [{"type": "Approved", "status": "True", "reason": "Looked"}]});
    let new = merge_approval(&old, &body, NOW);
    assert_eq!(new["spec"], old["spec"]);
    assert!(new["status"].get("certificate").is_none());
    let condition = &new["status"]["conditions"][0];
    assert_eq!((&condition["lastUpdateTime"], &condition["lastTransitionTime"]), (&json!(NOW), &json!(NOW)));
    assert!(validate_approval(&new, &old).is_empty());
    let new = prepare_update(&KIND, Part::Approval, &old, body).expect("the same through the write path");
    // It cannot be taken back, nor turned into its opposite.
    let mut body = new.clone();
    body["status"] = json!({"conditions": [{"type": "Denied", "status": "True"}]});
    let error = prepare_update(&KIND, Part::Approval, &new, body).unwrap_err().message;
    assert!(error.contains("updates may not remove a condition of type \"Approved\""), "{error}");
    let mut both = new.clone();
    both["status"]["conditions"].as_array_mut().unwrap().push(json!({"type": "Denied", "status": "True"}));
    let error = prepare_update(&KIND, Part::Approval, &new, both).unwrap_err().message;
    assert!(error.contains("Approved and Denied conditions are mutually exclusive"), "{error}");
    let mut untrue = old.clone();
    untrue["status"] = json!({"conditions": [{"type": "Approved", "status": "False"}]});
    let error = prepare_update(&KIND, Part::Approval, &old, untrue).unwrap_err().message;
    assert!(error.contains("status.conditions[0].status: Unsupported value: \"False\": supported values: \"True\""), "{error}");
}

#[test]
fn status_takes_certificates_but_no_approval() {
    let old = stored();
    let with_status = |status: Value| {
        let mut body = old.clone();
        body["status"] = status;
        prepare_update(&KIND, Part::Status, &old, body)
    };
    let approved = with_status(json!({"conditions": [{"type": "Approved", "status": "True"}]})).unwrap_err().message;
    assert!(approved.contains("updates may not add a condition of type \"Approved\""), "{approved}");
    let garbage = with_status(json!({"certificate": STANDARD.encode("hello")})).unwrap_err().message;
    assert!(garbage.contains("status.certificate: Invalid value: \"<certificate data>\""), "{garbage}");
    let failed = with_status(json!({"conditions": [{"type": "Failed", "status": "True"}]})).unwrap();
    assert!(failed["status"]["conditions"][0]["lastUpdateTime"].is_string());
    assert_eq!(KIND.row(&failed, 0)[2..], [json!("example.com/signer"), json!("jane"), json!("<none>"), json!("Pending,Failed")]);
    // The main resource keeps what was asked for.
    let mut body = old.clone();
    body["spec"]["usages"] = json!(["any"]);
    assert_eq!(prepare_update(&KIND, Part::Main, &old, body).unwrap()["spec"], old["spec"]);
}

#[test]
fn nobody_asks_to_be_master() {
    let mut spec = spec("kubernetes.io/kube-apiserver-client");
    assert_eq!(restricted_subject(&json!({"spec": spec})), None);
    spec["request"] = request("root", "system:masters").into();
    assert!(restricted_subject(&json!({"spec": spec})).is_some());
}

#[test]
fn a_status_that_is_taken_away_is_no_null() {
    let old = stored();
    let mut body = old.clone();
    body.as_object_mut().unwrap().remove("status");
    let new = prepare_update(&KIND, Part::Status, &old, body).unwrap();
    assert!(new.get("status").is_none_or(Value::is_object), "{new}");
}
