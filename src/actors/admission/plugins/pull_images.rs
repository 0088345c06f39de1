//! AlwaysPullImages: nobody gets at an image that is on a node already without the right to pull it.
use crate::actors::admission::refusal::{forbidden, list};
use crate::actors::kinds::Attributes;
use crate::protocol::status::ApiError;
use serde_json::Value;

const LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// Sets the pull policy of every container.
pub fn mutate(pod: &mut Value) {
    for field in LISTS {
        for container in pod["spec"].get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
            container["imagePullPolicy"] = "Always".into();
        }
    }
}

/// Refuses a pod whose policy somebody has changed back.
pub fn validate(a: &Attributes<'_>, pod: &Value) -> Result<(), ApiError> {
    for field in LISTS {
        for (i, container) in list(&pod["spec"], field).iter().enumerate() {
            if container["imagePullPolicy"] != "Always" {
                let value = &container["imagePullPolicy"];
                let why = format!("spec.{field}[{i}].imagePullPolicy: Unsupported value: {value}: supported values: \"Always\"");
                return Err(forbidden(a, Some(pod), &why));
            }
        }
    }
    Ok(())
}
