//! Claims and volumes with real containers: on a node's directories, chosen at once or by the scheduler, of pods and of sets; and
//! claims on devices, which no driver prepares here.
use crate::busybox::IMAGE;
use crate::cluster::shared;
use crate::kubectl::{Kubectl, newest};
use crate::run::wait_for;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

/// A namespace and a storage class of one's own, which also names the volumes.
struct Scene {
    kubectl: Kubectl<'static>,
    class: String,
}

impl Scene {
    fn new(name: &str) -> Scene {
        let kubectl = shared().kubectl(newest(), &format!("volumes-{name}"));
        kubectl.make_namespace();
        Scene { class: kubectl.namespace.clone(), kubectl }
    }

    fn create(&self, object: &Value) {
        self.kubectl.feed("create", &object.to_string()).ok();
    }

    /// A directory of the node.
    fn directory(&self, name: &str) -> PathBuf {
        let directory = shared().scratch().join(&self.class).join(name);
        std::fs::create_dir_all(&directory).expect("a directory");
        directory
    }

    /// A volume called after the scene; `more` goes into its spec.
    fn volume(&self, name: &str, more: Value) {
        let mut spec = json!({"capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": self.class});
        merge(&mut spec, more);
        let name = format!("{}-{name}", self.class);
        self.create(&json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name, "labels": {"scene": self.class}}, "spec": spec}));
    }

    /// One that is a directory of the only node.
    fn local(&self, name: &str) {
        let host = self.kubectl.ok("get nodes -o jsonpath={.items[0].metadata.name}");
        let terms = json!([{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [host]}]}]);
        let affinity = json!({"required": {"nodeSelectorTerms": terms}});
        self.volume(name, json!({"local": {"path": self.directory(name)}, "nodeAffinity": affinity}));
    }

    /// The scene's class, whose volumes nobody makes.
    fn class(&self, mode: &str) {
        self.create(&json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": self.class},
            "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": mode, "allowVolumeExpansion": true}));
    }

    fn claim(&self, name: &str) -> Value {
        let spec = json!({"accessModes": ["ReadWriteOnce"], "storageClassName": self.class, "resources": {"requests": {"storage": "1Gi"}}});
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec})
    }

    /// A pod that runs a shell line with a volume at `/data`.
    fn pod(&self, name: &str, line: &str, source: Value) -> Value {
        let mut volume = source;
        volume["name"] = "data".into();
        let container = json!({"name": "c", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", line],
            "volumeMounts": [{"name": "data", "mountPath": "/data"}]});
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container], "volumes": [volume]}})
    }

    /// Waits until an object has a phase.
    fn phase(&self, what: &str, phase: &str) -> Value {
        let mut last = Value::Null;
        let object = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for(&format!("{what} is {phase}"), SOON, || {
                last = serde_json::from_str(&self.kubectl.run(&format!("get {what} -o json")).stdout).unwrap_or_default();
                (last["status"]["phase"] == phase).then(|| last.clone())
            })
        }));
        object.unwrap_or_else(|_| panic!("{what} is not {phase}: {last:#}\n{}", self.kubectl.run("get events").stdout))
    }

    /// The words of an event, once there is one.
    fn event(&self, about: &str, reason: &str) -> String {
        wait_for(&format!("{about} has an event {reason}"), SOON, || {
            let list = self.kubectl.json("get events");
            let found = list["items"].as_array()?.iter().find(|e| e["involvedObject"]["name"] == about && e["reason"] == reason)?.clone();
            found["message"].as_str().map(String::from)
        })
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.kubectl.run("delete pods --all --force --grace-period=0 --wait=false");
        self.kubectl.run(&format!("delete namespace {} --wait=false", self.kubectl.namespace));
        self.kubectl.run(&format!("delete pv -l scene={} --wait=false", self.class));
        self.kubectl.run(&format!("delete storageclass {} --ignore-not-found", self.class));
    }
}

fn merge(target: &mut Value, more: Value) {
    for (key, value) in more.as_object().into_iter().flatten() {
        target[key] = value.clone();
    }
}

fn claimed(name: &str) -> Value {
    json!({"persistentVolumeClaim": {"claimName": name}})
}

/// The columns of one line of `kubectl get`.
fn columns(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[test]
fn what_one_pod_writes_another_reads() {
    let scene = Scene::new("static");
    scene.volume("a", json!({"hostPath": {"path": scene.directory("a"), "type": "Directory"}}));
    scene.create(&scene.claim("data"));
    scene.phase("pvc data", "Bound");
    scene.create(&scene.pod("writer", "echo kept > /data/file", claimed("data")));
    scene.phase("pod writer", "Succeeded");
    let mut reader = scene.pod("reader", "cat /data/file; touch /data/x", claimed("data"));
    reader["spec"]["volumes"][0]["persistentVolumeClaim"]["readOnly"] = true.into();
    scene.create(&reader);
    scene.phase("pod reader", "Failed");
    let said = scene.kubectl.ok("logs reader");
    assert!(said.starts_with("kept\n") && said.contains("Read-only file system"), "{said}");

    let (name, class) = (format!("{}-a", scene.class), scene.class.as_str());
    let volume = scene.kubectl.ok(&format!("get pv {name} --no-headers"));
    let bound = format!("{}/data", scene.kubectl.namespace);
    assert_eq!(columns(&volume)[..7], [&name, "2Gi", "RWO", "Retain", "Bound", &bound, class]);
    let claim = scene.kubectl.ok("get pvc data --no-headers");
    assert_eq!(columns(&claim)[..6], ["data", "Bound", &name, "2Gi", "RWO", class]);

    // Whoever uses it keeps it; with the last user it goes, and the volume stays with what was written.
    scene.create(&scene.pod("user", "sleep 60", claimed("data")));
    scene.phase("pod user", "Running");
    scene.kubectl.ok("delete pvc data --wait=false");
    assert_eq!(columns(&scene.kubectl.ok("get pvc data --no-headers"))[1], "Terminating");
    scene.kubectl.ok("delete pod user --now");
    scene.phase(&format!("pv {name}"), "Released");
    assert_eq!(std::fs::read_to_string(scene.directory("a").join("file")).expect("the file"), "kept\n");
    scene.create(&scene.claim("data"));
    scene.event("data", "ProvisioningFailed");
}

#[test]
fn a_claim_waits_for_its_first_consumer() {
    let scene = Scene::new("later");
    scene.class("WaitForFirstConsumer");
    scene.local("here");
    scene.create(&scene.claim("data"));
    assert_eq!(scene.event("data", "WaitForFirstConsumer"), "waiting for first consumer to be created before binding");
    assert_eq!(scene.kubectl.ok("get pvc data -o jsonpath={.status.phase}"), "Pending");
    let mut pod = scene.pod("p", "id -G > /data/groups; cat /data/groups", claimed("data"));
    pod["spec"]["securityContext"] = json!({"fsGroup": 2345});
    scene.create(&pod);
    scene.phase("pod p", "Succeeded");
    assert!(scene.kubectl.ok("logs p").contains("2345"));
    let claim = scene.phase("pvc data", "Bound");
    assert_eq!(claim["spec"]["volumeName"], format!("{}-here", scene.class));
    scene.phase(&format!("pv {}-here", scene.class), "Bound");

    // There is no other volume: the next pod is told so.
    scene.create(&scene.claim("more"));
    scene.create(&scene.pod("q", "true", claimed("more")));
    let said = scene.event("q", "FailedScheduling");
    assert!(said.contains("node(s) didn't find available persistent volumes to bind"), "{said}");
    assert_eq!(scene.event("more", "WaitForPodScheduled"), "waiting for pod q to be scheduled");
    // Until one comes.
    scene.local("next");
    scene.phase("pod q", "Succeeded");
}

#[test]
fn a_volume_of_the_pods_own() {
    let scene = Scene::new("own");
    let template = |class: &str| {
        let mut claim = scene.claim("x");
        claim["spec"]["storageClassName"] = class.into();
        json!({"ephemeral": {"volumeClaimTemplate": {"metadata": {"labels": {"a": "b"}}, "spec": claim["spec"]}}})
    };
    scene.create(&scene.pod("stuck", "true", template("nowhere")));
    assert_eq!(scene.event("stuck-data", "ProvisioningFailed"), "storageclass.storage.k8s.io \"nowhere\" not found");
    let said = scene.event("stuck", "FailedScheduling");
    assert!(
        said.contains("persistentvolumeclaim \"stuck-data\"") || said.contains("pod has unbound immediate PersistentVolumeClaims"),
        "{said}"
    );
    let claim = scene.kubectl.json("get pvc stuck-data");
    assert_eq!((&claim["metadata"]["ownerReferences"][0]["name"], &claim["metadata"]["labels"]["a"]), (&"stuck".into(), &"b".into()));
    // With a volume the pod runs, and its claim goes with it.
    scene.volume("v", json!({"hostPath": {"path": scene.directory("v")}}));
    scene.create(&scene.pod("well", "echo own > /data/file", template(&scene.class)));
    scene.phase("pod well", "Succeeded");
    assert_eq!(std::fs::read_to_string(scene.directory("v").join("file")).expect("the file"), "own\n");
    scene.kubectl.ok("delete pod well");
    scene.phase(&format!("pv {}-v", scene.class), "Released");
}

#[test]
fn a_set_on_volumes_made_by_hand() {
    let scene = Scene::new("set");
    for name in ["a", "b"] {
        scene.volume(name, json!({"hostPath": {"path": scene.directory(name)}}));
    }
    let container = json!({"name": "c", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", "hostname > /data/me; trap exit TERM; while true; do sleep 0.2; done"],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}]});
    let template = json!({"metadata": {"labels": {"app": "db"}}, "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]}});
    scene.create(&json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": {
        "serviceName": "db", "replicas": 2, "selector": {"matchLabels": {"app": "db"}}, "template": template,
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Retain"},
        "volumeClaimTemplates": [scene.claim("data")]}}));
    scene.phase("pod db-1", "Running");
    let claims = scene.kubectl.json("get pvc");
    let phases: Vec<&Value> = claims["items"].as_array().into_iter().flatten().map(|c| &c["status"]["phase"]).collect();
    assert_eq!(phases, ["Bound", "Bound"]);
    let read = |name: &str| std::fs::read_to_string(scene.directory(name).join("me")).unwrap_or_default();
    wait_for("both have written", SOON, || {
        let mut said = [read("a"), read("b")];
        said.sort();
        (said == ["db-0\n", "db-1\n"]).then_some(())
    });
    // Scaled down, the claim stays and the pod gets it back; with the set the claims go.
    scene.kubectl.ok("scale sts db --replicas=1");
    wait_for("db-1 is gone", SOON, || (scene.kubectl.run("get pod db-1").code != Some(0)).then_some(()));
    assert_eq!(scene.kubectl.ok("get pvc data-db-1 -o jsonpath={.status.phase}"), "Bound");
    scene.kubectl.ok("delete sts db");
    for name in ["a", "b"] {
        scene.phase(&format!("pv {}-{name}", scene.class), "Released");
    }
    assert_eq!(scene.kubectl.json("get pvc")["items"].as_array().map(Vec::len), Some(0));
}

#[test]
fn the_life_of_a_volume_and_its_claim() {
    let scene = Scene::new("life");
    scene.class("Immediate");
    scene.volume("v", json!({"csi": {"driver": "e2e.example.com", "volumeHandle": "h"}}));
    let mut claim = scene.claim("c");
    claim["spec"]["volumeName"] = format!("{}-v", scene.class).into();
    scene.create(&claim);
    scene.phase("pvc c", "Bound");
    let volume = format!("pv {}-v", scene.class);
    scene.phase(&volume, "Bound");
    // Statuses are anybody's who may write them; the binder leaves what is not its own.
    let condition = json!({"status": {"conditions": [{"type": "StatusPatched", "status": "True", "reason": "E2E", "message": "by hand"}]}});
    scene.kubectl.ok_words(&["patch", "pvc", "c", "--subresource=status", "--type=merge", "-p", &condition.to_string()]);
    let said = json!({"status": {"message": "by hand", "reason": "E2E"}});
    let name = format!("{}-v", scene.class);
    scene.kubectl.ok_words(&["patch", "pv", &name, "--subresource=status", "--type=merge", "-p", &said.to_string()]);
    scene.kubectl.ok("label pvc c a=b");
    let held = scene.kubectl.json("get pvc c");
    assert_eq!((&held["status"]["conditions"][0]["type"], &held["status"]["phase"]), (&"StatusPatched".into(), &"Bound".into()));
    assert_eq!(scene.kubectl.json(&format!("get {volume}"))["status"]["reason"], "E2E");
    // More room is somebody else's work.
    let more = json!({"spec": {"resources": {"requests": {"storage": "3Gi"}}}});
    scene.kubectl.ok_words(&["patch", "pvc", "c", "--type=merge", "-p", &more.to_string()]);
    assert_eq!(scene.event("c", "ExternalExpanding"), "waiting for an external controller to expand this PVC");
    // A driver's volume cannot be mounted, and the pod says why.
    scene.create(&scene.pod("p", "true", claimed("c")));
    let why = scene.event("p", "FailedMount");
    assert!(why.contains("driver name e2e.example.com not found in the list of registered CSI drivers"), "{why}");
    scene.kubectl.ok("delete pod p --now");
    // A volume that has a claim stays until that is gone.
    scene.kubectl.ok(&format!("delete {volume} --wait=false"));
    assert_eq!(columns(&scene.kubectl.ok(&format!("get {volume} --no-headers")))[4], "Terminating");
    scene.kubectl.ok("delete pvc c");
    wait_for("the volume is gone", SOON, || (scene.kubectl.run(&format!("get {volume}")).code != Some(0)).then_some(()));
}

#[test]
fn a_device_without_its_driver() {
    let scene = Scene::new("device");
    let name = &scene.class;
    let selector = json!({"cel": {"expression": format!("device.driver == '{name}.example.com'")}});
    scene.create(
        &json!({"apiVersion": "resource.k8s.io/v1", "kind": "DeviceClass", "metadata": {"name": name}, "spec": {"selectors": [selector]}}),
    );
    scene.create(&json!({"apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice", "metadata": {"name": name}, "spec": {
        "driver": format!("{name}.example.com"), "allNodes": true, "devices": [{"name": "a"}],
        "pool": {"name": name, "generation": 1, "resourceSliceCount": 1}}}));
    let requests = json!([{"name": "r", "exactly": {"deviceClassName": name}}]);
    scene.create(&json!({"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": {"name": "one"}, "spec": {"devices": {"requests": requests}}}));
    let mut pod = scene.pod("p", "true", json!({"emptyDir": {}}));
    pod["spec"]["resourceClaims"] = json!([{"name": "d", "resourceClaimName": "one"}]);
    pod["spec"]["containers"][0]["resources"] = json!({"claims": [{"name": "d"}]});
    scene.create(&pod);
    let why = scene.event("p", "FailedPrepareDynamicResources");
    assert!(why.contains(&format!("DRA driver {name}.example.com is not registered")), "{why}");
    assert_eq!(scene.kubectl.ok("get resourceclaim one -o jsonpath={.status.reservedFor[0].name}"), "p");
    // With the pod its claim is given back, and can go.
    scene.kubectl.ok("delete pod p --now");
    wait_for("it is given back", SOON, || {
        let claim = scene.kubectl.json("get resourceclaim one");
        (claim["status"]["allocation"].is_null() && claim["metadata"]["finalizers"].is_null()).then_some(())
    });
    scene.kubectl.run(&format!("delete deviceclass,resourceslice {name}"));
}
