//! A container's environment: `env`, `envFrom`, `valueFrom`, and `$(NAME)` in values, commands and arguments.
use super::object::PodObject;
use super::references::References;
use crate::protocol::quantity::Quantity;
use crate::runtime::api::RuntimeError;
use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource, ResourceFieldSelector};
use std::collections::BTreeMap;

/// What fields of a pod may refer to besides the object itself.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub node_name: String,
    pub host_ip: String,
    pub pod_ips: Vec<String>,
    /// The node's allocatable milli-CPUs and bytes: what a missing limit means.
    pub cpu_milli: i64,
    pub memory: i64,
}

/// The word for a container whose references cannot be resolved.
pub const CONFIG_ERROR: &str = "CreateContainerConfigError";

/// Every variable in order; a name given twice keeps its last value.
///
/// # Errors
/// [`CONFIG_ERROR`] with upstream's words when something referred to is missing.
pub fn environment(
    object: &PodObject,
    container: &Container,
    facts: &Facts,
    references: &References,
) -> Result<Vec<(String, String)>, RuntimeError> {
    let mut variables = Variables::default();
    for source in container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let from_map = source.config_map_ref.as_ref().map(|r| references.config_map(&r.name, r.optional == Some(true)));
        let from_secret = source.secret_ref.as_ref().map(|r| references.secret(&r.name, r.optional == Some(true)));
        for data in [from_map.transpose()?.flatten(), from_secret.transpose()?.flatten()].into_iter().flatten() {
            for (key, value) in data {
                variables.set(format!("{prefix}{key}"), String::from_utf8_lossy(value).into_owned());
            }
        }
    }
    for variable in container.env.iter().flatten() {
        if let Some(value) = value(object, container, variable, facts, references, &variables)? {
            variables.set(variable.name.clone(), value);
        }
    }
    Ok(variables.ordered)
}

/// Variables in the order of their first mention.
#[derive(Default)]
struct Variables {
    ordered: Vec<(String, String)>,
    places: BTreeMap<String, usize>,
}

impl Variables {
    fn set(&mut self, name: String, value: String) {
        match self.places.get(&name).and_then(|place| self.ordered.get_mut(*place)) {
            Some(slot) => slot.1 = value,
            None => {
                self.places.insert(name.clone(), self.ordered.len());
                self.ordered.push((name, value));
            }
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.places.get(name).and_then(|place| self.ordered.get(*place)).map(|(_, value)| value.as_str())
    }
}

fn value(
    object: &PodObject,
    container: &Container,
    variable: &EnvVar,
    facts: &Facts,
    references: &References,
    known: &Variables,
) -> Result<Option<String>, RuntimeError> {
    let Some(source) = &variable.value_from else {
        return Ok(Some(expand(variable.value.as_deref().unwrap_or_default(), |name| known.get(name).map(String::from))));
    };
    let EnvVarSource { config_map_key_ref, secret_key_ref, field_ref, resource_field_ref, .. } = source;
    if let Some(field) = field_ref {
        return pod_field(object, &field.field_path, facts).map(Some).map_err(|why| RuntimeError::new(CONFIG_ERROR, why));
    }
    if let Some(selector) = resource_field_ref {
        let named = selector.container_name.as_deref().and_then(|n| object.containers().map(|(_, c)| c).find(|c| c.name == n));
        return resource_field(named.unwrap_or(container), selector, facts).map(Some).map_err(|why| RuntimeError::new(CONFIG_ERROR, why));
    }
    let found = if let Some(key) = config_map_key_ref {
        references.key(false, &key.name, &key.key, key.optional == Some(true))?
    } else if let Some(key) = secret_key_ref {
        references.key(true, &key.name, &key.key, key.optional == Some(true))?
    } else {
        return Err(RuntimeError::new(
            CONFIG_ERROR,
            format!("the source of environment variable \"{}\" is not implemented", variable.name),
        ));
    };
    Ok(found.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
}

/// A field of the pod by its downward API path.
pub fn pod_field(object: &PodObject, path: &str, facts: &Facts) -> Result<String, String> {
    if let Some((map, key)) = path.strip_suffix("']").and_then(|p| p.split_once("['")) {
        let map = match map {
            "metadata.labels" => &object.meta.labels,
            "metadata.annotations" => &object.meta.annotations,
            _ => return Err(format!("unsupported fieldPath: {path}")),
        };
        return Ok(map.as_ref().and_then(|m| m.get(key)).cloned().unwrap_or_default());
    }
    Ok(match path {
        "metadata.name" => object.name.clone(),
        "metadata.namespace" => object.namespace.clone(),
        "metadata.uid" => object.uid.clone(),
        "metadata.labels" => lines(&object.meta.labels),
        "metadata.annotations" => lines(&object.meta.annotations),
        "spec.nodeName" => facts.node_name.clone(),
        "spec.serviceAccountName" => object.spec.service_account_name.clone().unwrap_or_default(),
        "status.hostIP" | "status.hostIPs" => facts.host_ip.clone(),
        "status.podIP" => facts.pod_ips.first().cloned().unwrap_or_default(),
        "status.podIPs" => facts.pod_ips.join(","),
        _ => return Err(format!("unsupported fieldPath: {path}")),
    })
}

/// A map as the downward API writes it: `key="value"`, a line each.
fn lines(map: &Option<BTreeMap<String, String>>) -> String {
    let line = |(key, value): (&String, &String)| format!("{key}={value:?}");
    map.iter().flatten().map(line).collect::<Vec<_>>().join("\n")
}

/// A container's request or limit, divided and rounded up; without a limit, what the node has.
pub fn resource_field(container: &Container, selector: &ResourceFieldSelector, facts: &Facts) -> Result<String, String> {
    let unsupported = || format!("unsupported container resource : {}", selector.resource);
    let (kind, resource) = selector.resource.split_once('.').ok_or_else(unsupported)?;
    let resources = container.resources.as_ref();
    let limits = resources.and_then(|r| r.limits.as_ref());
    let set = match kind {
        "limits" => limits,
        "requests" => resources.and_then(|r| r.requests.as_ref()),
        _ => return Err(unsupported()),
    };
    let parse = |text: &str| text.parse::<Quantity>().map_err(|e| e.to_string());
    let given = set.and_then(|s| s.get(resource)).map(|q| parse(&q.0)).transpose()?;
    let milli = match (given, kind, resource) {
        (Some(quantity), _, "cpu") => quantity.milli_value(),
        (Some(quantity), _, _) => quantity.value().saturating_mul(1000),
        (None, "limits", "cpu") => facts.cpu_milli,
        (None, "limits", "memory") => facts.memory.saturating_mul(1000),
        (None, _, "cpu" | "memory" | "ephemeral-storage") => 0,
        _ => return Err(unsupported()),
    };
    let divisor = selector.divisor.as_ref().map(|q| parse(&q.0)).transpose()?.filter(|q| !q.is_zero());
    let by = divisor.map_or(1000, |q| q.milli_value()).max(1);
    Ok((milli.saturating_add(by - 1) / by).to_string())
}

/// Replaces `$(NAME)` by the variable's value and `$$` by `$`; unknown names stay as they are.
pub fn expand(text: &str, lookup: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        if let Some(after) = from.strip_prefix("$$") {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = from.strip_prefix("$(").and_then(|f| f.split_once(')')) {
            match lookup(name) {
                Some(value) => out.push_str(&value),
                None => {
                    out.push_str("$(");
                    out.push_str(name);
                    out.push(')');
                }
            }
            rest = after;
        } else {
            out.push('$');
            rest = from.strip_prefix('$').unwrap_or_default();
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expansion_follows_upstream() {
        let lookup = |name: &str| (name == "A").then(|| "1".to_string());
        for (text, wanted) in [("x$(A)y", "x1y"), ("$$(A)", "$(A)"), ("$(B)", "$(B)"), ("$A $", "$A $"), ("$(A", "$(A"), ("$$$(A)", "$1")] {
            assert_eq!(expand(text, lookup), wanted, "{text}");
        }
    }
}
