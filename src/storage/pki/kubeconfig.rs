//! A kubeconfig with everything embedded.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What goes into one.
pub(super) struct Entry<'a> {
    pub cluster: &'a str,
    pub server: &'a str,
    pub user: &'a str,
    pub ca_pem: &'a str,
    pub certificate_pem: &'a str,
    pub key_pem: &'a str,
}

/// The YAML. The context is called `<user>@<cluster>`, as kubeadm calls it.
pub(super) fn render(entry: &Entry<'_>) -> String {
    // A JSON string is a YAML string, whatever is in it.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let (cluster, user, server) = (quoted(entry.cluster), quoted(entry.user), quoted(entry.server));
    let context = quoted(&format!("{}@{}", entry.user, entry.cluster));
    let (ca, certificate, key) = (STANDARD.encode(entry.ca_pem), STANDARD.encode(entry.certificate_pem), STANDARD.encode(entry.key_pem));
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: {cluster}
  cluster:
    server: {server}
    certificate-authority-data: {ca}
users:
- name: {user}
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
contexts:
- name: {context}
  context:
    cluster: {cluster}
    user: {user}
current-context: {context}
preferences: {{}}
"
    )
}
