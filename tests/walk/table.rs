//! One small good manifest for every kind, and what makes it a bad one.

/// A kind with something to send. Where a list or an object is replaced as a whole by an apply, its defaults are written out: they
/// would be a conflict with who created it, here as upstream.
pub struct Case {
    /// `apps/v1 deployments`
    pub of: &'static str,
    /// YAML, without `apiVersion` and `kind`; the name is `w` when none is given.
    pub good: &'static str,
    /// Where the bad manifest differs (a JSON pointer) and by what (YAML).
    pub bad: (&'static str, &'static str),
    /// What the refusal says of it, among other things.
    pub says: &'static str,
    /// A `status` to write, YAML; none when empty.
    pub status: &'static str,
}

const fn case(of: &'static str, good: &'static str, bad: (&'static str, &'static str), says: &'static str) -> Case {
    Case { of, good, bad, says, status: "" }
}

impl Case {
    const fn status(self, status: &'static str) -> Case {
        Case { status, ..self }
    }
}

/// Every kind that is stored.
pub fn cases() -> Vec<&'static Case> {
    [CORE, EXTENSIONS, WORKLOADS, NETWORK, ACCESS, DEVICES, STORAGE].concat().into_iter().collect()
}

const CORE: &[&Case] = &[
    &case("v1 configmaps", "data: {a: b}", ("/data", "{a b: c}"), "a valid config key must consist of alphanumeric characters"),
    &case(
        "v1 endpoints",
        "subsets: [{addresses: [{ip: 10.1.2.3}], ports: [{port: 80, protocol: TCP}]}]",
        ("/subsets/0/addresses/0/ip", "x"),
        "must be a valid IP address",
    ),
    &case(
        "v1 events",
        "{involvedObject: {kind: Pod, namespace: walk, name: p}, reason: Tested, message: m, type: Normal}",
        ("/involvedObject/namespace", "other"),
        "does not match event.namespace",
    ),
    &case(
        "v1 limitranges",
        "spec: {limits: [{type: Container, default: {cpu: '1'}, defaultRequest: {cpu: '1'}}]}",
        ("/spec/limits/0/type", "Pod"),
        "may not be specified when `type` is 'Pod'",
    ),
    &case("v1 namespaces", "metadata: {name: walk-w, annotations: {a: b}}", ("/metadata/name", "W"), "metadata.name: Invalid value: \"W\"")
        .status("{conditions: [{type: Walked, status: 'True'}]}"),
    &case(
        "v1 nodes",
        "spec: {unschedulable: true}",
        ("/spec/taints", "[{key: a b, effect: NoSchedule}]"),
        "name part must consist of alphanumeric characters",
    )
    .status("{nodeInfo: {kernelVersion: walk}}"),
    &case(
        "v1 persistentvolumeclaims",
        "spec: {accessModes: [ReadWriteOnce], storageClassName: none, resources: {requests: {storage: 1Gi}}}",
        ("/spec/accessModes", "[]"),
        "spec.accessModes: Required value",
    )
    .status("{conditions: [{type: Walked, status: 'True'}]}"),
    &case(
        "v1 persistentvolumes",
        "spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], storageClassName: other, hostPath: {path: /tmp}}",
        ("/spec/hostPath", "null"),
        "must specify a volume type",
    )
    .status("{message: walked}"),
    &case(
        "v1 pods",
        "spec: {containers: [{name: c, image: i}], schedulerName: nobody}",
        ("/spec/containers", "[]"),
        "spec.containers: Required value",
    )
    .status("{message: walked}"),
    &case(
        "v1 podtemplates",
        "template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}",
        ("/template/spec/containers", "[]"),
        "template.spec.containers: Required value",
    ),
    &case(
        "v1 replicationcontrollers",
        "spec: {replicas: 0, selector: {a: b}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}",
        ("/spec/selector/a", "c"),
        "`selector` does not match template `labels`",
    )
    .status("{conditions: [{type: Walked, status: 'True'}]}"),
    &case(
        "v1 resourcequotas",
        "spec: {hard: {count/walks.example.com: '5'}}",
        ("/spec/hard/count~1walks.example.com", "-1"),
        "must be greater than or equal to 0",
    ),
    &case("v1 secrets", "data: {a: Yg==}", ("/type", "kubernetes.io/tls"), "data[tls.crt]: Required value"),
    &case("v1 serviceaccounts", "automountServiceAccountToken: false", ("/metadata/name", "W"), "metadata.name: Invalid value: \"W\""),
    &case("v1 services", "spec: {ports: [{port: 80}]}", ("/spec/ports/0/port", "0"), "spec.ports[0].port: Invalid value: 0")
        .status("{conditions: [{type: Walked, status: 'True', reason: R, message: '', lastTransitionTime: '2026-01-01T00:00:00Z'}]}"),
];

const EXTENSIONS: &[&Case] = &[
    &case("admissionregistration.k8s.io/v1 mutatingadmissionpolicies", "spec: {matchConstraints: {resourceRules: [{apiGroups: [example.com], apiVersions: [v1], operations: [CREATE], resources: [walks], scope: '*'}], matchPolicy: Equivalent, namespaceSelector: {}, objectSelector: {}}, reinvocationPolicy: Never, mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: 'Object{metadata: Object.metadata{labels: {\"a\": \"b\"}}}'}}]}", ("/spec/reinvocationPolicy", "Sometimes"), "spec.reinvocationPolicy: Unsupported value"),
    &case("admissionregistration.k8s.io/v1 mutatingadmissionpolicybindings", "spec: {policyName: p}", ("/spec/policyName", "''"), "spec.policyName: Required value"),
    &case("admissionregistration.k8s.io/v1 mutatingwebhookconfigurations", "webhooks: [{name: a.example.com, clientConfig: {url: 'https://127.0.0.1:1/'}, rules: [{apiGroups: [example.com], apiVersions: [v1], operations: [CREATE], resources: [walks], scope: '*'}], sideEffects: None, admissionReviewVersions: [v1], failurePolicy: Ignore}]", ("/webhooks/0/name", "a"), "should be a domain with at least three segments separated by dots"),
    &case("admissionregistration.k8s.io/v1 validatingadmissionpolicies", "spec: {matchConstraints: {resourceRules: [{apiGroups: [example.com], apiVersions: [v1], operations: [CREATE], resources: [walks], scope: '*'}], matchPolicy: Equivalent, namespaceSelector: {}, objectSelector: {}}, validations: [{expression: 'true'}]}", ("/spec/validations/0/expression", "1 +"), "spec.validations[0].expression: Invalid value").status("{observedGeneration: 1}"),
    &case("admissionregistration.k8s.io/v1 validatingadmissionpolicybindings", "spec: {policyName: p, validationActions: [Deny]}", ("/spec/validationActions", "[]"), "spec.validationActions: Required value"),
    &case("admissionregistration.k8s.io/v1 validatingwebhookconfigurations", "webhooks: [{name: a.example.com, clientConfig: {url: 'https://127.0.0.1:1/'}, rules: [{apiGroups: [example.com], apiVersions: [v1], operations: [CREATE], resources: [walks], scope: '*'}], sideEffects: None, admissionReviewVersions: [v1], failurePolicy: Ignore}]", ("/webhooks/0/sideEffects", "Some"), "webhooks[0].sideEffects: Unsupported value"),
    &case("apiextensions.k8s.io/v1 customresourcedefinitions", "{metadata: {name: walks.example.com}, spec: {group: example.com, scope: Namespaced, names: {plural: walks, singular: walk, kind: Walk, listKind: WalkList}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]}}", ("/spec/scope", "Wide"), "spec.scope: Unsupported value"),
    &case("apiregistration.k8s.io/v1 apiservices", "{metadata: {name: v1.walk.example.com}, spec: {group: walk.example.com, version: v1, groupPriorityMinimum: 1000, versionPriority: 10}}", ("/spec/groupPriorityMinimum", "0"), "spec.groupPriorityMinimum: Invalid value: 0").status("{conditions: [{type: Walked, status: 'True'}]}"),
    &case("settings.k8s.io/v1alpha1 podpresets", "spec: {env: [{name: A, value: b}]}", ("/spec/env", "null"), "must specify at least one"),
];

const WORKLOADS: &[&Case] = &[
    &case("apps/v1 controllerrevisions", "{revision: 1, data: {a: b}}", ("/revision", "-1"), "must be greater than or equal to 0"),
    &case("apps/v1 daemonsets", "spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}], nodeSelector: {no: where}}}}", ("/spec/selector/matchLabels/a", "c"), "`selector` does not match template `labels`").status("{observedGeneration: 1, conditions: [{type: Walked, status: 'True'}]}"),
    &case("apps/v1 deployments", "spec: {replicas: 0, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}", ("/spec/selector/matchLabels/a", "c"), "`selector` does not match template `labels`").status("{conditions: [{type: Walked, status: 'True'}]}"),
    &case("apps/v1 replicasets", "spec: {replicas: 0, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}", ("/spec/selector/matchLabels/a", "c"), "`selector` does not match template `labels`").status("{conditions: [{type: Walked, status: 'True'}]}"),
    &case("apps/v1 statefulsets", "spec: {replicas: 0, serviceName: s, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}", ("/spec/selector/matchLabels/a", "c"), "`selector` does not match template `labels`").status("{conditions: [{type: Walked, status: 'True'}]}"),
    &case("autoscaling/v1 horizontalpodautoscalers", "spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: d}, maxReplicas: 3}", ("/spec/maxReplicas", "0"), "spec.maxReplicas: Invalid value: 0: must be greater than 0").status("{currentReplicas: 1, desiredReplicas: 2}"),
    &case("autoscaling/v2 horizontalpodautoscalers", "spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: d}, maxReplicas: 3}", ("/spec/maxReplicas", "0"), "spec.maxReplicas: Invalid value: 0: must be greater than 0").status("{currentReplicas: 1, desiredReplicas: 2}"),
    &case("batch/v1 cronjobs", "spec: {schedule: '0 0 1 1 *', suspend: true, jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}}", ("/spec/schedule", "x"), "spec.schedule: Invalid value: \"x\"").status("{lastScheduleTime: '2026-01-01T00:00:00Z'}"),
    &case("batch/v1 jobs", "spec: {suspend: true, template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}", ("/spec/template/spec/restartPolicy", "Always"), "spec.template.spec.restartPolicy").status("{conditions: [{type: Walked, status: 'True'}]}"),
    &case("coordination.k8s.io/v1 leases", "spec: {holderIdentity: a, leaseDurationSeconds: 10}", ("/spec/leaseDurationSeconds", "0"), "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"),
    &case("events.k8s.io/v1 events", "{eventTime: '2026-01-01T00:00:00.000000Z', reportingController: example.com/w, reportingInstance: i, action: a, reason: r, type: Normal, regarding: {kind: Pod, namespace: walk, name: p}}", ("/reportingController", "''"), "reportingController: Required value"),
    &case("node.k8s.io/v1 runtimeclasses", "handler: h", ("/handler", "A B"), "handler: Invalid value: \"A B\""),
    &case("policy/v1 poddisruptionbudgets", "spec: {minAvailable: 1, selector: {matchLabels: {a: b}}}", ("/spec/maxUnavailable", "1"), "minAvailable and maxUnavailable cannot be both set").status("{conditions: [{type: Walked, status: 'True', reason: R, message: '', lastTransitionTime: '2026-01-01T00:00:00Z'}]}"),
    &case("scheduling.k8s.io/v1 priorityclasses", "value: 5", ("/value", "2000000001"), "value: Forbidden"),
];

const NETWORK: &[&Case] = &[
    &case(
        "discovery.k8s.io/v1 endpointslices",
        "{addressType: IPv4, endpoints: [{addresses: [10.1.2.3]}], ports: [{name: p, port: 80, protocol: TCP}]}",
        ("/addressType", "IPv5"),
        "addressType: Unsupported value: \"IPv5\"",
    ),
    &case(
        "flowcontrol.apiserver.k8s.io/v1 flowschemas",
        "spec: {priorityLevelConfiguration: {name: exempt}, matchingPrecedence: 1000}",
        ("/spec/matchingPrecedence", "10001"),
        "spec.matchingPrecedence: Invalid value: 10001",
    )
    .status("{conditions: [{type: Walked, status: 'True', reason: R}]}"),
    &case(
        "flowcontrol.apiserver.k8s.io/v1 prioritylevelconfigurations",
        "spec: {type: Limited, limited: {nominalConcurrencyShares: 5, limitResponse: {type: Reject}}}",
        ("/spec/type", "X"),
        "spec.type: Unsupported value: \"X\"",
    )
    .status("{conditions: [{type: Walked, status: 'True', reason: R}]}"),
    &case(
        "networking.k8s.io/v1 ingressclasses",
        "spec: {controller: example.com/c}",
        ("/spec/controller", "x y"),
        "spec.controller: Invalid value: \"x y\"",
    ),
    &case(
        "networking.k8s.io/v1 ingresses",
        "spec: {defaultBackend: {service: {name: s, port: {number: 80}}}}",
        ("/spec/defaultBackend", "null"),
        "either `defaultBackend` or `rules` must be specified",
    )
    .status("{loadBalancer: {ingress: [{ip: 10.1.2.3}]}}"),
    &case(
        "networking.k8s.io/v1 ipaddresses",
        "{metadata: {name: 10.99.1.2}, spec: {parentRef: {resource: services, namespace: walk, name: s}}}",
        ("/metadata/name", "x"),
        "metadata.name: Invalid value: \"x\"",
    ),
    &case("networking.k8s.io/v1 networkpolicies", "spec: {podSelector: {}}", ("/spec/policyTypes", "[X]"), "Unsupported value: \"X\""),
    &case(
        "networking.k8s.io/v1 servicecidrs",
        "spec: {cidrs: [10.77.0.0/16]}",
        ("/spec/cidrs", "[x]"),
        "spec.cidrs[0]: Invalid value: \"x\"",
    )
    .status("{conditions: [{type: Walked, status: 'True', reason: R, message: '', lastTransitionTime: '2026-01-01T00:00:00Z'}]}"),
];

const ACCESS: &[&Case] = &[
    &case(
        "certificates.k8s.io/v1 certificatesigningrequests",
        "spec: {request: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlISk1IRUNBUUF3RHpFTk1Bc0dBMVVFQXd3RWQyRnNhekJaTUJNR0J5cUdTTTQ5QWdFR0NDcUdTTTQ5QXdFSApBMElBQkVPQ0hXZXczbFVmaTVuN1JsTmJFaElSdng4MGhIZDFMV2prdU8xZjdKZmxBc3d4bzJxbkJuV0o4Tm1tCnpZT0l1R0Jzekp4QjJTRGlxTS9GV1d0RHJwR2dBREFLQmdncWhrak9QUVFEQWdOSUFEQkZBaUVBNiszekdYQXoKdVB2VEtRQ1M5QW1ZK2xIeVhqdkxwZnk2eCtURE83STYyeGtDSUNIMkpDOExwZjBUT2pORjZrM3ZlSXhrTFlYbApWUzgraVpKTjh2cHhJZVRGCi0tLS0tRU5EIENFUlRJRklDQVRFIFJFUVVFU1QtLS0tLQo=, signerName: example.com/walk, usages: [client auth]}",
        ("/spec/usages", "[]"),
        "spec.usages: Required value",
    ),
    &case(
        "rbac.authorization.k8s.io/v1 clusterrolebindings",
        "{roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}, subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: u}]}",
        ("/roleRef/kind", "X"),
        "roleRef.kind: Unsupported value: \"X\"",
    ),
    &case(
        "rbac.authorization.k8s.io/v1 clusterroles",
        "rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]",
        ("/rules/0/verbs", "[]"),
        "rules[0].verbs: Required value",
    ),
    &case(
        "rbac.authorization.k8s.io/v1 rolebindings",
        "{roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}, subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: u}]}",
        ("/roleRef/kind", "X"),
        "roleRef.kind: Unsupported value: \"X\"",
    ),
    &case(
        "rbac.authorization.k8s.io/v1 roles",
        "rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]",
        ("/rules/0/verbs", "[]"),
        "rules[0].verbs: Required value",
    ),
];

const DEVICES: &[&Case] = &[
    &case(
        "resource.k8s.io/v1 deviceclasses",
        "spec: {selectors: [{cel: {expression: 'true'}}]}",
        ("/spec/selectors/0/cel/expression", "1 +"),
        "spec.selectors[0].cel.expression: Invalid value",
    ),
    &case(
        "resource.k8s.io/v1 resourceclaims",
        "spec: {devices: {requests: [{name: r, exactly: {deviceClassName: c, allocationMode: ExactCount, count: 1}}]}}",
        ("/spec/devices/requests/0/exactly/deviceClassName", "''"),
        "spec.devices.requests[0].exactly.deviceClassName: Required value",
    ),
    &case(
        "resource.k8s.io/v1 resourceclaimtemplates",
        "spec: {spec: {devices: {requests: [{name: r, exactly: {deviceClassName: c, allocationMode: ExactCount, count: 1}}]}}}",
        ("/spec/spec/devices/requests/0/exactly/deviceClassName", "''"),
        "spec.spec.devices.requests[0].exactly.deviceClassName: Required value",
    ),
    &case(
        "resource.k8s.io/v1 resourceslices",
        "spec: {driver: d.example.com, nodeName: n, pool: {name: p, generation: 1, resourceSliceCount: 1}, devices: [{name: d}]}",
        ("/spec/driver", "''"),
        "spec.driver: Required value",
    ),
];

const STORAGE: &[&Case] = &[
    &case(
        "storage.k8s.io/v1 csidrivers",
        "spec: {attachRequired: false}",
        ("/spec/volumeLifecycleModes", "[X]"),
        "Unsupported value: \"X\"",
    ),
    &case(
        "storage.k8s.io/v1 csinodes",
        "spec: {drivers: [{name: d.example.com, nodeID: n}]}",
        ("/spec/drivers/0/nodeID", "''"),
        "spec.drivers[0].nodeID: Required value",
    ),
    &case(
        "storage.k8s.io/v1 csistoragecapacities",
        "{storageClassName: c, capacity: 1Gi}",
        ("/storageClassName", "''"),
        "storageClassName: Invalid value",
    ),
    &case(
        "storage.k8s.io/v1 storageclasses",
        "provisioner: example.com/p",
        ("/reclaimPolicy", "X"),
        "reclaimPolicy: Unsupported value: \"X\"",
    ),
    &case(
        "storage.k8s.io/v1 volumeattachments",
        "spec: {attacher: a.example.com, nodeName: n, source: {persistentVolumeName: p}}",
        ("/spec/attacher", "''"),
        "spec.attacher: Required value",
    )
    .status("{attached: true}"),
    &case(
        "storage.k8s.io/v1 volumeattributesclasses",
        "{driverName: d.example.com, parameters: {a: b}}",
        ("/driverName", "''"),
        "driverName: Required value",
    ),
];
