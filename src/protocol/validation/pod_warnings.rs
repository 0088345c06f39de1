//! What is accepted in a pod or a template and yet is no good idea: said in `Warning:` headers, in upstream's words.
use crate::names;
use crate::quantity::Quantity;
use serde_json::Value;
use std::collections::BTreeMap;

const INSTEAD: [(&str, &str, &str); 5] = [
    ("beta.kubernetes.io/arch", "v1.14", "kubernetes.io/arch"),
    ("beta.kubernetes.io/os", "v1.14", "kubernetes.io/os"),
    ("failure-domain.beta.kubernetes.io/region", "v1.17", "topology.kubernetes.io/region"),
    ("failure-domain.beta.kubernetes.io/zone", "v1.17", "topology.kubernetes.io/zone"),
    ("beta.kubernetes.io/instance-type", "v1.17", "node.kubernetes.io/instance-type"),
];
const ANNOTATIONS: [(&str, &str); 3] = [
    ("scheduler.alpha.kubernetes.io/critical-pod", "non-functional in v1.16+; use the \"priorityClassName\" field instead"),
    ("security.alpha.kubernetes.io/sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
    ("security.alpha.kubernetes.io/unsafe-sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
];
const VOLUMES: [(&str, &str); 9] = [
    ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("gitRepo", "deprecated in v1.11"),
    ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
];
const SECCOMP: &str = "non-functional in v1.27+; use the \"seccompProfile\" field instead";
const NO_SELECTOR: &str = "a null labelSelector results in matching no pod";

/// Of a pod that is created.
pub fn pod_warnings(pod: &Value) -> Vec<String> {
    let mut said = name_warning(pod, "the Pod's hostname");
    said.extend(Warner { of: pod, path: String::new(), said: Vec::new() }.all());
    said
}

/// A new object's name that host names are made of and that is none.
pub fn name_warning(object: &Value, of: &str) -> Vec<String> {
    let findings = names::dns1123_label(text(&object["metadata"], "name"));
    if findings.is_empty() {
        return Vec::new();
    }
    let why = "which can result in surprising behavior; a DNS label is recommended";
    vec![format!("metadata.name: this is used in {of}, {why}: [{}]", findings.join(" "))]
}

/// Of a template at a path such as `spec.template`, when it is new or its object's generation is.
pub fn template_warnings(template: &Value, path: &str) -> Vec<String> {
    Warner { of: template, path: format!("{path}."), said: Vec::new() }.all()
}

/// The same, with that of the name, for kinds whose pods are called after them.
pub fn namesake_warnings(new: &Value, old: Option<&Value>, pointer: &str) -> Vec<String> {
    let mut said = if old.is_none() { name_warning(new, "Pod names and hostnames") } else { Vec::new() };
    said.extend(workload_warnings(new, old, pointer));
    said
}

/// The warnings of a template in an object, for its creation and for changes of what it asks for.
pub fn workload_warnings(new: &Value, old: Option<&Value>, pointer: &str) -> Vec<String> {
    if old.is_some_and(|old| old["metadata"]["generation"] == new["metadata"]["generation"]) {
        return Vec::new();
    }
    new.pointer(pointer).map_or_else(Vec::new, |template| template_warnings(template, &pointer.trim_start_matches('/').replace('/', ".")))
}

struct Warner<'a> {
    of: &'a Value,
    /// Empty, or with a dot at its end.
    path: String,
    said: Vec<String>,
}

/// The items of a list, with their places.
fn items(list: &Value) -> impl Iterator<Item = (usize, &Value)> {
    list.as_array().into_iter().flatten().enumerate()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// Why a label of nodes should not be used any more.
fn outdated(label: &str) -> Option<String> {
    let (_, since, instead) = INSTEAD.iter().find(|(old, _, _)| *old == label)?;
    Some(format!("deprecated since {since}; use \"{instead}\" instead"))
}

impl Warner<'_> {
    fn all(mut self) -> Vec<String> {
        let spec = &self.of["spec"];
        self.node_labels(spec);
        self.annotations(spec);
        self.volumes(spec);
        self.repeated(spec, "hostAliases", "ip");
        self.repeated(spec, "imagePullSecrets", "name");
        for (at, secret) in items(&spec["imagePullSecrets"]) {
            if text(secret, "name").is_empty() {
                self.say(format!("spec.imagePullSecrets[{at}].name"), "invalid empty name \"\"");
            }
        }
        self.fractions(&spec["overhead"], "spec.overhead");
        let containers = ["initContainers", "containers", "ephemeralContainers"];
        let containers: Vec<(String, &Value)> =
            containers.iter().flat_map(|list| items(&spec[*list]).map(move |(at, c)| (format!("spec.{list}[{at}]"), c))).collect();
        for (path, container) in &containers {
            self.container(path, container);
        }
        self.ports(&containers);
        if spec["terminationGracePeriodSeconds"].as_i64().is_some_and(|s| s < 0) {
            self.say("spec.terminationGracePeriodSeconds", "must be >= 0; negative values are invalid and will be treated as 1");
        }
        self.selectors(spec);
        self.said
    }

    fn say(&mut self, path: impl AsRef<str>, what: impl AsRef<str>) {
        self.said.push(format!("{}{}: {}", self.path, path.as_ref(), what.as_ref()));
    }

    fn node_labels(&mut self, spec: &Value) {
        for key in spec["nodeSelector"].as_object().into_iter().flatten().map(|(key, _)| key) {
            if let Some(why) = outdated(key) {
                self.say(format!("spec.nodeSelector[{key}]"), why);
            }
        }
        let affinity = &spec["affinity"]["nodeAffinity"];
        if affinity.is_object() {
            let required = "requiredDuringSchedulingIgnoredDuringExecution";
            for (at, term) in items(&affinity[required]["nodeSelectorTerms"]) {
                self.node_term(term, &format!("spec.affinity.nodeAffinity.{required}.nodeSelectorTerms[{at}]"));
            }
            let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
            for (at, term) in items(&affinity[preferred]) {
                self.node_term(&term["preference"], &format!("spec.affinity.nodeAffinity.{preferred}[{at}].preference"));
            }
        }
        for (at, constraint) in items(&spec["topologySpreadConstraints"]) {
            let (path, key) = (format!("spec.topologySpreadConstraints[{at}]"), text(constraint, "topologyKey"));
            if let Some(why) = outdated(key) {
                self.say(format!("{path}.topologyKey"), format!("{key} is {why}"));
            }
            if constraint["labelSelector"].is_null() {
                self.say(format!("{path}.labelSelector"), NO_SELECTOR);
            }
        }
    }

    fn node_term(&mut self, term: &Value, path: &str) {
        for (at, expression) in items(&term["matchExpressions"]) {
            let key = text(expression, "key");
            if let Some(why) = outdated(key) {
                self.say(format!("{path}.matchExpressions[{at}].key"), format!("{key} is {why}"));
            }
        }
    }

    fn annotations(&mut self, spec: &Value) {
        let annotations = &self.of["metadata"]["annotations"];
        if annotations.is_null() {
            return;
        }
        for (key, why) in ANNOTATIONS.iter().filter(|(key, _)| !annotations[*key].is_null()) {
            self.say(format!("metadata.annotations[{key}]"), why);
        }
        let key = "seccomp.security.alpha.kubernetes.io/pod";
        if spec["securityContext"]["seccompProfile"].is_null() && !annotations[key].is_null() {
            self.say(format!("metadata.annotations[{key}]"), SECCOMP);
        }
    }

    fn volumes(&mut self, spec: &Value) {
        for (at, volume) in items(&spec["volumes"]) {
            for (source, why) in VOLUMES.iter().filter(|(source, _)| !volume[*source].is_null()) {
                let shown = if *source == "storageos" { "storageOS" } else { source };
                self.say(format!("spec.volumes[{at}].{shown}"), why);
            }
        }
    }

    /// A field that two items of a list share.
    fn repeated(&mut self, spec: &Value, list: &str, field: &str) {
        let mut seen = Vec::new();
        for (at, item) in items(&spec[list]) {
            let value = text(item, field);
            if seen.contains(&value) {
                self.say(format!("spec.{list}[{at}].{field}"), format!("duplicate {field} {value:?}"));
            }
            seen.push(value);
        }
    }

    /// Bytes come in one piece.
    fn fractions(&mut self, amounts: &Value, path: &str) {
        for resource in ["memory", "ephemeral-storage"] {
            let Some(amount) = amounts[resource].as_str() else { continue };
            if amount.parse::<Quantity>().is_ok_and(|quantity| !quantity.is_whole()) {
                self.say(format!("{path}[{resource}]"), format!("fractional byte value {amount:?} is invalid, must be an integer"));
            }
        }
    }

    fn container(&mut self, path: &str, container: &Value) {
        let (name, context) = (text(container, "name"), &container["securityContext"]);
        let annotations = &self.of["metadata"]["annotations"];
        if annotations.is_object() {
            let key = format!("container.seccomp.security.alpha.kubernetes.io/{name}");
            if context["seccompProfile"].is_null() && !annotations[&key].is_null() {
                self.say(format!("metadata.annotations[{key}]"), SECCOMP);
            }
            let key = format!("container.apparmor.security.beta.kubernetes.io/{name}");
            let has_field = [&self.of["spec"]["securityContext"], context].iter().any(|c| !c["appArmorProfile"].is_null());
            // A pod's own annotation is turned into the field.
            if !self.path.is_empty() && !has_field && !annotations[&key].is_null() {
                self.say(format!("metadata.annotations[{key}]"), "deprecated since v1.30; use the \"appArmorProfile\" field instead");
            }
        }
        for part in ["limits", "requests"] {
            self.fractions(&container["resources"][part], &format!("{path}.resources.{part}"));
        }
        let mut seen = Vec::new();
        for (at, variable) in items(&container["env"]) {
            let (name, value) = (text(variable, "name"), text(variable, "value"));
            let before = format!("$({name})");
            // A value that adds to the one before is meant so.
            let adds = variable["valueFrom"].is_null() && value != before && value.contains(&before);
            if seen.contains(&name) && !adds {
                let why = format!("hides previous definition of {name:?}, which may be dropped when using apply");
                self.say(format!("{path}.env[{at}]"), why);
            }
            seen.push(name);
        }
    }

    fn ports(&mut self, containers: &[(String, &Value)]) {
        let mut known: BTreeMap<(i64, &str), Vec<(String, &Value)>> = BTreeMap::new();
        for (path, container) in containers {
            for (at, port) in items(&container["ports"]) {
                let path = format!("{path}.ports[{at}]");
                let (number, host_port) = (port["containerPort"].as_i64().unwrap_or_default(), host_port(port));
                let (protocol, host_ip) = (text(port, "protocol"), text(port, "hostIP"));
                if !host_ip.is_empty() && host_port == 0 {
                    let name = text(port, "name");
                    let shown = format!("{{Name:{name} HostPort:0 ContainerPort:{number} Protocol:{protocol} HostIP:{host_ip}}}");
                    self.say(&path, format!("hostIP set without hostPort: {shown}"));
                }
                let others = known.entry((number, protocol)).or_default();
                let clashes: Vec<String> =
                    others.iter().filter_map(|(other, of)| Some(format!("{} {}{other}", clash(port, of)?, self.path))).collect();
                clashes.into_iter().for_each(|clash| self.say(&path, clash));
                others.push((path, port));
            }
        }
    }

    fn selectors(&mut self, spec: &Value) {
        for kind in ["podAffinity", "podAntiAffinity"].into_iter().filter(|kind| spec["affinity"][*kind].is_object()) {
            let affinity = &spec["affinity"][kind];
            for (list, inner) in [
                ("requiredDuringSchedulingIgnoredDuringExecution", ""),
                ("preferredDuringSchedulingIgnoredDuringExecution", "podAffinityTerm"),
            ] {
                for (at, term) in items(&affinity[list]) {
                    let (term, dot) = if inner.is_empty() { (term, "") } else { (&term[inner], ".") };
                    if term["labelSelector"].is_null() {
                        self.say(format!("spec.affinity.{kind}.{list}[{at}]{dot}{inner}.labelSelector"), NO_SELECTOR);
                    }
                }
            }
        }
    }
}

fn host_port(port: &Value) -> i64 {
    port["hostPort"].as_i64().unwrap_or_default()
}

/// How two definitions of one port get into each other's way.
fn clash(port: &Value, other: &Value) -> Option<&'static str> {
    let (ours, theirs) = (text(port, "hostIP"), text(other, "hostIP"));
    if ours == theirs && host_port(port) == host_port(other) {
        Some("duplicate port definition with")
    } else if host_port(port) == 0 || host_port(other) == 0 {
        Some("overlapping port definition with")
    } else if host_port(port) == host_port(other) && ours.is_empty() != theirs.is_empty() {
        Some("dangerously ambiguous port definition with")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_plain_pod_has_none() {
        let container = json!({"name": "c", "image": "x", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}],
            "ports": [{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 80, "protocol": "UDP"}],
            "resources": {"limits": {"memory": "64Mi"}}});
        assert_eq!(pod_warnings(&json!({"metadata": {"name": "a"}, "spec": {"containers": [container]}})), Vec::<String>::new());
    }

    #[test]
    fn what_is_doubtful_is_said_with_its_place() {
        let container = json!({"name": "c", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
            "ports": [{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 80, "protocol": "TCP"},
                {"containerPort": 81, "protocol": "TCP", "hostIP": "10.0.0.1"}],
            "resources": {"requests": {"memory": "100m"}}});
        let term = json!({"topologyKey": "x"});
        let spec = json!({"containers": [container], "nodeSelector": {"beta.kubernetes.io/os": "linux"},
            "volumes": [{"name": "g", "gitRepo": {}}], "imagePullSecrets": [{"name": "a"}, {"name": "a"}],
            "terminationGracePeriodSeconds": -1,
            "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term],
                "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": term}]}}});
        let pod = json!({"metadata": {"name": "a", "annotations": {"seccomp.security.alpha.kubernetes.io/pod": "x"}}, "spec": spec});
        let said = [
            "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead",
            "metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]: non-functional in v1.27+; use the \"seccompProfile\" field instead",
            "spec.volumes[0].gitRepo: deprecated in v1.11",
            "spec.imagePullSecrets[1].name: duplicate name \"a\"",
            "spec.containers[0].resources.requests[memory]: fractional byte value \"100m\" is invalid, must be an integer",
            "spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when using apply",
            "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",
            "spec.containers[0].ports[2]: hostIP set without hostPort: {Name: HostPort:0 ContainerPort:81 Protocol:TCP HostIP:10.0.0.1}",
            "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
            "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector: a null labelSelector results in matching no pod",
            "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.labelSelector: a null labelSelector results in matching no pod",
        ];
        assert_eq!(pod_warnings(&pod), said);
        let set = json!({"metadata": {"generation": 2}, "spec": {"template": pod}});
        let of_template = workload_warnings(&set, Some(&json!({"metadata": {"generation": 1}})), "/spec/template");
        assert!(
            of_template[0].starts_with("spec.template.spec.nodeSelector[")
                && of_template[6].ends_with("with spec.template.spec.containers[0].ports[0]")
        );
        assert!(workload_warnings(&set, Some(&set), "/spec/template").is_empty(), "nothing new was asked for");
    }
}
