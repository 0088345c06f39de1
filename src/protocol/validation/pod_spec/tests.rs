use crate::names::{name_is_label, name_is_subdomain};
use crate::validation::*;
use serde_json::{Value, json};

fn faults(mut spec: Value) -> Vec<String> {
    default_pod(&mut spec);
    validate_pod_spec(&spec, "spec").iter().map(ToString::to_string).collect()
}

fn pod_with(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut spec = json!({"containers": [{"name": "c", "image": "i"}]});
    change(&mut spec);
    faults(spec)
}

fn container_with(fields: Value) -> Vec<String> {
    pod_with(|spec| {
        for (key, value) in fields.as_object().unwrap() {
            spec["containers"][0][key] = value.clone();
        }
    })
}

#[test]
fn defaults_as_upstream() {
    let mut spec = json!({"serviceAccount": "sa", "hostNetwork": true, "volumes": [{"name": "a"}, {"name": "b", "hostPath": {"path": "/"}},
        {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}],
        "containers": [{"name": "c", "image": "reg:5000/x", "ports": [{"containerPort": 80}], "resources": {"limits": {"cpu": "1", "memory": "0.1m"}},
            "env": [{"name": "E", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}], "readinessProbe": {"httpGet": {"port": 80}}}]});
    default_pod(&mut spec);
    let want = json!({"serviceAccount": "sa", "serviceAccountName": "sa", "hostNetwork": true, "dnsPolicy": "ClusterFirst", "restartPolicy": "Always",
        "securityContext": {}, "schedulerName": "default-scheduler", "terminationGracePeriodSeconds": 30, "enableServiceLinks": true,
        "volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "hostPath": {"path": "/", "type": ""}},
            {"name": "p", "projected": {"defaultMode": 420, "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}]}}],
        "containers": [{"name": "c", "image": "reg:5000/x", "imagePullPolicy": "Always", "ports": [{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}],
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            "resources": {"limits": {"cpu": "1", "memory": "1m"}, "requests": {"cpu": "1", "memory": "1m"}},
            "env": [{"name": "E", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name", "apiVersion": "v1"}}}],
            "readinessProbe": {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}}]});
    assert_eq!(spec, want);
    let once = spec.clone();
    default_pod(&mut spec);
    assert_eq!(spec, once);
    assert_eq!(validate_pod_spec(&spec, "spec"), []);
}

#[test]
fn templates_get_no_pod_defaults() {
    let mut spec = json!({"containers": [{"name": "c", "image": "x:1@sha256:0", "resources": {"limits": {"cpu": "1"}}}]});
    default_pod_spec(&mut spec);
    assert!(spec.get("enableServiceLinks").is_none() && spec["containers"][0]["resources"].get("requests").is_none());
    assert_eq!(spec["containers"][0]["imagePullPolicy"], "IfNotPresent");
}

#[test]
fn containers() {
    assert_eq!(faults(json!({})), ["spec.containers: Required value"]);
    assert_eq!(
        container_with(json!({"name": "", "image": ""})),
        ["spec.containers[0].name: Required value", "spec.containers[0].image: Required value"]
    );
    assert_eq!(
        container_with(json!({"imagePullPolicy": "Maybe"})),
        ["spec.containers[0].imagePullPolicy: Unsupported value: \"Maybe\": supported values: \"Always\", \"IfNotPresent\", \"Never\""]
    );
    let twice =
        pod_with(|spec| spec["initContainers"] = json!([{"name": "c", "image": "i", "readinessProbe": {"exec": {"command": ["x"]}}}]));
    assert_eq!(
        twice,
        [
            "spec.initContainers[0].name: Duplicate value: \"c\"",
            "spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without restartPolicy=Always"
        ]
    );
}

#[test]
fn ports_env_mounts() {
    let ports = container_with(
        json!({"ports": [{"containerPort": 0}, {"containerPort": 70000, "protocol": "ICMP"}, {"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]}),
    );
    assert_eq!(
        ports,
        [
            "spec.containers[0].ports[0].containerPort: Required value",
            "spec.containers[0].ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
            "spec.containers[0].ports[1].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
            "spec.containers[0].ports[3].name: Duplicate value: \"a\""
        ]
    );
    let env = container_with(json!({"env": [{"name": "A=", "value": "x"}, {"name": "B", "valueFrom": {}}]}));
    assert_eq!(env.len(), 2, "{env:?}");
    let mounts = container_with(json!({"volumeMounts": [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/a"}]}));
    assert_eq!(
        mounts,
        [
            "spec.containers[0].volumeMounts[0].name: Not found: \"v\"",
            "spec.containers[0].volumeMounts[1].name: Not found: \"v\"",
            "spec.containers[0].volumeMounts[1].mountPath: Invalid value: \"/a\": must be unique"
        ]
    );
}

#[test]
fn resources_and_probes() {
    let over = container_with(json!({"resources": {"limits": {"cpu": "1", "memory": "-1"}, "requests": {"cpu": "2", "gpu": "1"}}}));
    assert!(
        over.contains(
            &"spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1".to_string()
        ),
        "{over:?}"
    );
    assert!(
        over.contains(
            &"spec.containers[0].resources.limits[memory]: Invalid value: \"-1\": must be greater than or equal to 0".to_string()
        )
    );
    assert!(over.contains(
        &"spec.containers[0].resources.requests[gpu]: Invalid value: \"gpu\": must be a standard resource for containers".to_string()
    ));
    let probe = container_with(
        json!({"livenessProbe": {"successThreshold": 2, "exec": {"command": ["x"]}, "tcpSocket": {"port": 1}}, "startupProbe": {}}),
    );
    assert_eq!(
        probe,
        [
            "spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
            "spec.containers[0].startupProbe: Required value: must specify a handler type"
        ]
    );
}

#[test]
fn volumes_and_placement() {
    let volumes = pod_with(
        |spec| spec["volumes"] = json!([{"name": "A", "emptyDir": {}, "secret": {"secretName": "s"}}, {"name": "b", "hostPath": {"path": "../x"}}, {"name": "b", "configMap": {}}]),
    );
    assert_eq!(volumes.len(), 5, "{volumes:#?}");
    let rest = pod_with(|spec| {
        spec["tolerations"] = json!([{"operator": "Equal"}, {"key": "k", "operator": "Exists", "tolerationSeconds": 1}]);
        spec["restartPolicy"] = "Sometimes".into();
        spec["dnsPolicy"] = "None".into();
    });
    assert_eq!(rest.len(), 4, "{rest:#?}");
    assert!(
        rest.iter()
            .any(|f| f == "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"")
    );
}

#[test]
fn metadata() {
    let say = |v: Value, namespaced| object_meta(&v, namespaced, name_is_subdomain).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(say(json!({"metadata": {"name": "a", "namespace": "b"}}), true), Vec::<String>::new());
    assert_eq!(
        say(json!({"metadata": {"namespace": "b"}}), false),
        ["metadata.name: Required value: name or generateName is required", "metadata.namespace: Forbidden: not allowed on this type"]
    );
    let big = json!({"metadata": {"name": "a", "annotations": {"a": "x".repeat(256 * 1024)}, "labels": {"-": "y"}, "finalizers": ["orphan", "foregroundDeletion"],
        "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "1", "controller": true}, {"apiVersion": "v1", "kind": "Pod", "name": "q", "controller": true}]}});
    let found = say(big, false);
    assert_eq!(found.len(), 5, "{found:#?}");
    assert!(found.contains(&"metadata.annotations: Too long: may not be more than 262144 bytes".to_string()));
    let old = json!({"metadata": {"name": "a", "uid": "1", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
    let new = json!({"metadata": {"name": "a", "uid": "2", "finalizers": ["x/y"]}});
    let update: Vec<_> = object_meta_update(&new, &old).iter().map(ToString::to_string).collect();
    assert_eq!(
        update,
        [
            "metadata.uid: Invalid value: \"2\": field is immutable",
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"x/y\"}"
        ]
    );
    assert_eq!(object_meta(&json!({"metadata": {"name": "a.b"}}), false, name_is_label).len(), 1);
    assert_eq!(
        selector(&json!({"matchExpressions": [{"key": "a", "operator": "In"}, {"key": "b", "operator": "Is"}]}), "spec.selector").len(),
        2
    );
}

/// One bad field each, and what is said about it.
#[test]
fn single_faults() {
    let container = |fields: Value| {
        let mut container = json!({"name": "c", "image": "i"});
        container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({"containers": [container]})
    };
    let pod = |fields: Value| {
        let mut spec = json!({"containers": [{"name": "c", "image": "i"}]});
        spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        spec
    };
    let limits = |limits: Value| container(json!({"resources": {"limits": limits}}));
    let term = |term: Value| {
        pod(json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}}))
    };
    let c = "spec.containers[0]";
    let cases = [
        (limits(json!({"hugepages-2Mi": "3Mi", "cpu": "1"})), format!("{c}.resources.limits[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer multiple of hugepages-2Mi")),
        (limits(json!({"hugepages-2Mi": "4Mi"})), format!("{c}.resources: Forbidden: HugePages require cpu or memory")),
        (limits(json!({"a.example/gpu": "500m"})), format!("{c}.resources.limits[a.example/gpu]: Invalid value: \"500m\": must be an integer")),
        (container(json!({"resources": {"requests": {"a.example/gpu": "1"}}})), format!("{c}.resources.limits: Required value: Limit must be set for non overcommitable resources")),
        (container(json!({"resources": {"claims": [{"name": "d"}]}})), format!("{c}.resources.claims[0]: Not found: \"d\": must be one of the names in pod.spec.resourceClaims which is empty")),
        (container(json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels"}}}]})), format!("{c}.env[0].valueFrom.fieldRef.fieldPath: Unsupported value: \"metadata.labels\": supported values: \"metadata.name\", \"metadata.namespace\", \"metadata.uid\", \"spec.nodeName\", \"spec.serviceAccountName\", \"status.hostIP\", \"status.hostIPs\", \"status.podIP\", \"status.podIPs\"")),
        (container(json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.none"}}}]})), format!("{c}.env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.none\": error converting fieldPath: field label not supported: spec.none")),
        (container(json!({"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "2"}}}]})), format!("{c}.env[0].valueFrom.resourceFieldRef.divisor: Invalid value: \"limits.cpu\": only divisor's values 1m and 1 are supported with the cpu resource")),
        (container(json!({"envFrom": [{}]})), format!("{c}.envFrom: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`")),
        (container(json!({"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}})), format!("{c}.lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)")),
        (container(json!({"restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}]})), format!("{c}.restartPolicy: Required value: must be specified when restartPolicyRules is specified")),
        (container(json!({"resizePolicy": [{"resourceName": "disk", "restartPolicy": "NotRequired"}]})), format!("{c}.resizePolicy: Unsupported value: \"disk\": supported values: \"cpu\", \"memory\"")),
        (container(json!({"securityContext": {"runAsUser": -1}})), format!("{c}.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive")),
        (container(json!({"securityContext": {"procMount": "Unmasked"}})), format!("{c}.securityContext.procMount: Invalid value: \"Unmasked\": `hostUsers` must be false to use `Unmasked`")),
        (pod(json!({"securityContext": {"seccompProfile": {"type": "Localhost"}}})), "spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost".into()),
        (pod(json!({"hostNetwork": true, "securityContext": {"sysctls": [{"name": "net.core.somaxconn", "value": "1"}]}})), "spec.securityContext.sysctls[0].name: Invalid value: \"net.core.somaxconn\": may not be specified when 'hostNetwork' is true".into()),
        (pod(json!({"hostUsers": false, "hostPID": true})), "spec.HostPID: Forbidden: when `pod.Spec.HostUsers` is false".into()),
        (pod(json!({"os": {"name": "windows"}, "hostIPC": true})), "spec.hostIPC: Forbidden: cannot be set for a windows pod".into()),
        (pod(json!({"hostAliases": [{"ip": "x"}]})), "spec.hostAliases[0].ip: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".into()),
        (pod(json!({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "k", "whenUnsatisfiable": "ScheduleAnyway", "minDomains": 1}]})), "spec.topologySpreadConstraints[0].minDomains: Invalid value: 1: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway".into()),
        (term(json!({"matchFields": [{"key": "metadata.uid", "operator": "In", "values": ["a"]}]})), "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[0].key: Invalid value: \"metadata.uid\": not a valid field selector key".into()),
        (pod(json!({"volumes": [{"name": "v", "downwardAPI": {"items": [{"path": "f"}]}}]})), "spec.volumes[0].downwardAPI: Required value: one of fieldRef and resourceFieldRef is required".into()),
        (pod(json!({"volumes": [{"name": "v", "nfs": {"server": "s", "path": "p"}}]})), "spec.volumes[0].nfs.path: Invalid value: \"p\": must be an absolute path".into()),
        (pod(json!({"volumes": [{"name": "v", "iscsi": {"targetPortal": "p", "iqn": "x", "lun": 0}}]})), "spec.volumes[0].iscsi.iqn: Invalid value: \"x\": must be valid format starting with iqn, eui, or naa".into()),
        (pod(json!({"volumes": [{"name": "v", "image": {}}]})), "spec.volumes[0].image.reference: Required value".into()),
        (pod(json!({"overhead": {"cpu": "-1"}})), "spec.overhead.limits[cpu]: Invalid value: \"-1\": must be greater than or equal to 0".into()),
        (pod(json!({"resources": {"requests": {"cpu": "1"}}, "containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "2"}}}]})), "spec.resources.requests[cpu]: Invalid value: \"1\": must be greater than or equal to aggregate container requests of 2".into()),
        (pod(json!({"ephemeralContainers": [{"name": "e", "image": "i", "ports": [{"containerPort": 1}]}]})), "spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container".into()),
    ];
    for (spec, said) in cases {
        // Requests follow limits, and are found fault with like them.
        let found: Vec<_> = faults(spec.clone())
            .into_iter()
            .filter(|f| !f.contains("resources.requests[h") && !f.contains("resources.requests[a"))
            .collect();
        assert_eq!(found, [said], "{spec}");
    }
}
