//! Images that do not exist, lie about their content, or are not images at all.
use crate::cluster::shared;
use crate::kubectl::newest;
use crate::run::wait_for;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

#[test]
fn an_image_that_does_not_exist() {
    let kubectl = shared().kubectl(newest(), "missing-image");
    kubectl.make_namespace();
    // Nothing listens there: the pull fails at once, without the outside world.
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: lost}, spec: {containers: [{name: a, image: '127.0.0.1:9/no/such:1'}]}}";
    kubectl.feed("create", pod).ok();
    for reason in ["ErrImagePull", "ImagePullBackOff"] {
        wait_for(reason, SOON, || kubectl.ok("get pod lost").contains(reason).then_some(()));
    }
    let described = kubectl.ok("describe pod lost");
    for word in ["127.0.0.1:9/no/such:1", "Failed", "BackOff", "Failed to pull image"] {
        assert!(described.contains(word), "no {word} in\n{described}");
    }
    let said = kubectl.run("logs lost").refused();
    assert!(said.contains("is waiting to start"), "{said}");
    kubectl.feed("create", &pod.replace("lost", "odd").replace("127.0.0.1:9/no/such:1", "Not A Name!")).ok();
    wait_for("InvalidImageName", SOON, || kubectl.ok("get pod odd").contains("InvalidImageName").then_some(()));
    kubectl.feed("create", &pod.replace("lost", "never").replace("image:", "imagePullPolicy: Never, image:")).ok();
    wait_for("ErrImageNeverPull", SOON, || kubectl.ok("get pod never").contains("ErrImageNeverPull").then_some(()));
    kubectl.ok("delete pod --all --timeout=30s");
    kubectl.drop_namespace();
}

#[test]
fn archives_that_are_no_images() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("write a file");
        path.display().to_string()
    };
    let good = std::fs::read(shared().scratch().join("busybox-oci.tar")).expect("the good archive");
    let mut lying = good.clone();
    // In the middle of the compressed layer.
    let middle = lying.len() / 2;
    lying[middle..middle + 8].copy_from_slice(b"\0lies!!\0");
    for (path, word) in [
        (file("text.tar", b"not an archive"), "text.tar"),
        (file("empty.tar", &[0; 1024]), "empty.tar"),
        (file("cut.tar", &good[..good.len() / 2]), "cut.tar"),
        (file("lying.tar", &lying), "digest"),
        ("/no/such/file.tar".to_string(), "/no/such/file.tar"),
    ] {
        let run = shared().impresario(&format!("image import {path}"));
        assert!(run.code.is_some_and(|c| c != 0) && run.stderr.contains(word), "no \"{word}\" in {run}");
        assert!(!run.stderr.contains("panicked"), "{run}");
    }
    assert!(shared().impresario("image list").ok().contains(crate::busybox::IMAGE));
}
