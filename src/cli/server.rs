//! Putting a server together: store, kinds, first objects, mesh, API, controllers; in that order, and torn down in reverse.
use super::CliError;
use super::admin::{admin_token, write_private};
use crate::actors::admission::{AdmissionChain, AdmissionSettings, ClusterServices, Plugins};
use crate::actors::aggregation::Aggregation;
use crate::actors::authority::tokens::{self, AccountTokens, TokenKeys};
use crate::actors::authority::{self, Authorizer, Rights};
use crate::actors::controllers::Heartbeats;
use crate::actors::controllers::custom_resources::{KindRegistry, register_stored};
use crate::actors::controllers::{self, ControllerSettings};
use crate::actors::kinds::{Kind, Kinds, NODE_PORTS, ServiceAddresses};
use crate::actors::mesh::{MeshServer, MeshServerConfig};
use crate::actors::scheduler::role::Rules;
use crate::actors::system::{ControlPlane, start_kinds};
use crate::config::{Api, Config};
use crate::http::api::{Documents, Gateway, Health, ServerState, app};
use crate::http::audit::{Audit, FileSettings, Policy, Sinks, WebhookSettings};
use crate::http::auth::oidc::Provider;
use crate::http::auth::webhook::{AccessWebhook, Caller, Lifetimes, TokenWebhook, Webhooks};
use crate::http::auth::{Access, Authenticator, MASTERS, StaticUser};
use crate::http::dashboard::Dashboard;
use crate::http::listener::{Listener, ListenerConfig, serve};
use crate::http::mesh_door::MeshDoor;
use crate::http::overload::Overload;
use crate::http::pods::PodStreams;
use crate::http::proxy::{Aggregator, Proxy};
use crate::protocol::light::Light;
use crate::protocol::openapi::ListRule;
use crate::protocol::status::ApiError;
use crate::storage::pki::{FRONT_PROXY_NAME, Pki, PkiConfig, SealingKeys};
use crate::storage::{Committer, DecisionLog, RedbStore, SealedStore, Store};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A running server.
pub struct Server {
    pub pki: Arc<Pki>,
    pub plane: ControlPlane,
    pub mesh: Arc<MeshServer>,
    pub url: String,
    listener: Listener,
    committer: Committer,
    committer_thread: JoinHandle<()>,
}

impl Server {
    /// Starts everything; returns when requests are answered.
    pub async fn start(config: &Config, data_dir: &Path, runtime: &tokio::runtime::Handle) -> Result<Server, CliError> {
        let scheduling = Arc::new(Rules::new(&config.scheduler).map_err(CliError::usage)?);
        let pki = Arc::new(open_pki(config, data_dir)?);
        let admin_token = admin_token(data_dir)?;
        let (committer, shelves, committer_thread) = open_store(data_dir)?;
        let authorizer = Authorizer::new(shelves.clone());
        let chosen = &config.api.admission;
        let plugins = Plugins::choose(&chosen.enable, &chosen.disable).map_err(|e| CliError::usage(format!("api.admission: {e}")))?;
        let services = Arc::new(ClusterServices::new(shelves.clone()));
        let settings = AdmissionSettings { plugins, authorizer: authorizer.clone(), services: services.clone() };
        let admission = AdmissionChain::new(&shelves, committer.clone(), settings);
        let plane = start_kinds(&committer, shelves.clone(), Rights::before(Arc::new(admission), authorizer.clone()));
        let seed = u64::from(std::process::id()) ^ shelves.committed();
        let addresses = ServiceAddresses::new(config.network.service_cidr, NODE_PORTS, seed);
        plane.kinds.allocate("services", Box::new(addresses)).map_err(CliError::failed)?;
        let registry = KindRegistry::new(plane.kinds.clone(), services.clone());
        register_stored(&registry);
        first_objects(&plane.kinds).await.map_err(|e| CliError::failed(format!("cannot write the first objects: {e}")))?;
        authority::bootstrap::reconcile(&plane.kinds)
            .await
            .map_err(|e| CliError::failed(format!("cannot write the default roles and bindings: {e}")))?;
        authorizer.refresh();
        let approving = authorizer.clone();
        let access = Arc::new(access(config, &pki, &plane, authorizer, &admin_token)?);
        authority::start(&plane.guardian, &plane.control, &plane.kinds, &access.authorizer);
        tokens::start(&plane.guardian, &plane.control, &plane.kinds, &access.tokens, pki.ca_pem());
        let aggregation = Aggregation::new(&plane.kinds.shelves, pki.front_proxy().clone());
        let decisions = DecisionLog::open(&data_dir.join("decisions.redb")).map_err(CliError::usage)?;
        let gateway = Gateway::new(plane.kinds.clone(), documents(config, &plane, &aggregation), access);
        let gateway = Arc::new(gateway.with_decisions(decisions.clone()));
        let metrics = gateway.metrics.clone();
        let heartbeats = Heartbeats::default();
        let mesh = MeshServer::bind(MeshServerConfig {
            address: SocketAddr::new(config.mesh.address, config.mesh.port),
            pki: pki.clone(),
            server: "server".into(),
            service: Arc::new(MeshDoor::new(gateway.clone(), heartbeats.clone())),
            runtime: runtime.clone(),
        })
        .map_err(|e| CliError::usage(format!("cannot open the mesh: {e}")))?;
        let mesh = Arc::new(mesh);
        metrics.start(&plane.guardian, &plane.control, mesh.clone());
        let pod_cidr = config.network.pod_cidr().to_string().parse().map_err(|e| CliError::usage(format!("network.podCidr: {e}")))?;
        let through_nodes = Arc::new(Proxy::new(gateway.clone(), PodStreams::new(gateway.clone(), mesh.clone())));
        aggregation.remote.dial_by(through_nodes.clone());
        services.dial_by(through_nodes);
        let listener = listen(config, data_dir, &pki, &plane, Aggregator::new(aggregation.clone()), gateway, mesh.clone()).await?;
        let settings = ControllerSettings {
            pod_cidr,
            ca: pki.ca_pem().to_string(),
            heartbeats: heartbeats.clone(),
            authorizer: approving,
            pki: pki.clone(),
            aggregation,
            decisions,
            metrics,
            bootstrap: bootstrap_settings(config, &pki, listener.address),
            event_ttl: (config.api.event_ttl > 0).then(|| Duration::from_secs(config.api.event_ttl)),
            scheduling,
        };
        controllers::start(&plane.guardian, &plane.control, &plane.kinds, &registry, &settings);
        let url = format!("https://{}", reachable(listener.address));
        write_private(&data_dir.join("admin.kubeconfig"), &pki.admin_kubeconfig(&url))?;
        tokio::spawn(keep_certificates(pki.clone()));
        Ok(Server { pki, plane, mesh, url, listener, committer, committer_thread })
    }

    /// Ends streams, closes the listener, and waits until everything acknowledged is on disk.
    pub async fn stop(self) {
        self.listener.stop().await;
        self.committer.stop();
        let thread = self.committer_thread;
        // The thread ends once its queue is empty; joining it blocks, so not on this one.
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }
}

/// How often certificates are looked at; they are renewed at two thirds of their life, months before their end.
const CERTIFICATE_CHECK: std::time::Duration = std::time::Duration::from_secs(12 * 3600);

/// Renews the server's certificate live, without a restart.
async fn keep_certificates(pki: Arc<Pki>) {
    let mut due = tokio::time::interval(CERTIFICATE_CHECK);
    loop {
        due.tick().await;
        match pki.renew_if_due(crate::protocol::time::now()) {
            Ok(true) => tracing::info!("the server's certificate was renewed"),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "the server's certificate could not be renewed"),
        }
    }
}

/// What the cluster keeps in place, and where its service `kubernetes` leads.
fn bootstrap_settings(config: &Config, pki: &Pki, listening: SocketAddr) -> controllers::bootstrap::Settings {
    controllers::bootstrap::Settings {
        service_range: config.network.service_cidr.to_string(),
        service_address: config.network.service_cidr.nth(1),
        api_addresses: vec![reachable(listening).ip()],
        api_port: listening.port(),
        client_ca: pki.ca_pem().into(),
        request_header_ca: pki.front_proxy().ca_pem().into(),
        request_header_name: FRONT_PROXY_NAME.into(),
    }
}

/// The address as somebody on this machine reaches it.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = if address.ip().is_unspecified() { IpAddr::from([127, 0, 0, 1]) } else { address.ip() };
    SocketAddr::new(ip, address.port())
}

fn open_pki(config: &Config, data_dir: &Path) -> Result<Pki, CliError> {
    let (mut server_names, mut server_ips) = (Vec::new(), vec![IpAddr::V4(config.network.service_cidr.nth(1)), config.api.address]);
    for name in &config.api.names {
        match name.parse::<IpAddr>() {
            Ok(address) => server_ips.push(address),
            Err(_) => server_names.push(name.clone()),
        }
    }
    server_ips.push(config.mesh.address);
    server_ips.retain(|ip| !ip.is_unspecified());
    let pki = PkiConfig { cluster_name: config.cluster.name.clone(), server_names, server_ips };
    Pki::open_or_create(&data_dir.join("pki"), pki).map_err(CliError::usage)
}

/// What is encrypted at rest.
const ENCRYPTED: &[&str] = &["secrets"];

fn open_store(data_dir: &Path) -> Result<(Committer, Arc<crate::storage::Shelves>, JoinHandle<()>), CliError> {
    let keys = SealingKeys::open_or_create(&data_dir.join("pki")).map_err(CliError::usage)?;
    let store = RedbStore::open(&data_dir.join("store.redb")).map_err(CliError::usage)?;
    let store: Box<dyn Store> = Box::new(SealedStore::new(store, keys, ENCRYPTED));
    Committer::start(store, lights()).map_err(CliError::usage)
}

/// Makes the light index of stored objects, for every kind that has one; objects of others are not even parsed.
fn lights() -> impl Fn(&str, &[u8]) -> Light + Send + 'static {
    let indexed = |kind: &&'static Kind| kind.view.is_none() && !matches!((kind.rules.light)(&Value::Null), Light::None);
    let kinds: HashMap<String, &'static Kind> =
        crate::actors::kinds::all().into_iter().filter(indexed).map(|kind| (kind.shelf(), kind)).collect();
    move |shelf, body| match (kinds.get(shelf), kinds.contains_key(shelf).then(|| serde_json::from_slice::<Value>(body))) {
        (Some(kind), Some(Ok(object))) => (kind.rules.light)(&object),
        _ => Light::None,
    }
}

/// What every cluster has from the start.
async fn first_objects(kinds: &Kinds) -> Result<(), ApiError> {
    let served = kinds.find("", "namespaces").ok_or_else(|| ApiError::internal("namespaces are not served"))?;
    for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        let key = crate::protocol::meta::ObjectKey::new("", name);
        if served.shelf.snapshot().get(&key).is_some() {
            continue;
        }
        let body = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        kinds.create(&served, "", body, false).await?;
    }
    Ok(())
}

/// Who somebody is, and what they may do.
fn access(config: &Config, pki: &Pki, plane: &ControlPlane, authorizer: Arc<Authorizer>, admin_token: &str) -> Result<Access, CliError> {
    let shelves = plane.kinds.shelves.clone();
    let issuer = format!("https://kubernetes.default.svc.{}", config.cluster.domain);
    let keys = TokenKeys::new(pki.service_account_key_pem(), issuer).map_err(|e| CliError::usage(format!("pki/sa.key: {e}")))?;
    let tokens = Arc::new(AccountTokens::new(keys, shelves.clone()));
    let mut users: Vec<StaticUser> =
        config.users.iter().map(|u| StaticUser { token: u.token.clone(), name: u.name.clone(), groups: u.groups.clone() }).collect();
    users.push(StaticUser { token: admin_token.into(), name: "kubernetes-admin".into(), groups: vec![MASTERS.into()] });
    let providers: Vec<Arc<Provider>> = config.oidc.iter().cloned().map(Provider::new).collect();
    for provider in &providers {
        tokio::spawn(provider.clone().keep_keys());
    }
    let webhooks = webhooks(&config.api)?;
    if let Some(access) = &webhooks.access {
        authorizer.ask_elsewhere(access.clone());
    }
    let authenticator = Authenticator::new(users)
        .with_accounts(tokens.clone())
        .with_bootstrap_tokens(shelves.shelf("secrets"))
        .with_providers(providers)
        .with_webhook(webhooks.tokens.clone());
    Ok(Access { authenticator, authorizer, tokens, webhooks })
}

/// The servers that know users and rights, as far as the cluster file names any.
fn webhooks(api: &Api) -> Result<Webhooks, CliError> {
    let caller = |field: &str, path: &Path| -> Result<Option<Caller>, CliError> {
        if path.as_os_str().is_empty() {
            return Ok(None);
        }
        Caller::from_kubeconfig(path).map(Some).map_err(|e| CliError::usage(format!("{field}: {e}")))
    };
    let (known, allowed) = (&api.authentication_webhook, &api.authorization_webhook);
    let life =
        Lifetimes { authorized: Duration::from_secs(allowed.authorized_ttl), unauthorized: Duration::from_secs(allowed.unauthorized_ttl) };
    let tokens = caller("api.authenticationWebhook.kubeconfig", &known.kubeconfig)?;
    let access = caller("api.authorizationWebhook.kubeconfig", &allowed.kubeconfig)?;
    Ok(Webhooks {
        tokens: tokens.map(|c| Arc::new(TokenWebhook::new(c, &known.version, Duration::from_secs(known.cache_ttl)))),
        access: access.map(|c| Arc::new(AccessWebhook::new(c, &allowed.version, life))),
    })
}

fn documents(config: &Config, plane: &ControlPlane, aggregation: &Arc<Aggregation>) -> Documents {
    let health = Arc::new(ServerHealth { kinds: plane.kinds.clone(), registry: plane.guardian.registry().clone() });
    let server_address = format!("{}:{}", config.api.address, config.api.port);
    Documents::new(plane.kinds.clone(), list_rule, server_address, health).with_aggregation(aggregation.clone())
}

async fn listen(
    config: &Config,
    data_dir: &Path,
    pki: &Arc<Pki>,
    plane: &ControlPlane,
    aggregator: Aggregator,
    gateway: Arc<Gateway>,
    mesh: Arc<MeshServer>,
) -> Result<Listener, CliError> {
    let stop = CancellationToken::new();
    let state = Arc::new(ServerState {
        pods: PodStreams::new(gateway.clone(), mesh.clone()),
        proxy: Proxy::new(gateway.clone(), PodStreams::new(gateway.clone(), mesh.clone())),
        aggregator,
        overload: Overload::default(),
        audit: open_audit(config, data_dir)?,
        dashboard: Dashboard::new(gateway.clone(), plane.guardian.registry().clone(), mesh, stop.clone()),
        gateway,
        stop: stop.clone(),
    });
    let listener = ListenerConfig {
        address: SocketAddr::new(config.api.address, config.api.port),
        workers: config.api.workers,
        tls: pki.https_server_config().map_err(CliError::failed)?,
        stop,
    };
    serve(listener, move || app(state.clone()))
        .await
        .map_err(|e| CliError::usage(format!("{e}; stop the other process, or choose another port with --api-port")))
}

/// The audit log, when the cluster file names a policy.
fn open_audit(config: &Config, data_dir: &Path) -> Result<Option<Audit>, CliError> {
    let settings = &config.api.audit;
    if settings.policy.as_os_str().is_empty() {
        return Ok(None);
    }
    let name = settings.policy.display().to_string();
    let told = |e: std::io::Error| CliError::usage(format!("api.audit.policy: {name}: {e}"));
    let policy = Policy::parse(&name, &std::fs::read_to_string(&settings.policy).map_err(told)?);
    let policy = policy.map_err(|e| CliError::usage(format!("api.audit.policy: {e}")))?;
    let path = if settings.file.as_os_str().is_empty() { data_dir.join("audit.log") } else { settings.file.clone() };
    let shown = path.display().to_string();
    let mut sinks = Sinks::default();
    let file = FileSettings { path, max_bytes: settings.max_size.max(1) * 1024 * 1024, backups: settings.backups };
    sinks.add_file(file).map_err(|e| CliError::usage(format!("api.audit.file: {shown}: {e}")))?;
    if !settings.webhook.as_os_str().is_empty() {
        let told = |e: String| CliError::usage(format!("api.audit.webhook: {e}"));
        let caller = Caller::from_kubeconfig(&settings.webhook).map_err(|e| told(e.to_string()))?;
        // A runtime of its own: the last events are posted while the server's is about to end.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| told(e.to_string()))?;
        let post = Box::new(move |body: Vec<u8>| runtime.block_on(caller.post(body)).map(|_| ()));
        sinks.add_webhook(WebhookSettings { post }).map_err(|e| told(e.to_string()))?;
    }
    Ok(Some(Audit::new(policy, sinks)))
}

/// What `/readyz` and `/metrics` say.
struct ServerHealth {
    kinds: Arc<Kinds>,
    registry: crate::actors::base::Registry,
}

impl Health for ServerHealth {
    fn checks(&self) -> Vec<(&'static str, Result<(), String>)> {
        let committed = self.kinds.shelves.committed();
        let store = if committed > 0 { Ok(()) } else { Err("nothing was committed yet".to_string()) };
        vec![("store", store)]
    }

    fn metrics(&self) -> String {
        crate::http::api::metrics_text(&self.kinds, &self.registry)
    }
}

/// Upstream's merge keys, for the published schema.
fn list_rule(type_name: &str, field: &str) -> Option<ListRule> {
    let rule = crate::protocol::patch::list_rule(type_name, field)?;
    let extension = |name: &str| rule.list_type.map(|t| t.extension()).filter(|(key, _)| *key == name).map_or("", |(_, value)| value);
    Some(ListRule {
        patch_strategy: rule.strategy.map_or("", |s| s.as_str()),
        merge_key: rule.merge_key.unwrap_or_default(),
        list_type: extension("x-kubernetes-list-type"),
        map_keys: &rule.list_map_keys,
        map_type: extension("x-kubernetes-map-type"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A restarted server must know of its objects what the one that wrote them knew.
    #[test]
    fn objects_that_are_loaded_have_the_index_that_they_were_written_with() {
        let light = lights();
        for kind in crate::actors::kinds::all().into_iter().filter(|kind| kind.view.is_none()) {
            let object =
                json!({"kind": kind.resource.kind, "spec": {"replicas": 3, "selector": {"matchLabels": {"a": "b"}}, "nodeName": "n"}});
            let (loaded, written) = (light(&kind.shelf(), object.to_string().as_bytes()), (kind.rules.light)(&object));
            assert_eq!(format!("{loaded:?}"), format!("{written:?}"), "{}", kind.shelf());
        }
    }
}
