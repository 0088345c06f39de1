//! The cluster file: what it may say, what holds when it says nothing, and how a mistake in it is told.
mod error;
pub mod scheduler;

#[cfg(test)]
mod tests;

pub use crate::protocol::net::Cidr;
pub use error::ConfigError;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The whole cluster file. Every field has a default; `config/cluster.yaml` documents each.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Config {
    pub cluster: Cluster,
    pub api: Api,
    pub mesh: Mesh,
    pub network: Network,
    pub node: Node,
    pub images: Images,
    pub scheduler: scheduler::Scheduler,
    pub users: Vec<User>,
    /// Issuers whose OpenID Connect tokens are taken.
    pub oidc: Vec<Oidc>,
    pub log: Log,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Cluster {
    /// Shown in kubeconfig contexts and the dashboard.
    pub name: String,
    /// The DNS domain of the cluster.
    pub domain: String,
    /// Where everything is kept.
    pub data_dir: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Api {
    /// The address that the API listens on.
    pub address: IpAddr,
    pub port: u16,
    /// Threads that serve requests.
    pub workers: usize,
    /// Further names and addresses that the server's certificate is good for.
    pub names: Vec<String>,
    /// Seconds that an event lives after its last write; 0: for good.
    pub event_ttl: u64,
    pub admission: Admission,
    pub audit: AuditLog,
    pub authentication_webhook: AuthenticationWebhook,
    pub authorization_webhook: AuthorizationWebhook,
}

/// A server that is asked whose token it is, by TokenReview; without a kubeconfig there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct AuthenticationWebhook {
    pub kubeconfig: PathBuf,
    /// Of authentication.k8s.io: `v1` or `v1beta1`.
    pub version: String,
    /// Seconds that answers are kept.
    pub cache_ttl: u64,
}

/// A server that is asked what users may do, by SubjectAccessReview, when roles do not allow it; without a kubeconfig there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct AuthorizationWebhook {
    pub kubeconfig: PathBuf,
    /// Of authorization.k8s.io: `v1` or `v1beta1`.
    pub version: String,
    /// Seconds that a yes is kept.
    pub authorized_ttl: u64,
    /// Seconds that a no is kept.
    pub unauthorized_ttl: u64,
}

impl Default for AuthenticationWebhook {
    fn default() -> Self {
        AuthenticationWebhook { kubeconfig: PathBuf::new(), version: "v1".into(), cache_ttl: 120 }
    }
}

impl Default for AuthorizationWebhook {
    fn default() -> Self {
        AuthorizationWebhook { kubeconfig: PathBuf::new(), version: "v1".into(), authorized_ttl: 300, unauthorized_ttl: 30 }
    }
}

/// Admission plugins, by upstream's names, that differ from upstream's defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Admission {
    pub enable: Vec<String>,
    pub disable: Vec<String>,
}

/// The audit log; without a policy there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct AuditLog {
    /// The file of the `audit.k8s.io/v1` Policy. Empty: nothing is recorded.
    pub policy: PathBuf,
    /// The log's file. Empty: `audit.log` in the data directory.
    pub file: PathBuf,
    /// The kubeconfig of a server that gets events as well, in batches. Empty: none does.
    pub webhook: PathBuf,
    /// Size in MiB at which a new file is begun.
    pub max_size: u64,
    /// Old files that are kept.
    pub backups: usize,
}

impl Default for AuditLog {
    fn default() -> Self {
        AuditLog { policy: PathBuf::new(), file: PathBuf::new(), webhook: PathBuf::new(), max_size: 100, backups: 10 }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Mesh {
    /// The address that nodes connect to, by QUIC.
    pub address: IpAddr,
    pub port: u16,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Network {
    /// Pods get their addresses from here; every node gets a part. Not given: the default, or the next range when a network of
    /// this machine has that already.
    pub pod_cidr: Option<Cidr>,
    /// Bits of a node's part: 24 gives 254 pods.
    pub node_prefix: u8,
    pub service_cidr: Cidr,
    /// How pods reach pods of other nodes.
    pub mode: NetworkMode,
}

/// How pods reach pods of other nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NetworkMode {
    /// Plain routes; the nodes must share a link.
    #[default]
    HostGateway,
    /// VXLAN over UDP port 8472.
    Vxlan,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Node {
    /// Empty: the machine's host name.
    pub name: String,
    /// Empty: found from the routing table.
    pub address: Option<IpAddr>,
    /// The bridge that pods are attached to; empty: made from the cluster's name and data directory.
    pub bridge: String,
    /// The cgroup under which pods live; empty: made like the bridge.
    pub cgroup: String,
    pub max_pods: u32,
    pub labels: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Images {
    /// Image names that are taken from elsewhere.
    pub mirrors: Vec<Mirror>,
    /// Registries that are spoken to without TLS.
    pub insecure_registries: Vec<String>,
}

/// A rule: names that begin with `from` are looked up under `to`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Mirror {
    pub from: String,
    pub to: String,
}

/// Somebody who is known by a bearer token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct User {
    pub name: String,
    pub token: String,
    #[serde(default)]
    pub groups: Vec<String>,
}

/// An issuer of OpenID Connect tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Oidc {
    /// `https://…`, as the tokens say it.
    pub issuer: String,
    /// A token must be for one of these.
    pub audiences: Vec<String>,
    pub username_claim: String,
    /// Unset: the issuer and `#`, but nothing for `email`. `-`: nothing.
    pub username_prefix: Option<String>,
    /// Empty: tokens say nothing about groups.
    pub groups_claim: String,
    pub groups_prefix: String,
    /// Claims that must have these values.
    pub required_claims: BTreeMap<String, String>,
    /// The authority of the issuer's certificate, PEM. Empty: those that the system trusts.
    pub ca_file: String,
    pub signing_algorithms: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,impresario::actors=debug`.
    pub level: String,
}

impl Default for Cluster {
    fn default() -> Self {
        Cluster { name: "impresario".into(), domain: "cluster.local".into(), data_dir: "/var/lib/impresario".into() }
    }
}

impl Default for Api {
    fn default() -> Self {
        Api {
            address: IpAddr::from([127, 0, 0, 1]),
            port: 6443,
            workers: 2,
            names: Vec::new(),
            event_ttl: 3600,
            admission: Admission::default(),
            audit: AuditLog::default(),
            authentication_webhook: AuthenticationWebhook::default(),
            authorization_webhook: AuthorizationWebhook::default(),
        }
    }
}

impl Default for Mesh {
    fn default() -> Self {
        Mesh { address: IpAddr::from([127, 0, 0, 1]), port: 6444 }
    }
}

impl Network {
    /// The range of the cluster's pods.
    pub fn pod_cidr(&self) -> Cidr {
        self.pod_cidr.unwrap_or(Cidr::new([10, 244, 0, 0], 16))
    }
}

impl Default for Network {
    fn default() -> Self {
        Network { pod_cidr: None, node_prefix: 24, service_cidr: Cidr::new([10, 96, 0, 0], 12), mode: NetworkMode::default() }
    }
}

impl Default for Node {
    fn default() -> Self {
        Node { name: String::new(), address: None, bridge: String::new(), cgroup: String::new(), max_pods: 110, labels: BTreeMap::new() }
    }
}

impl Default for Oidc {
    fn default() -> Self {
        Oidc {
            issuer: String::new(),
            audiences: Vec::new(),
            username_claim: "sub".into(),
            username_prefix: None,
            groups_claim: String::new(),
            groups_prefix: String::new(),
            required_claims: BTreeMap::new(),
            ca_file: String::new(),
            signing_algorithms: vec!["RS256".into()],
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Log { level: "info".into() }
    }
}

impl Config {
    /// Reads and checks a cluster file.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { file: path.display().to_string(), source })?;
        Config::parse(&path.display().to_string(), &text)
    }

    /// Parses and checks the text of a cluster file; `file` is for messages.
    pub fn parse(file: &str, text: &str) -> Result<Config, ConfigError> {
        if text.trim().is_empty() {
            return Ok(Config::default());
        }
        let document = serde_yaml::Deserializer::from_str(text);
        let config: Result<Option<Config>, _> = serde_path_to_error::deserialize(document);
        let config = config.map_err(|e| ConfigError::from_yaml(file, &e.path().to_string(), e.inner()))?;
        let config = config.unwrap_or_default();
        config.check(file)?;
        Ok(config)
    }

    /// What the types alone cannot say.
    fn check(&self, file: &str) -> Result<(), ConfigError> {
        let wrong = |field: &str, why: String| Err(ConfigError::Invalid { file: file.into(), field: field.into(), why });
        let network = &self.network;
        if network.node_prefix <= network.pod_cidr().prefix || network.node_prefix > 30 {
            let why = format!("must be between {} (more than podCidr's own) and 30", network.pod_cidr().prefix + 1);
            return wrong("network.nodePrefix", why);
        }
        if network.pod_cidr().overlaps(&network.service_cidr) {
            return wrong("network.serviceCidr", format!("overlaps podCidr {}", network.pod_cidr()));
        }
        if self.node.bridge.len() > 15 {
            return wrong("node.bridge", "a network interface's name has at most 15 bytes".into());
        }
        for (i, user) in self.users.iter().enumerate() {
            if user.name.is_empty() || user.token.len() < 8 {
                return wrong(&format!("users[{i}]"), "needs a name, and a token of at least 8 characters".into());
            }
        }
        let versions = [
            ("api.authenticationWebhook.version", &self.api.authentication_webhook.version),
            ("api.authorizationWebhook.version", &self.api.authorization_webhook.version),
        ];
        for (field, version) in versions {
            if !["v1", "v1beta1"].contains(&version.as_str()) {
                return wrong(field, format!("{version} is none of v1, v1beta1"));
            }
        }
        for (i, oidc) in self.oidc.iter().enumerate() {
            if !oidc.issuer.starts_with("https://") || oidc.audiences.is_empty() {
                return wrong(&format!("oidc[{i}]"), "needs an issuer that begins with https://, and audiences".into());
            }
            let known = ["RS256", "RS384", "RS512", "ES256", "ES384", "PS256", "PS384", "PS512"];
            if let Some(other) = oidc.signing_algorithms.iter().find(|a| !known.contains(&a.as_str())) {
                return wrong(&format!("oidc[{i}].signingAlgorithms"), format!("{other} is none of {}", known.join(", ")));
            }
        }
        Ok(())
    }
}
