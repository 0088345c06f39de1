//! What a MutatingAdmissionPolicy makes of an object.
use super::policy::{Mutating, Mutation};
use crate::actors::admission::expressions::{Bindings, Compiled, failed};
use crate::protocol::apply::{Schema, typed};
use crate::protocol::cel::{Budget, Defined, Definition, to_json};
use crate::protocol::codec::codec;
use crate::protocol::patch;
use crate::protocol::patch::PatchError;
use serde_json::Value;

/// Runs every mutation, each on what the one before has made, and each with a budget of its own.
///
/// # Errors
/// What could not be evaluated or applied; the object is as far as it got.
pub fn run(policy: &Mutating, bindings: &Bindings, variables: &[Definition], schema: &Schema, object: &mut Value) -> Result<(), String> {
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
                *object = applied(schema, object, configuration).map_err(|why| format!("error applying patch: {why}"))?;
                continue;
            }
        };
        *object = patched.map_err(|e| e.to_api_error().message)?;
    }
    Ok(())
}

/// The object with what a configuration says. Nothing goes away, so what could only be replaced as a whole is refused.
fn applied(schema: &Schema, object: &Value, mut configuration: Value) -> Result<Value, String> {
    for field in ["apiVersion", "kind"] {
        if let (Some(own), Some(members)) = (object.get(field), configuration.as_object_mut()) {
            members.insert(field.into(), own.clone());
        }
    }
    let mut problems: Vec<String> = typed::validate(schema, &configuration).iter().map(ToString::to_string).collect();
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    if let Some(codec) = codec(text("apiVersion"), text("kind")).filter(|_| problems.is_empty()) {
        // The table of built-in types does not list every field; who decodes them knows them all.
        let checked = codec.check_value(&configuration).map_err(|e| format!("failed to convert patch object to typed object: {e}"))?;
        problems.extend(checked.unknown.iter().map(|path| format!(".{path}: field not declared in schema")));
    }
    match problems.as_slice() {
        [] => {}
        [one] => return Err(format!("failed to convert patch object to typed object: {one}")),
        many => return Err(format!("failed to convert patch object to typed object: errors:\n  {}", many.join("\n  "))),
    }
    let whole = typed::atomics(schema, &configuration);
    if !whole.is_empty() {
        return Err(format!("invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: {}", whole.join(", ")));
    }
    Ok(typed::merge(schema, object, &configuration))
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
