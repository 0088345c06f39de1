//! ServiceAccount: every pod runs as one, which must exist; its image pull secrets and its token are handed to the pod.
use super::World;
use crate::actors::admission::refusal::{append, forbidden, list, text};
use crate::actors::kinds::Attributes;
use crate::protocol::meta::ObjectKey;
use crate::protocol::names;
use crate::protocol::status::ApiError;
use crate::storage::{Next, Start};
use serde_json::{Value, json};
use std::time::Duration;

/// The account of pods that name none.
pub const DEFAULT: &str = "default";
/// Where programs look for their token.
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const VOLUME_PREFIX: &str = "kube-api-access-";
/// An hour, and a little so that it can be told from a token that somebody asked for.
const TOKEN_SECONDS: i64 = 3607;
const MIRROR: &str = "kubernetes.io/config.mirror";
const LIMITED: &str = "kubernetes.io/enforce-mountable-secrets";
/// How long a pod waits for the default account of a namespace that was made a moment ago.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether a pod runs as the default account.
pub fn wants_default(pod: &Value) -> bool {
    matches!(text(&pod["spec"], "serviceAccountName"), "" | DEFAULT) && !is_mirror(pod)
}

/// Returns once a namespace has its default account, or when it takes too long.
pub async fn wait_for_default(world: &World, namespace: &str) {
    let key = ObjectKey::new(namespace, DEFAULT);
    let subscribed = world.accounts.hub().subscribe(Start::Now, Some(key.namespace.clone()), Some(key.name.clone()), None, 16);
    let Ok(mut subscription) = subscribed else { return };
    let appears = async {
        while world.accounts.snapshot().get(&key).is_none() {
            if matches!(subscription.next().await, Next::Lagged) {
                return;
            }
        }
    };
    // When it takes too long the pod is refused, in words that say what is missing.
    let _ = tokio::time::timeout(PATIENCE, appears).await;
}

/// Gives a new pod its account. `random` names the volume of its token. Changes nothing when it was done already.
pub fn mutate(a: &Attributes<'_>, pod: &mut Value, world: &World, random: [u8; 5]) -> Result<(), ApiError> {
    if is_mirror(pod) {
        return mirror(a, pod);
    }
    let given = text(&pod["spec"], "serviceAccountName");
    let name = if given.is_empty() { DEFAULT } else { given }.to_string();
    let Some(account) = world.account(&a.key.namespace, &name) else {
        let why = format!("error looking up service account {}/{name}: serviceaccount \"{name}\" not found", a.key.namespace);
        return Err(forbidden(a, Some(pod), &why));
    };
    let account = account.parse();
    pod["spec"]["serviceAccountName"] = name.into();
    if account["metadata"]["annotations"][LIMITED] == "true" {
        limit_secrets(pod, &account).map_err(|why| forbidden(a, Some(pod), &why))?;
    }
    if automount(pod, &account) {
        mount_token(pod, random);
    }
    if list(&pod["spec"], "imagePullSecrets").is_empty() {
        append(&mut pod["spec"], "imagePullSecrets", list(&account, "imagePullSecrets").iter().cloned());
    }
    Ok(())
}

fn is_mirror(pod: &Value) -> bool {
    pod["metadata"]["annotations"].get(MIRROR).is_some()
}

/// Mirror pods show what a node runs by itself: they can use nothing of the API.
fn mirror(a: &Attributes<'_>, pod: &Value) -> Result<(), ApiError> {
    let refuse = |what: &str| Err(forbidden(a, Some(pod), &format!("a mirror pod may not reference {what}")));
    if !text(&pod["spec"], "serviceAccountName").is_empty() {
        return refuse("service accounts");
    }
    for volume in list(&pod["spec"], "volumes") {
        let sources = [
            ("secret", "secrets"),
            ("configMap", "configmaps"),
            ("persistentVolumeClaim", "persistentvolumeclaims"),
            ("projected", "projected volumes"),
        ];
        if let Some((_, what)) = sources.iter().find(|(source, _)| volume.get(source).is_some()) {
            return refuse(what);
        }
    }
    Ok(())
}

/// The pod's own word counts, then the account's.
fn automount(pod: &Value, account: &Value) -> bool {
    let word = |value: &Value| value["automountServiceAccountToken"].as_bool();
    word(&pod["spec"]).or_else(|| word(account)).unwrap_or(true)
}

fn mount_token(pod: &mut Value, random: [u8; 5]) {
    let spec = &mut pod["spec"];
    let held = list(spec, "volumes").iter().map(|v| text(v, "name")).find(|n| n.starts_with(VOLUME_PREFIX)).map(String::from);
    let has_volume = held.is_some();
    let volume = held.unwrap_or_else(|| names::generated_name(VOLUME_PREFIX, random));
    let mut needed = false;
    for field in ["initContainers", "containers"] {
        for container in spec.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
            if list(container, "volumeMounts").iter().any(|m| text(m, "mountPath") == MOUNT_PATH) {
                continue;
            }
            append(container, "volumeMounts", [json!({ "mountPath": MOUNT_PATH, "name": volume, "readOnly": true })]);
            needed = true;
        }
    }
    if needed && !has_volume {
        append(spec, "volumes", [token_volume(&volume)]);
    }
}

fn token_volume(name: &str) -> Value {
    json!({
        "name": name,
        "projected": { "defaultMode": 420, "sources": [
            { "serviceAccountToken": { "expirationSeconds": TOKEN_SECONDS, "path": "token" } },
            { "configMap": { "items": [{ "key": "ca.crt", "path": "ca.crt" }], "name": "kube-root-ca.crt" } },
            { "downwardAPI": { "items": [
                { "fieldRef": { "apiVersion": "v1", "fieldPath": "metadata.namespace" }, "path": "namespace" },
            ] } },
        ] },
    })
}

/// The pod refers to no secret that its account does not.
fn limit_secrets(pod: &Value, account: &Value) -> Result<(), String> {
    let named = |field: &str| list(account, field).iter().map(|s| text(s, "name").to_string()).collect::<Vec<String>>();
    let (mountable, pull) = (named("secrets"), named("imagePullSecrets"));
    let (spec, account) = (&pod["spec"], text(&account["metadata"], "name"));
    for volume in list(spec, "volumes") {
        let secret = text(&volume["secret"], "secretName");
        if volume.get("secret").is_some() && !mountable.iter().any(|m| m == secret) {
            return Err(format!(
                "volume with secret.secretName=\"{secret}\" is not allowed because service account {account} does not reference that secret"
            ));
        }
    }
    for (field, what) in [("initContainers", "init container"), ("containers", "container")] {
        for container in list(spec, field) {
            for variable in list(container, "env") {
                let secret = text(&variable["valueFrom"]["secretKeyRef"], "name");
                if !secret.is_empty() && !mountable.iter().any(|m| m == secret) {
                    let (container, variable) = (text(container, "name"), text(variable, "name"));
                    return Err(format!(
                        "{what} {container} with envVar {variable} referencing secret.secretName=\"{secret}\" is not allowed because service account {account} does not reference that secret"
                    ));
                }
            }
        }
    }
    for (i, reference) in list(spec, "imagePullSecrets").iter().enumerate() {
        let name = text(reference, "name");
        if !pull.iter().any(|p| p == name) {
            return Err(format!(
                "imagePullSecrets[{i}].name=\"{name}\" is not allowed because service account {account} does not reference that imagePullSecret"
            ));
        }
    }
    Ok(())
}
