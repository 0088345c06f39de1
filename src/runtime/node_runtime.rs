//! The real runtime of a node: images, sandboxes, network and containers behind the one trait that the node's actors use.
use super::api::{
    Container, ContainerExited, ContainerPhase, ContainerSpec, ExecSpec, Image, RegistryAuth, Result, Runtime, RuntimeError, Sandbox,
    SandboxSpec, Session, Usage,
};
use super::containers::{self, Containers, PidNamespace};
use super::images::{Images, MirrorRule};
use super::network::{Backend, Cidr, Network, NetworkConfig};
use super::sandbox::{SandboxPaths, Sandboxes};
use async_trait::async_trait;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{OnceCell, mpsc};

/// Where a node keeps things, and what its things are called.
#[derive(Clone, Debug)]
pub struct NodeRuntimeConfig {
    pub data_dir: PathBuf,
    /// At most 15 bytes; the nftables table is named after it.
    pub bridge: String,
    /// `/impresario-1a2b`: pods' cgroups lie below it.
    pub cgroup: String,
    /// All pods' addresses, of every node.
    pub cluster_cidr: crate::protocol::net::Cidr,
    /// The node's own address.
    pub address: IpAddr,
    pub vxlan: bool,
    /// Image names that are taken from elsewhere: from, to.
    pub mirrors: Vec<(String, String)>,
    pub insecure_registries: Vec<String>,
    /// This executable.
    pub program: PathBuf,
}

/// See the module. Clones are the same.
#[derive(Clone)]
pub struct NodeRuntime {
    inner: Arc<Inner>,
}

struct Inner {
    config: NodeRuntimeConfig,
    images: Images,
    containers: Containers,
    /// Made when the cluster has given this node its part of the pods' addresses.
    pods: OnceCell<Pods>,
}

/// What there is once the network is known.
struct Pods {
    sandboxes: Sandboxes,
    network: Arc<Network>,
}

/// What the documents call their application, and what serves it here.
const BUILT_IN: (&str, &str) = ("docker.io/luksa/kubia", "impresario.local/kubia");

impl NodeRuntime {
    /// Opens the node's state; nothing runs yet, and what runs from before goes on.
    pub async fn new(config: NodeRuntimeConfig) -> Result<NodeRuntime> {
        let mut mirrors = vec![MirrorRule { from: BUILT_IN.0.into(), to: BUILT_IN.1.into() }];
        mirrors.extend(config.mirrors.iter().map(|(from, to)| MirrorRule { from: from.clone(), to: to.clone() }));
        let images =
            Images::with_insecure(config.data_dir.join("images"), mirrors, config.program.clone(), config.insecure_registries.clone());
        let images = images.map_err(RuntimeError::from)?;
        let containers = Containers::new(config.data_dir.join("containers"), config.cgroup.clone(), config.program.clone());
        Ok(NodeRuntime { inner: Arc::new(Inner { config, images, containers, pods: OnceCell::new() }) })
    }

    /// The node's part of the pods' addresses is known: makes the network. A second call changes nothing.
    pub async fn set_pod_cidr(&self, cidr: &str) -> Result<()> {
        let part: Cidr = cidr.parse().map_err(|e| network_error(format!("podCIDR {cidr}: {e}")))?;
        self.inner.pods.get_or_try_init(|| self.open(part)).await.map(|_| ())
    }

    /// The other nodes, by their part of the pods' addresses and their own address.
    pub async fn set_peers(&self, peers: &[(String, IpAddr)]) -> Result<()> {
        let network = &self.pods()?.network;
        for (cidr, address) in peers {
            let (Ok(cidr), IpAddr::V4(address)) = (cidr.parse::<Cidr>(), address) else { continue };
            network.ensure_peer(cidr, *address).await?;
        }
        Ok(())
    }

    /// The node's images, for those who bring some in.
    pub fn image_store(&self) -> &Images {
        &self.inner.images
    }

    /// Removes every container, pod and trace of the network.
    pub async fn purge(&self) -> Result<()> {
        for container in self.inner.containers.scan().await? {
            if let ContainerPhase::Running { pid, .. } = container.phase {
                let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
            }
        }
        let mut exits = self.inner.containers.exits();
        let running = |list: Vec<Container>| list.into_iter().any(|c| matches!(c.phase, ContainerPhase::Running { .. }));
        while running(self.inner.containers.scan().await?) {
            if exits.recv().await.is_none() {
                break;
            }
        }
        for container in self.inner.containers.scan().await? {
            self.remove_container(&container.spec.id).await?;
        }
        let part = Cidr::new(self.inner.config.cluster_cidr.address, 24).ok_or_else(|| network_error("no pod network"))?;
        let pods = self.inner.pods.get_or_try_init(|| self.open(part)).await?;
        for sandbox in pods.sandboxes.list().await? {
            pods.sandboxes.remove(&sandbox.spec.uid).await?;
        }
        pods.network.purge().await?;
        super::containers::remove_cgroup_tree(&self.inner.config.cgroup);
        Ok(())
    }

    async fn open(&self, part: Cidr) -> Result<Pods> {
        let config = &self.inner.config;
        let IpAddr::V4(address) = config.address else { return Err(network_error("the node needs an IPv4 address")) };
        let cluster = Cidr::new(config.cluster_cidr.address, config.cluster_cidr.prefix).ok_or_else(|| network_error("bad pod network"))?;
        let mut network = NetworkConfig::new(&config.bridge, part, cluster, address, config.data_dir.join("network"));
        if config.vxlan {
            network.backend = Backend::Vxlan;
        }
        let network = Arc::new(Network::new(network).await?);
        let place = config.data_dir.join("sandboxes");
        let sandboxes = Sandboxes::new(place, network.clone(), config.cgroup.trim_start_matches('/'), config.program.clone())?;
        Ok(Pods { sandboxes, network })
    }

    /// What a container joins.
    async fn places(&self, pod_uid: &str) -> Result<containers::SandboxPaths> {
        let sandboxes = &self.pods()?.sandboxes;
        let gone = || RuntimeError::new("CreateContainerError", format!("pod {pod_uid} has no sandbox"));
        let paths: SandboxPaths = sandboxes.paths(pod_uid).ok_or_else(gone)?;
        let host_pid = sandboxes.list().await?.iter().any(|s| s.spec.uid == pod_uid && s.spec.host_pid);
        let pid = match paths.pid {
            Some(path) => PidNamespace::Shared(path),
            None if host_pid => PidNamespace::Host,
            None => PidNamespace::Own,
        };
        Ok(containers::SandboxPaths {
            net: paths.net,
            ipc: paths.ipc,
            uts: paths.uts,
            pid,
            shm: paths.shm,
            hosts: paths.hosts,
            resolv_conf: paths.resolv_conf,
            hostname: paths.hostname,
            cgroup: paths.cgroup,
        })
    }

    fn pods(&self) -> Result<&Pods> {
        self.inner
            .pods
            .get()
            .ok_or_else(|| RuntimeError::new("NetworkNotReady", "the node has no pod network yet: it waits for spec.podCIDR"))
    }

    fn container_dir(&self, id: &str) -> PathBuf {
        self.inner.config.data_dir.join("rootfs").join(id)
    }
}

fn network_error(error: impl std::fmt::Display) -> RuntimeError {
    RuntimeError::new("NetworkError", error)
}

#[async_trait]
impl Runtime for NodeRuntime {
    async fn create_sandbox(&self, spec: SandboxSpec) -> Result<Sandbox> {
        Ok(self.pods()?.sandboxes.create(spec).await?)
    }

    async fn remove_sandbox(&self, pod_uid: &str) -> Result<()> {
        Ok(self.pods()?.sandboxes.remove(pod_uid).await?)
    }

    async fn sandboxes(&self) -> Result<Vec<Sandbox>> {
        match self.inner.pods.get() {
            Some(pods) => Ok(pods.sandboxes.list().await?),
            None => Ok(Vec::new()),
        }
    }

    async fn image(&self, name: &str) -> Result<Option<Image>> {
        Ok(self.inner.images.find(name))
    }

    async fn pull_image(&self, name: &str, auth: Option<RegistryAuth>) -> Result<Image> {
        Ok(self.inner.images.pull(name, auth).await?)
    }

    async fn images(&self) -> Result<Vec<Image>> {
        Ok(self.inner.images.list())
    }

    async fn start_container(&self, spec: ContainerSpec) -> Result<i32> {
        let paths = self.places(&spec.pod_uid).await?;
        let (images, image_id, directory) = (self.inner.images.clone(), spec.image_id.clone(), self.container_dir(&spec.id));
        let prepare = move || -> Result<_> {
            std::fs::create_dir_all(&directory)
                .map_err(|e| RuntimeError::new("CreateContainerError", format!("{}: {e}", directory.display())))?;
            Ok((images.config(&image_id)?, images.rootfs(&image_id, &directory)?))
        };
        let prepared = tokio::task::spawn_blocking(prepare).await;
        let (image, rootfs) = prepared.unwrap_or_else(|e| Err(RuntimeError::new("CreateContainerError", e)))?;
        self.inner.containers.start(spec, image, rootfs, paths).await
    }

    async fn signal_container(&self, id: &str, signal: i32) -> Result<()> {
        self.inner.containers.signal(id, signal)
    }

    async fn remove_container(&self, id: &str) -> Result<()> {
        let (images, directory) = (self.inner.images.clone(), self.container_dir(id));
        let unmounted = tokio::task::spawn_blocking(move || -> Result<()> {
            images.unmount_rootfs(&directory)?;
            let _ = std::fs::remove_dir_all(&directory);
            Ok(())
        });
        unmounted.await.unwrap_or_else(|e| Err(RuntimeError::new("RemoveContainerError", e)))?;
        self.inner.containers.remove(id).await
    }

    async fn containers(&self) -> Result<Vec<Container>> {
        self.inner.containers.scan().await
    }

    fn exits(&self) -> mpsc::Receiver<ContainerExited> {
        self.inner.containers.exits()
    }

    async fn exec(&self, id: &str, spec: ExecSpec) -> Result<Session> {
        self.inner.containers.exec(id, spec).await
    }

    async fn attach(&self, id: &str) -> Result<Session> {
        self.inner.containers.attach(id).await
    }

    async fn dial(&self, pod_uid: &str, port: u16) -> Result<tokio::net::TcpStream> {
        let refused = |e: std::io::Error| RuntimeError::new("PortForwardError", format!("failed to connect to localhost:{port}: {e}"));
        let connect = move || std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port));
        let netns = self.pods()?.sandboxes.paths(pod_uid).and_then(|p| p.net);
        let connected = tokio::task::spawn_blocking(move || match netns {
            Some(netns) => super::network::in_netns(&netns, connect),
            None => connect(),
        });
        let stream = connected.await.map_err(|e| refused(std::io::Error::other(e)))?.map_err(refused)?;
        stream.set_nonblocking(true).map_err(refused)?;
        tokio::net::TcpStream::from_std(stream).map_err(refused)
    }

    async fn usage(&self, id: &str) -> Result<Usage> {
        self.inner.containers.usage(id).await
    }
}
