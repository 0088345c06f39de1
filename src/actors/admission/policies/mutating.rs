//! What a MutatingAdmissionPolicy makes of an object.
use super::policy::{Compiled, Mutating, Mutation};
use crate::actors::admission::expressions::Bindings;
use crate::actors::kinds::Kind;
use crate::protocol::patch;
use serde_json::Value;

/// Runs every mutation, each on what the one before has made.
///
/// # Errors
/// What could not be evaluated or applied; the object is as far as it got.
pub fn run(
    policy: &Mutating,
    bindings: &Bindings,
    variables: &[(String, Compiled)],
    kind: &Kind,
    object: &mut Value,
) -> Result<(), String> {
    for mutation in &policy.mutations {
        let mut bindings = bindings.clone();
        bindings.set("object", object);
        for (name, variable) in variables {
            if let Ok(expression) = variable {
                bindings.define(name, expression);
            }
        }
        let evaluate = |compiled: &Compiled| match compiled {
            Ok(expression) => {
                let failed = |why| format!("expression '{}' resulted in error: {why}", expression.source().trim());
                expression.json(&bindings).map_err(failed)
            }
            Err(why) => Err(format!("compilation error: {why}")),
        };
        let patched = match mutation {
            Mutation::JsonPatch(expression) => patch::apply_json(object, &evaluate(expression)?),
            Mutation::Apply(expression) => {
                let configuration = evaluate(expression)?;
                refuse_identity(&configuration)?;
                // A strategic merge is an apply for everything that a configuration can say.
                match kind.schema {
                    "" => patch::apply_merge(object, &configuration),
                    schema => patch::apply_strategic(object, &configuration, schema),
                }
            }
        };
        *object = patched.map_err(|e| e.to_api_error().message)?;
    }
    Ok(())
}

/// A configuration changes an object; it does not make it another one.
fn refuse_identity(configuration: &Value) -> Result<(), String> {
    for field in ["name", "namespace", "uid", "generateName"] {
        if configuration["metadata"].get(field).is_some() {
            return Err(format!("may not set metadata.{field} in an apply configuration"));
        }
    }
    Ok(())
}
