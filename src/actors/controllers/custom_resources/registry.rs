//! Where definitions become kinds.
use crate::actors::aggregation::Dial;
use crate::actors::kinds::apiextensions::{SHELF, conditions::is_true};
use crate::actors::kinds::custom::{Connection, ServiceConnector, kinds_of};
use crate::actors::kinds::{Body, Kinds};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Takes kinds up and puts them down.
pub trait Register: Send + Unpin + 'static {
    /// Serves what a definition defines; a changed definition replaces what was served.
    fn serve(&mut self, crd: &Value) -> Result<(), String>;
    /// Serves it no longer. `name`: the definition's.
    fn withdraw(&mut self, name: &str);
    /// Whether a shelf is that of a defined kind.
    fn is_custom(&self, shelf: &str) -> bool;
}

/// What was registered last for each definition, so that the same is not compiled again.
pub struct KindRegistry {
    kinds: Arc<Kinds>,
    /// The way to conversion webhooks.
    services: Arc<dyn Dial>,
    known: Mutex<HashMap<String, String>>,
}

impl KindRegistry {
    pub fn new(kinds: Arc<Kinds>, services: Arc<dyn Dial>) -> Arc<Self> {
        Arc::new(KindRegistry { kinds, services, known: Mutex::default() })
    }
}

/// All of a definition that its kinds are made from.
fn fingerprint(crd: &Value) -> String {
    let ending = !crd["metadata"]["deletionTimestamp"].is_null();
    json!([crd["spec"], crd["status"]["acceptedNames"], ending]).to_string()
}

impl Register for Arc<KindRegistry> {
    fn serve(&mut self, crd: &Value) -> Result<(), String> {
        let name = crd["metadata"]["name"].as_str().unwrap_or_default();
        let print = fingerprint(crd);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(name) == Some(&print) {
            return Ok(());
        }
        if self.kinds.by_shelf(name).is_some_and(|served| matches!(served.kind.body, Body::Typed(_))) {
            return Err(format!("{name} is built in"));
        }
        let services: Arc<dyn ServiceConnector> = Arc::new(Services(self.services.clone()));
        let versions = kinds_of(crd, &services).map_err(|e| e.to_string())?;
        self.kinds.replace(versions);
        known.insert(name.to_string(), print);
        Ok(())
    }

    fn withdraw(&mut self, name: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.remove(name).is_some()
            && let Some((plural, group)) = name.split_once('.')
        {
            self.kinds.remove(group, plural);
        }
    }

    fn is_custom(&self, shelf: &str) -> bool {
        self.kinds.by_shelf(shelf).is_some_and(|served| matches!(served.kind.body, Body::Custom(_)))
    }
}

/// Brings the stored definitions to life, before anybody asks for their objects.
pub fn register_stored(registry: &Arc<KindRegistry>) {
    let Some(served) = registry.kinds.by_shelf(SHELF) else { return };
    for entry in served.shelf.snapshot().iter() {
        let crd = entry.parse();
        if !is_true(&crd, "Established") {
            continue;
        }
        if let Err(why) = registry.clone().serve(&crd) {
            tracing::error!(definition = %entry.key.name, %why, "a stored definition could not be brought to life");
        }
    }
}

/// Services of this cluster, as everybody else reaches them.
struct Services(Arc<dyn Dial>);

#[async_trait]
impl ServiceConnector for Services {
    async fn connect(&self, namespace: &str, name: &str, port: u16) -> Result<Box<dyn Connection>, String> {
        Ok(Box::new(self.0.dial(namespace, name, port).await?))
    }
}
