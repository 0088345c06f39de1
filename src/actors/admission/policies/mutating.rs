//! What a MutatingAdmissionPolicy makes of an object.
use super::policy::{Mutating, Mutation};
use crate::actors::admission::expressions::{Bindings, Compiled, failed};
use crate::protocol::cel::{Budget, Defined, Definition, to_json};
use crate::protocol::patch;
use crate::protocol::patch::PatchError;
use serde_json::Value;

/// Runs every mutation, each on what the one before has made, and each with a budget of its own.
///
/// # Errors
/// What could not be evaluated or applied; the object is as far as it got.
pub fn run(policy: &Mutating, bindings: &Bindings, variables: &[Definition], schema: &str, object: &mut Value) -> Result<(), String> {
    for mutation in &policy.mutations {
        let mut bindings = bindings.clone();
        bindings.set("object", object);
        let patched = match mutation {
            Mutation::JsonPatch(expression) => {
                let patch = evaluate(expression, &bindings, variables)?;
                if !patch.is_array() {
                    return Err("type mismatch: JSONPatchType.expression should evaluate to array".into());
                }
                match patch::apply_json(object, &patch) {
                    // A test that fails: the patch is not meant for this object.
                    Err(PatchError::TestFailed(_)) => continue,
                    patched => patched,
                }
            }
            Mutation::Apply(expression) => {
                let configuration = evaluate(expression, &bindings, variables)?;
                if !configuration.is_object() {
                    return Err("unsupported return type from ApplyConfiguration expression: must evaluate to Object".into());
                }
                refuse_identity(&configuration)?;
                // A strategic merge is an apply for everything that a configuration can say.
                match schema {
                    "" => patch::apply_merge(object, &configuration),
                    schema => patch::apply_strategic(object, &configuration, schema),
                }
            }
        };
        *object = patched.map_err(|e| e.to_api_error().message)?;
    }
    Ok(())
}

fn evaluate(compiled: &Compiled, bindings: &Bindings, variables: &[Definition]) -> Result<Value, String> {
    let program = compiled.as_ref().map_err(|why| format!("compilation error: {why}"))?;
    let scope = Defined::new(bindings.values(), variables);
    let value = program.evaluate(&scope, &mut Budget::default()).map_err(|fault| failed(program, fault))?;
    to_json(&value).ok_or_else(|| failed(program, "the result can't be written as JSON"))
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
