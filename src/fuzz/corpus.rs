//! What every run starts from: a good object of each kind that can be created, and the schemas that describe them.
use super::models::Models;
use super::objects;
use crate::actors::kinds::custom::{Connection, ServiceConnector, kinds_of};
use crate::actors::kinds::{Kind, Writer, all, track_create};
use crate::protocol::codec::yaml_documents;
use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::Arc;

const SEEDS: &str = include_str!("seeds.yaml");

/// A kind with good objects of it.
pub struct Seeded {
    pub kind: Arc<Kind>,
    /// The kind that the objects are stored as.
    pub stored_as: Arc<Kind>,
    pub bodies: Vec<Value>,
    pub stored: Vec<Value>,
}

pub struct Corpus {
    pub kinds: Vec<Seeded>,
    pub bodies: Vec<Value>,
    /// One YAML text for each seed.
    pub texts: Vec<&'static str>,
    pub models: Models,
    pub request_pem: String,
    pub certificate_pem: String,
    pub certificate_der: Vec<u8>,
}

struct Nowhere;

#[async_trait]
impl ServiceConnector for Nowhere {
    async fn connect(&self, _: &str, name: &str, _: u16) -> Result<Box<dyn Connection>, String> {
        Err(format!("service \"{name}\" not found"))
    }
}

/// The kinds of a definition, if it makes any.
pub fn custom_kinds(definition: &Value) -> Result<Vec<Arc<Kind>>, String> {
    let resolver: Arc<dyn ServiceConnector> = Arc::new(Nowhere);
    let kinds = kinds_of(definition, &resolver).map_err(|e| e.to_string())?;
    Ok(kinds.into_iter().map(|(kind, _)| kind).collect())
}

impl Corpus {
    pub fn load() -> Corpus {
        let mut bodies = yaml_documents(SEEDS.as_bytes()).expect("good seeds");
        let key = rcgen::KeyPair::generate().expect("a key");
        let request_pem = rcgen::CertificateParams::default().serialize_request(&key).expect("a request").pem().expect("PEM");
        let certificate = rcgen::CertificateParams::new(vec!["a.example".into()]).and_then(|p| p.self_signed(&key)).expect("a certificate");
        bodies.push(signing_request(&request_pem));
        let definition = bodies.iter().find(|b| b["kind"] == "CustomResourceDefinition").expect("a definition");
        let custom = custom_kinds(definition).expect("a good definition");
        let kinds: Vec<Arc<Kind>> = all().into_iter().cloned().map(Arc::new).chain(custom).collect();
        let seeded = kinds.iter().filter(|k| k.resource.verbs.contains(&"create")).map(|kind| seeded(kind, &kinds, &bodies));
        Corpus {
            kinds: seeded.collect(),
            texts: SEEDS.split("\n---\n").collect(),
            models: Models::load(),
            bodies,
            request_pem,
            certificate_pem: certificate.pem(),
            certificate_der: certificate.der().to_vec(),
        }
    }
}

fn seeded(kind: &Arc<Kind>, kinds: &[Arc<Kind>], bodies: &[Value]) -> Seeded {
    let shelf = kind.shelf();
    let stored_as = kinds.iter().find(|k| k.view.is_none() && k.shelf() == shelf).unwrap_or(kind).clone();
    let of = |kind: &Kind| -> Vec<Value> {
        let api_version = kind.resource.api_version();
        bodies.iter().filter(|b| b["kind"] == kind.resource.kind && b["apiVersion"] == api_version.as_str()).cloned().collect()
    };
    let mut own = of(kind);
    let mut stored = Vec::new();
    // A removed version's objects are made from today's.
    if own.is_empty() && kind.view.is_some() {
        for body in of(&stored_as) {
            let mut object = objects::create(&stored_as, &stored_as, body.to_string().as_bytes()).ok().flatten().unwrap_or(body);
            stored.push(object.clone());
            kind.show(&mut object);
            if let Some(meta) = object["metadata"].as_object_mut() {
                meta.remove("resourceVersion");
            }
            own.push(object);
        }
    } else {
        let made = own.iter().filter_map(|body| objects::create(kind, &stored_as, body.to_string().as_bytes()).ok().flatten());
        stored.extend(made);
    }
    let writer = Writer::internal("seed");
    stored.iter_mut().for_each(|object| track_create(&stored_as, object, &writer));
    Seeded { kind: kind.clone(), stored_as, bodies: own, stored }
}

fn signing_request(pem: &str) -> Value {
    use base64::Engine;
    let request = base64::engine::general_purpose::STANDARD.encode(pem);
    json!({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": { "name": "x" },
        "spec": { "signerName": "a.example/s", "request": request, "usages": ["client auth"], "expirationSeconds": 3600 },
    })
}
