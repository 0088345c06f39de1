//! Inputs for the write path: created, viewed, updated and patched objects of a kind that chance picks.
use super::corpus::{Corpus, Seeded, custom_kinds};
use super::mutate::{Source, bytes};
use super::objects::{self, Outcome};
use super::odd;
use super::random::Random;
use super::{conform, managers};
use crate::actors::kinds::{Kind, Part, Patch};
use serde_json::{Value, json};

/// Whether the object was taken.
pub fn object(random: &mut Random, corpus: &Corpus, target: &mut &'static str, name: &mut String) -> Outcome<bool> {
    let seeded = random.pick(&corpus.kinds);
    let resource = &seeded.kind.resource;
    let source = Source { models: &corpus.models, seeds: &corpus.bodies };
    *name = format!("{} {}", resource.api_version(), resource.kind);
    if seeded.bodies.is_empty() {
        return Ok(false);
    }
    if random.one_in(2) {
        *target = "create";
        return created(random, corpus, seeded, &source);
    }
    changed(random, corpus, seeded, &source, target)
}

fn created(random: &mut Random, corpus: &Corpus, seeded: &Seeded, source: &Source<'_>) -> Outcome<bool> {
    let (kind, stored_as) = (&*seeded.kind, &*seeded.stored_as);
    let mut body = random.pick(&seeded.bodies).clone();
    source.object(random, &mut body, corpus.models.of(kind));
    let Some(object) = objects::create(kind, stored_as, body.to_string().as_bytes())? else { return Ok(false) };
    objects::holds(stored_as, &object)?;
    looks_as_published(corpus, stored_as, &object)?;
    if kind.view.is_some() {
        objects::viewed(kind, &object)?;
    }
    if kind.resource.kind == "CustomResourceDefinition" && kind.view.is_none() {
        defined(random, corpus, source, &object)?;
    }
    Ok(true)
}

/// An accepted definition makes kinds, and these take objects or refuse them.
fn defined(random: &mut Random, corpus: &Corpus, source: &Source<'_>, definition: &Value) -> Outcome<()> {
    let kinds = custom_kinds(definition).map_err(|e| format!("an accepted definition makes no kind: {e}"))?;
    let Some(kind) = kinds.first() else { return Ok(()) };
    let seed = corpus.bodies.iter().find(|b| b["kind"] == "CronTab").ok_or("no object")?;
    for _ in 0..2 {
        let mut body = seed.clone();
        body["apiVersion"] = kind.resource.api_version().into();
        body["kind"] = kind.resource.kind.into();
        if random.one_in(2) {
            source.object(random, &mut body, Some(&definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]));
        }
        if let Some(object) = objects::create(kind, kind, body.to_string().as_bytes())? {
            objects::holds(kind, &object)?;
        }
    }
    Ok(())
}

fn looks_as_published(corpus: &Corpus, kind: &Kind, object: &Value) -> Outcome<()> {
    let Some(schema) = corpus.models.of(kind) else { return Ok(()) };
    match conform::wrong(&corpus.models, schema, object, "") {
        Some(wrong) => Err(format!("an object isn't as published: {wrong}")),
        None => Ok(()),
    }
}

fn changed(random: &mut Random, corpus: &Corpus, seeded: &Seeded, source: &Source<'_>, target: &mut &'static str) -> Outcome<bool> {
    *target = "change";
    // What is shown by a view is written through it; here only what is stored counts.
    let kind = &*seeded.stored_as;
    if seeded.stored.is_empty() {
        return Ok(false);
    }
    let old = random.pick(&seeded.stored);
    let part = part(random, kind);
    let schema = corpus.models.of(kind);
    if random.one_in(5) {
        *target = "update";
        let mut body = old.clone();
        source.object(random, &mut body, schema);
        let Ok(checked) = kind.check_value(&body) else { return Ok(false) };
        let Some(next) = objects::update(kind, part, old, checked.value)? else { return Ok(false) };
        looks_as_published(corpus, kind, &next)?;
        return objects::settles(kind, part, &next).map(|()| true);
    }
    let Some(patch) = patch(random, source, kind, old, schema) else { return Ok(false) };
    *target = match &patch {
        Patch::Json(_) => "json patch",
        Patch::Merge(_) => "merge patch",
        Patch::Strategic(_) => "strategic merge patch",
        Patch::Apply { .. } => "apply",
    };
    let config = if let Patch::Apply { config, .. } = &patch { Some(config.clone()) } else { None };
    let Some(next) = objects::edit(kind, part, old, patch)? else { return Ok(false) };
    objects::settles(kind, part, &next)?;
    looks_as_published(corpus, kind, &next)?;
    managers::consistent(&next)?;
    if let Some(config) = config {
        managers::again(kind, part, &next, &config)?;
    }
    Ok(true)
}

fn part(random: &mut Random, kind: &Kind) -> Part {
    let has = |name: &str| kind.resource.subresource(name).is_some();
    match random.below(8) {
        0 | 1 if kind.has_status() => Part::Status,
        2 if has("scale") => Part::Scale,
        3 if has("finalize") => Part::Finalize,
        3 if has("approval") => Part::Approval,
        3 if has("ephemeralcontainers") => Part::EphemeralContainers,
        4 if has("resize") => Part::Resize,
        5 if has("binding") => Part::Binding,
        _ => Part::Main,
    }
}

fn patch(random: &mut Random, source: &Source<'_>, kind: &Kind, old: &Value, schema: Option<&Value>) -> Option<Patch> {
    Some(match random.below(4) {
        0 => Patch::Json(operations(random, source, old)),
        1 => Patch::Merge(partial(random, source, old, schema)),
        2 if !kind.schema.is_empty() => {
            let mut patch = partial(random, source, old, schema);
            directives(random, &mut patch);
            Patch::Strategic(patch)
        }
        _ => {
            let mut config = partial(random, source, old, schema);
            if config.is_object() && config.get("metadata").is_none_or(Value::is_object) && !random.one_in(10) {
                config["apiVersion"] = kind.resource.api_version().into();
                config["kind"] = kind.resource.kind.into();
                config["metadata"]["name"] = old["metadata"]["name"].clone();
            }
            let text = serde_yaml::to_string(&config).ok()?;
            let text = if random.one_in(8) { bytes(random, text.as_bytes()) } else { text.into_bytes() };
            let config = crate::protocol::codec::yaml_to_json(&text).ok()?;
            Patch::Apply { config: serde_json::from_slice(&config).ok()?, force: random.one_in(2) }
        }
    })
}

/// A changed object, or a part of one.
fn partial(random: &mut Random, source: &Source<'_>, old: &Value, schema: Option<&Value>) -> Value {
    let mut body = old.clone();
    source.object(random, &mut body, schema);
    if let (Value::Object(members), false) = (&mut body, random.one_in(4)) {
        for key in ["metadata", "spec", "status"] {
            if random.one_in(2) {
                members.remove(key);
            }
        }
    }
    body
}

/// Puts a directive of strategic merge patches somewhere.
fn directives(random: &mut Random, patch: &mut Value) {
    const WORDS: &[&str] = &[
        "$patch",
        "$retainKeys",
        "$setElementOrder/containers",
        "$deleteFromPrimitiveList/finalizers",
        "$setElementOrder/ports",
        "$deleteFromPrimitiveList/args",
        "$setElementOrder/env",
    ];
    match patch {
        Value::Object(members) if members.is_empty() || random.one_in(3) => {
            let word = *random.pick(WORDS);
            let value = match (word, random.below(4)) {
                (_, 0) => odd::value(random),
                ("$patch", _) => json!(["delete", "replace", "merge", "x"][random.below(4)]),
                _ => json!([{ "name": "c" }, "a", "spec"]),
            };
            members.insert(word.into(), value);
        }
        Value::Object(members) => {
            let at = random.below(members.len());
            members.values_mut().nth(at).into_iter().for_each(|inner| directives(random, inner));
        }
        Value::Array(items) if !items.is_empty() => {
            let at = random.below(items.len());
            directives(random, &mut items[at]);
        }
        _ => {}
    }
}

fn operations(random: &mut Random, source: &Source<'_>, old: &Value) -> Value {
    const NAMES: &[&str] = &["add", "remove", "replace", "move", "copy", "test", "test", "bad"];
    let count = 1 + random.below(4);
    let operations = (0..count).map(|_| {
        let mut operation = json!({ "op": random.pick(NAMES), "path": pointer(random, old), "value": source.elsewhere(random), "from": pointer(random, old) });
        if random.one_in(12) {
            let key = *random.pick(&["op", "path", "value", "from"]);
            operation[key] = odd::value(random);
        }
        operation
    });
    operations.collect()
}

/// A pointer to some place in the object, or just beside it.
fn pointer(random: &mut Random, object: &Value) -> String {
    let mut path = String::new();
    let mut place = object;
    loop {
        let (key, inner) = match place {
            Value::Object(members) if !members.is_empty() => {
                let (key, inner) = members.iter().nth(random.below(members.len())).unwrap_or_else(|| unreachable!("below the length"));
                (key.replace('~', "~0").replace('/', "~1"), inner)
            }
            Value::Array(items) if !items.is_empty() => {
                let at = random.below(items.len());
                (at.to_string(), &items[at])
            }
            _ => return path,
        };
        path = format!("{path}/{key}");
        place = inner;
        match random.below(12) {
            0..=2 => return path,
            3 => return format!("{path}/-"),
            4 => return format!("{path}/{}", odd::word(random)),
            5 => return format!("{path}/{}", odd::integer(random)),
            _ => {}
        }
    }
}
