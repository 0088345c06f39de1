use super::*;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

/// Three layers, each packed another way, with everything that one layer can do to those below.
fn layers() -> [Vec<u8>; 3] {
    let low = layer(&[
        ("etc/", Kind::Dir),
        ("etc/old", Kind::File("old")),
        ("etc/kept", Kind::File("low")),
        ("full/", Kind::Dir),
        ("full/one", Kind::File("1")),
        ("was-dir/", Kind::Dir),
        ("was-dir/x", Kind::File("x")),
    ]);
    let middle = layer(&[
        ("./etc/.wh.old", Kind::File("")),
        ("full/", Kind::Dir),
        ("full/two", Kind::File("2")),
        ("full/.wh..wh..opq", Kind::File("")),
        (".wh.was-dir", Kind::File("")),
        ("was-dir/", Kind::Dir),
        ("was-dir/y", Kind::File("y")),
        ("hard", Kind::Hard("full/two")),
        ("soft", Kind::Link("/etc/kept")),
        ("null", Kind::Device(1, 3)),
    ]);
    [low, middle, busybox()]
}

fn check_root(root: &Path) {
    let read = |name: &str| std::fs::read_to_string(root.join(name)).ok();
    assert_eq!(read("etc/old"), None, "a whiteout hides");
    assert_eq!(read("etc/kept").as_deref(), Some("low"));
    assert_eq!((read("full/one"), read("full/two").as_deref()), (None, Some("2")), "an opaque directory hides what is below");
    assert_eq!((read("was-dir/x"), read("was-dir/y").as_deref()), (None, Some("y")), "whiteout and new directory in one layer");
    let found = |name: &str| std::fs::symlink_metadata(root.join(name)).unwrap();
    assert_eq!(found("hard").ino(), found("full/two").ino());
    assert_eq!(std::fs::read_link(root.join("soft")).unwrap(), Path::new("/etc/kept"));
    assert!(found("null").file_type().is_char_device() && found("null").rdev() == nix::sys::stat::makedev(1, 3));
    let file = found("etc/kept");
    assert_eq!((file.mode() & 0o7777, file.uid(), file.gid(), file.mtime()), (0o4711, 12, 34, 1_000_000_000));
    assert_eq!(found(".").mode() & 0o777, 0o755);
    let run = std::process::Command::new(root.join("bin/busybox")).args(["echo", "runs"]).output().unwrap();
    assert_eq!(run.stdout, b"runs\n");
}

#[tokio::test]
async fn an_oci_archive_and_a_docker_archive_are_one_image() {
    let place = Place::new();
    let layers = layers();
    let diff_ids = layers.each_ref().map(|layer| digest(layer));
    let packed = [gzip(&layers[0]), zstd::encode_all(&layers[1][..], 1).unwrap(), layers[2].clone()];

    let layout = place.path("layout");
    oci_layout(&layout, "example.com/app:v1", &packed, &diff_ids);
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_dir_all(".", &layout).unwrap();
    std::fs::write(place.path("oci.tar.gz"), gzip(&tar.into_inner().unwrap())).unwrap();
    let [oci] = <[_; 1]>::try_from(place.images.import(&place.path("oci.tar.gz")).await.unwrap()).unwrap();
    assert_eq!((oci.names.clone(), oci.user.as_str()), (vec!["example.com/app:v1".to_owned()], "12"));
    assert_eq!(oci.id, digest(&config(&diff_ids)));

    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes).unwrap();
    };
    add("c.json", &config(&diff_ids));
    for (number, layer) in layers.iter().enumerate() {
        add(&format!("{number}/layer.tar"), layer);
    }
    let names = ["0/layer.tar", "1/layer.tar", "2/layer.tar"];
    let manifest = serde_json::json!([{"Config": "c.json", "RepoTags": ["app:docker"], "Layers": names}]);
    add("manifest.json", manifest.to_string().as_bytes());
    std::fs::write(place.path("docker.tar"), tar.into_inner().unwrap()).unwrap();
    let [docker] = <[_; 1]>::try_from(place.images.import(&place.path("docker.tar")).await.unwrap()).unwrap();
    assert_eq!(docker.id, oci.id);
    assert_eq!(docker.names, ["docker.io/library/app:docker", "example.com/app:v1"]);

    // A store opened again knows the same, and mounts it.
    let images = open(place.dir.path());
    let found = images.find("app:docker").unwrap();
    assert_eq!(found, docker);
    assert_eq!(images.find(&docker.id), Some(docker.clone()));
    assert_eq!(images.find(&oci.digests[0]), Some(docker.clone()));
    let said = images.config(&docker.id).unwrap();
    assert_eq!((said.cmd, said.env, said.working_dir), (vec!["/bin/busybox".into(), "sh".into()], vec!["A=b".into()], "/w".into()));
    assert_eq!(said.exposed, ["80/tcp"]);
    let container = place.path("container");
    let root = images.rootfs(&docker.id, &container).unwrap();
    check_root(&root);
    std::fs::write(root.join("etc/kept"), "changed").unwrap();
    assert_eq!(images.rootfs(&docker.id, &container).unwrap(), root, "mounting again changes nothing");
    let other = images.rootfs(&docker.id, &place.path("other")).unwrap();
    check_root(&other);
    for container in [&container, &container, &place.path("other")] {
        images.unmount_rootfs(container).unwrap();
    }
    assert!(!root.exists());

    let before = Place::new().contents().len();
    images.remove(&docker.id).await.unwrap();
    assert!(images.remove(&docker.id).await.is_err() && images.find("app:docker").is_none());
    assert_eq!(place.contents().len(), before, "an image takes everything of its own with it");
}

#[tokio::test]
async fn many_layers_fit_one_mount() {
    let place = Place::new();
    let layers: Vec<Vec<u8>> =
        (0..130).map(|n| layer(&[(&format!("f{n}"), Kind::File("x")), ("top", Kind::File(&n.to_string()))])).collect();
    let diff_ids: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
    oci_layout(&place.path("layout"), "many:1", &layers, &diff_ids);
    let images = place.images.import(&place.path("layout")).await.unwrap();
    let root = place.images.rootfs(&images[0].id, &place.path("c")).unwrap();
    assert_eq!(std::fs::read_to_string(root.join("top")).unwrap(), "129");
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 131);
    place.images.unmount_rootfs(&place.path("c")).unwrap();
}
