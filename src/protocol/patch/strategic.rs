//! Strategic merge patch: a merge patch that knows which lists are sets of named things, and has directives.
use super::PatchError;
use super::keys::{self, ListRule, Strategy};
use super::order::{agrees, arrange, identity, positions};
use serde_json::{Map, Value};
use std::collections::HashSet;

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder";
const DELETE_PRIMITIVES: &str = "$deleteFromPrimitiveList";

type Object = Map<String, Value>;

/// Applies `patch` to an object of a built-in kind. `kind_type` is the Go name of the kind (`Deployment`), by which list rules are
/// found in [`keys`]. The current object is not changed; the result still has to pass the typed check.
pub fn apply_strategic(current: &Value, patch: &Value, kind_type: &str) -> Result<Value, PatchError> {
    let Some(patch) = patch.as_object() else {
        return Err(PatchError::Malformed("invalid JSON document".into()));
    };
    let mut object = match current {
        Value::Object(members) => members.clone(),
        _ => Object::new(),
    };
    merge_object(&mut object, patch.clone(), Some(kind_type))?;
    Ok(object.into())
}

fn merge_object(object: &mut Object, mut patch: Object, of: Option<&str>) -> Result<(), PatchError> {
    if let Some(directive) = patch.remove(DIRECTIVE) {
        match directive.as_str() {
            Some("replace") => {
                *object = clean_members(patch);
                return Ok(());
            }
            Some("delete") => {
                object.clear();
                return Ok(());
            }
            // The default, said aloud.
            Some("merge") => {}
            _ => return Err(bad_directive(&directive, &patch)),
        }
    }
    retain_keys(object, &mut patch)?;
    merge_ordered_lists(object, &mut patch, of)?;
    for (key, value) in patch {
        if key.starts_with(DELETE_PRIMITIVES) {
            delete_primitives(object, &key, &value)?;
        } else {
            merge_member(object, key, value, of)?;
        }
    }
    Ok(())
}

fn merge_member(object: &mut Object, key: String, value: Value, of: Option<&str>) -> Result<(), PatchError> {
    if value.is_null() {
        object.remove(&key);
        return Ok(());
    }
    let rule = of.and_then(|of| keys::list_rule(of, &key));
    let child = of.and_then(|of| keys::child_type(of, &key));
    match (object.get_mut(&key), value) {
        (Some(Value::Object(_)), Value::Object(members)) if rule.is_some_and(|r| r.strategy == Some(Strategy::Replace)) => {
            object.insert(key, clean_members(members).into());
        }
        (Some(Value::Object(inner)), Value::Object(members)) => merge_object(inner, members, child)?,
        (Some(Value::Array(items)), Value::Array(patch)) => {
            let merged = merge_list(std::mem::take(items), patch, rule, child)?;
            object.insert(key, merged.into());
        }
        (_, value) => match clean(value) {
            Some(value) => {
                object.insert(key, value);
            }
            None => {
                object.remove(&key);
            }
        },
    }
    Ok(())
}

/// `$retainKeys`: members of the object that the list doesn't name are dropped; the patch may only set named ones.
fn retain_keys(object: &mut Object, patch: &mut Object) -> Result<(), PatchError> {
    let Some(list) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let list = list.as_array().ok_or(PatchError::RetainKeys)?;
    let kept: HashSet<&str> = list.iter().filter_map(Value::as_str).collect();
    let stray = |(key, value): (&String, &Value)| !value.is_null() && !key.starts_with('$') && !kept.contains(key.as_str());
    if patch.iter().any(stray) {
        return Err(PatchError::RetainKeys);
    }
    object.retain(|key, _| kept.contains(key.as_str()));
    Ok(())
}

/// `$setElementOrder/<list>`: merges that list, if the patch has it, and puts the items in the stated order.
fn merge_ordered_lists(object: &mut Object, patch: &mut Object, of: Option<&str>) -> Result<(), PatchError> {
    let directives: Vec<String> = patch.keys().filter(|k| k.starts_with(ORDER)).cloned().collect();
    for directive in directives {
        let Some(Value::Array(order)) = patch.remove(&directive) else { return Err(PatchError::SetElementOrder) };
        let field = list_name(&directive, ORDER).ok_or(PatchError::SetElementOrder)?;
        let rule = of.and_then(|of| keys::list_rule(of, field));
        let merge_key = rule.and_then(|r| r.merge_key);
        let before = match object.get(field) {
            Some(Value::Array(items)) => Some(items.clone()),
            Some(_) => return Err(PatchError::SetElementOrder),
            None => None,
        };
        let change = match patch.remove(field) {
            Some(Value::Array(items)) => Some(items),
            // A null here deletes the list; there is nothing left to order.
            Some(Value::Null) => {
                object.remove(field);
                continue;
            }
            Some(_) => return Err(PatchError::SetElementOrder),
            None => None,
        };
        let stated = change.as_deref().unwrap_or_default();
        if !agrees(stated, &order, merge_key)? {
            let (list, order) = (Value::from(stated.to_vec()), Value::from(order));
            return Err(PatchError::Malformed(format!("The order in patch list:\n{list}\n doesn't match {ORDER} list:\n{order}\n")));
        }
        let child = of.and_then(|of| keys::child_type(of, field));
        let merged = match (&before, change) {
            (None, None) => continue,
            (Some(items), None) => items.clone(),
            (None, Some(items)) => clean_items(items),
            (Some(items), Some(change)) => merge_list(items.clone(), change, rule, child)?,
        };
        let arranged = arrange(merged, &order, before.as_deref().unwrap_or_default(), merge_key)?;
        object.insert(field.to_string(), arranged.into());
    }
    Ok(())
}

/// `$deleteFromPrimitiveList/<list>`: takes plain values out of a list.
fn delete_primitives(object: &mut Object, directive: &str, values: &Value) -> Result<(), PatchError> {
    let field = list_name(directive, DELETE_PRIMITIVES).ok_or(PatchError::PrimitiveList)?;
    let values = values.as_array().ok_or(PatchError::PrimitiveList)?;
    let gone = positions(values, None)?;
    if let Some(Value::Array(items)) = object.get_mut(field) {
        items.retain(|item| !gone.contains_key(&item.to_string()));
    }
    Ok(())
}

/// `finalizers` of `$setElementOrder/finalizers`.
fn list_name<'a>(directive: &'a str, prefix: &str) -> Option<&'a str> {
    directive.strip_prefix(prefix)?.strip_prefix('/').filter(|name| !name.is_empty())
}

fn merge_list(items: Vec<Value>, patch: Vec<Value>, rule: Option<&ListRule>, child: Option<&str>) -> Result<Vec<Value>, PatchError> {
    let Some(rule) = rule.filter(|r| r.strategy.is_some_and(Strategy::merges)) else { return Ok(clean_items(patch)) };
    if items.is_empty() && patch.is_empty() {
        return Ok(items);
    }
    let all = || items.iter().chain(&patch);
    if all().any(Value::is_array) {
        return Err(PatchError::ListOfLists);
    }
    if all().all(|i| !i.is_object()) {
        let mut merged = items.clone();
        let mut seen: HashSet<String> = items.iter().map(Value::to_string).collect();
        merged.extend(patch.iter().filter(|p| seen.insert(p.to_string())).cloned());
        return arrange(merged, &patch, &items, None);
    }
    if !all().all(Value::is_object) {
        return Err(PatchError::Malformed("list element types are not identical".into()));
    }
    let Some(key) = rule.merge_key else { return Err(PatchError::Malformed("cannot merge lists without merge key".into())) };
    merge_items(items, patch, key, child)
}

/// Merges a list of objects by their merge key.
fn merge_items(mut items: Vec<Value>, patch: Vec<Value>, key: &str, child: Option<&str>) -> Result<Vec<Value>, PatchError> {
    let mut changes = Vec::new();
    let mut deleted = HashSet::new();
    let mut replace = false;
    for item in patch {
        match item.get(DIRECTIVE).map(|d| d.as_str().unwrap_or_default()) {
            None => changes.push(item),
            Some("delete") => {
                deleted.insert(identity(&item, Some(key))?);
            }
            Some("replace") => replace = true,
            Some("merge") => return Err(PatchError::Malformed("merging lists cannot yet be specified in the patch".into())),
            Some(_) => return Err(bad_directive(&item[DIRECTIVE], item.as_object().unwrap_or(&Object::new()))),
        }
    }
    if replace {
        return Ok(clean_items(changes));
    }
    if !deleted.is_empty() {
        items.retain(|item| identity(item, Some(key)).map_or(true, |id| !deleted.contains(&id)));
    }
    // Items of the object come from typed data and always have their key, save for what an old object may hold: those stay as they are.
    let before: Vec<Value> = items.iter().map(|item| key_only(item, key)).collect();
    let order = changes.iter().map(|item| identity(item, Some(key)).map(|_| key_only(item, key))).collect::<Result<Vec<_>, _>>()?;
    let mut places = positions(&before, Some(key))?;
    for change in changes {
        let id = identity(&change, Some(key))?;
        match (places.get(&id).and_then(|place| items.get_mut(*place)), change) {
            (Some(Value::Object(item)), Value::Object(change)) => merge_object(item, change, child)?,
            (_, change) => {
                places.insert(id, items.len());
                items.extend(clean(change));
            }
        }
    }
    arrange(items, &order, &before, Some(key))
}

/// An item reduced to what identifies it. A missing key counts as null.
fn key_only(item: &Value, key: &str) -> Value {
    let value = item.get(key).cloned().unwrap_or_default();
    Value::Object(Object::from_iter([(key.to_string(), value)]))
}

fn bad_directive(directive: &Value, item: &Object) -> PatchError {
    let directive = directive.as_str().map_or_else(|| directive.to_string(), str::to_string);
    PatchError::Directive { directive, item: Value::from(item.clone()).to_string() }
}

/// A patch value that is taken as it is: without nulls and directives. `None` when it was nothing but a directive.
fn clean(value: Value) -> Option<Value> {
    match value {
        Value::Object(members) if members.contains_key(DIRECTIVE) => None,
        Value::Object(members) => Some(clean_members(members).into()),
        Value::Array(items) => Some(clean_items(items).into()),
        other => Some(other),
    }
}

fn clean_members(members: Object) -> Object {
    let kept = members.into_iter().filter(|(key, value)| !value.is_null() && !is_directive(key));
    kept.filter_map(|(key, value)| Some((key, clean(value)?))).collect()
}

fn clean_items(items: Vec<Value>) -> Vec<Value> {
    items.into_iter().filter_map(clean).collect()
}

fn is_directive(key: &str) -> bool {
    key == DIRECTIVE || key == RETAIN_KEYS || list_name(key, ORDER).is_some() || list_name(key, DELETE_PRIMITIVES).is_some()
}
