use super::*;
use std::process::{Child, Command, Stdio};

/// A registry on loopback, ended by its process id.
pub struct Registry {
    child: Child,
    pub port: u16,
    log: PathBuf,
}

impl Registry {
    pub fn start(dir: &Path) -> Registry {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "version: 0.1\nlog: {{accesslog: {{disabled: false}}}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: 127.0.0.1:{port}}}\n",
            dir.join("registry").display()
        );
        std::fs::write(dir.join("registry.yml"), config).unwrap();
        let log = dir.join("registry.log");
        let out = std::fs::File::create(&log).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(dir.join("registry.yml"))
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .expect("docker-registry is installed");
        let registry = Registry { child, port, log };
        for _ in 0..500 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return registry;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("the registry does not answer");
    }

    fn push(&self, layout: &Path, name: &str) {
        self.copy(&format!("oci:{}", layout.display()), name);
    }

    /// Takes in an image from where skopeo finds it.
    pub fn copy(&self, from: &str, name: &str) {
        let done = Command::new("skopeo")
            .args(["--insecure-policy", "copy", "--dest-tls-verify=false"])
            .arg(from)
            .arg(format!("docker://localhost:{}/{name}", self.port))
            .stdout(Stdio::null())
            .status();
        assert!(done.expect("skopeo is installed").success());
    }

    /// How often a blob was asked for.
    fn blob_requests(&self) -> usize {
        let log = std::fs::read_to_string(&self.log).unwrap();
        log.lines().filter(|line| line.contains("\"GET /v2/") && line.contains("/blobs/sha256:")).count()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pulls_are_shared_and_layers_are_fetched_once() {
    let place = Place::new();
    let registry = Registry::start(place.dir.path());
    let (low, high) = (busybox(), layer(&[("hello", Kind::File("hello"))]));
    let packed = [gzip(&low), gzip(&high)];
    oci_layout(&place.path("layout"), "x:1", &packed, &[digest(&low), digest(&high)]);
    registry.push(&place.path("layout"), "team/app:v1");
    oci_layout(&place.path("layout2"), "x:2", &packed[..1], &[digest(&low)]);
    registry.push(&place.path("layout2"), "team/app:v2");
    let before = registry.blob_requests();

    let name = format!("localhost:{}/team/app", registry.port);
    let (v1, v2) = (format!("{name}:v1"), format!("{name}:v2"));
    let pulls = futures_util::future::join_all((0..8).map(|_| place.images.pull(&v1, None))).await;
    let pulled = pulls[0].clone().unwrap();
    assert!(pulls.into_iter().all(|pull| pull.as_ref() == Ok(&pulled)));
    assert_eq!(pulled.names, [v1.as_str()]);
    assert_eq!(registry.blob_requests() - before, 3, "one configuration and two layers, once");

    let second = place.images.pull(&v2, None).await.unwrap();
    assert_eq!(registry.blob_requests() - before, 4, "a layer on the node is not fetched again");
    let root = place.images.rootfs(&pulled.id, &place.path("c")).unwrap();
    assert_eq!(std::fs::read_to_string(root.join("hello")).unwrap(), "hello");
    place.images.unmount_rootfs(&place.path("c")).unwrap();
    place.images.remove(&pulled.id).await.unwrap();
    let root = place.images.rootfs(&second.id, &place.path("c")).unwrap();
    assert!(root.join("bin/busybox").exists(), "a shared layer stays");
    place.images.unmount_rootfs(&place.path("c")).unwrap();

    let by_digest = second.digests[0].clone();
    assert_eq!(place.images.pull(&by_digest, None).await.unwrap().id, second.id);

    let error = place.images.pull(&format!("{name}:nosuch"), None).await.unwrap_err();
    let wanted = format!(
        "failed to pull and unpack image \"{name}:nosuch\": failed to resolve reference \"{name}:nosuch\": {name}:nosuch: not found"
    );
    assert_eq!(error.to_string(), wanted);
    assert_eq!(impresario::runtime::api::RuntimeError::from(error).reason, "ErrImagePull");
}

#[tokio::test]
async fn a_registry_that_lies_or_is_not_there() {
    let place = Place::new();
    let registry = Registry::start(place.dir.path());
    let (good, other) = (layer(&[("a", Kind::File("a"))]), layer(&[("a", Kind::File("b"))]));
    oci_layout(&place.path("layout"), "x:1", std::slice::from_ref(&good), &[digest(&good)]);
    registry.push(&place.path("layout"), "liar:v1");
    let hex = digest(&gzip_of_pushed(place.dir.path(), &good))[7..].to_owned();
    let blob = place.path("registry/docker/registry/v2/blobs/sha256").join(&hex[..2]).join(&hex).join("data");
    std::fs::write(&blob, &other).unwrap();
    let before = place.contents();
    let name = format!("localhost:{}/liar:v1", registry.port);
    let error = place.images.pull(&name, None).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("failed to pull and unpack image \"{name}\": ")), "{error}");
    // The configuration was not entered and no layer remains.
    assert_eq!(place.contents(), before, "{error}");

    drop(registry);
    let error = place.images.pull(&name, None).await.unwrap_err().to_string();
    assert!(error.contains("refused"), "{error}");
}

/// The layer as the registry keeps it: skopeo pushes a plain layer compressed or as it is, so the stored one is looked up.
fn gzip_of_pushed(dir: &Path, plain: &[u8]) -> Vec<u8> {
    let mut stack = vec![dir.join("registry/docker/registry/v2/blobs/sha256")];
    while let Some(path) = stack.pop() {
        if path.is_dir() {
            stack.extend(std::fs::read_dir(path).unwrap().map(|e| e.unwrap().path()));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let mut unpacked = Vec::new();
        let is_gzip = std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut unpacked).is_ok();
        if bytes == plain || (is_gzip && unpacked == plain) {
            return bytes;
        }
    }
    panic!("the layer is not in the registry");
}
