//! Server-side apply: laying a configuration over an object, with an eye on who manages what.
use super::super::fieldset::Set;
use super::super::typed::{Problem, merge, to_set, to_whole_set, validate};
use super::conflict::{ApplyError, Conflict, manager_text};
use super::entry::{Entry, Fields, Operation, bring_up_to, decode, of, take};
use super::last_applied;
use super::own::Differences;
use super::prune::prune;
use super::record::{Record, same_but_managers};
use super::track::{before_first_apply, new_entry};
use super::{Rules, Writer};
use serde_json::Value;

/// kubectl's manager: the one whose client-side applies turn into server-side ones.
const KUBECTL: &str = "kubectl";

/// What is applied.
#[derive(Clone, Copy, Debug)]
pub struct Config<'a> {
    /// The object as the client sent it, without defaults.
    pub object: &'a Value,
    /// The kind that the request's path is about.
    pub kind: &'a str,
    /// Take over what others manage.
    pub force: bool,
}

/// The outcome of an apply, before defaults.
#[derive(Debug)]
pub struct Applied {
    /// The live object with the configuration laid over it, and without its managers.
    pub object: Value,
    /// The apply asks for nothing that isn't so already. Who manages what may change nevertheless.
    pub unchanged: bool,
    /// To be put into the defaulted object.
    pub record: Record,
}

/// Applies a configuration to the live object, or creates it. Afterwards default the result and call `Record::finish` on it.
///
/// # Errors
/// Conflicts with other managers, unless forced; configurations of another kind, with managers in them, or that don't fit the
/// schema; managers in the live object that nobody can read.
pub fn apply(rules: &Rules<'_>, live: Option<&Value>, config: Config<'_>, writer: &Writer<'_>) -> Result<Applied, ApplyError> {
    check(rules, &config, writer)?;
    let mut entries = match live.and_then(of) {
        Some(known) => decode(known.clone(), false)?,
        None => Vec::new(),
    };
    if let (Some(live), true) = (live, entries.is_empty()) {
        entries = before_first_apply(rules, live, writer);
    }
    bring_up_to(rules, live.unwrap_or(rules.schema.zero()), writer.api_version, &mut entries);
    let is_kubectl = writer.manager == KUBECTL;
    let upgrades = is_kubectl && !config.force && live.is_some_and(last_applied::is_there);
    let mut applied = match (attempt(rules, live, config, writer, entries.clone()), live) {
        (Err(ApplyError::Conflicts(conflicts)), Some(live)) if upgrades => {
            let Some(allowed) = last_applied::owned(rules.schema, live, writer.api_version) else {
                return Err(ApplyError::Conflicts(conflicts));
            };
            let left: Vec<Conflict> = conflicts.into_iter().filter(|c| !allowed.has(&c.path)).collect();
            if !left.is_empty() {
                return Err(ApplyError::Conflicts(left));
            }
            attempt(rules, Some(live), Config { force: true, ..config }, writer, entries)?
        }
        (outcome, _) => outcome?,
    };
    if is_kubectl && last_applied::is_there(&applied.object) {
        last_applied::set(&mut applied.object, config.object);
    }
    Ok(applied)
}

fn check(rules: &Rules<'_>, config: &Config<'_>, writer: &Writer<'_>) -> Result<(), ApplyError> {
    let text = |name: &str| config.object.get(name).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let kind_text = || kind_text(api_version, kind);
    if api_version != writer.api_version || kind != config.kind {
        return Err(ApplyError::Type(kind_text()));
    }
    if of(config.object).is_some_and(|sent| !sent.is_null()) {
        return Err(ApplyError::ManagedFields);
    }
    let problems = validate(rules.schema, config.object);
    if problems.is_empty() {
        return Ok(());
    }
    Err(ApplyError::Patch { object: named(config.object, &kind_text()), problems })
}

fn kind_text(api_version: &str, kind: &str) -> String {
    let slash = if api_version.contains('/') { "" } else { "/" };
    format!("{slash}{api_version}, Kind={kind}")
}

/// `namespace/name; apps/v1, Kind=Deployment`
fn named(object: &Value, kind: &str) -> String {
    let meta = |name: &str| object.get("metadata").and_then(|m| m.get(name)).and_then(Value::as_str).unwrap_or_default();
    format!("{}/{}; {kind}", meta("namespace"), meta("name"))
}

/// The refusal of a configuration with fields that its kind does not have, given as `spec.foo`.
pub fn undeclared(config: &Value, fields: &[String]) -> ApplyError {
    let text = |field: &str| config.get(field).and_then(Value::as_str).unwrap_or_default();
    let problem = |field: &String| Problem { path: format!(".{field}"), message: "field not declared in schema".into() };
    let object = named(config, &kind_text(text("apiVersion"), text("kind")));
    ApplyError::Patch { object, problems: fields.iter().map(problem).collect() }
}

fn attempt(
    rules: &Rules<'_>,
    live: Option<&Value>,
    config: Config<'_>,
    writer: &Writer<'_>,
    mut entries: Vec<Entry>,
) -> Result<Applied, ApplyError> {
    let mut object = match live {
        Some(live) => merge(rules.schema, live, config.object),
        None => config.object.clone(),
    };
    take(&mut object);
    let me = new_entry(writer, Operation::Apply, rules.reset.filter(to_set(rules.schema, config.object)));
    let last = entries.iter().position(|e| e.is_same(&me)).map(|at| entries.remove(at));
    if let Some(last) = &last {
        let applied = rules.reset.filter(to_whole_set(rules.schema, config.object));
        object = prune(rules, object, &entries, last, (writer.api_version, &applied));
    }
    let mut differences = Differences::new(rules, live.unwrap_or(rules.schema.zero()), &object);
    let conflicts = take_over(rules, live, &object, writer, &mut entries, &mut differences);
    if !config.force && !conflicts.is_empty() {
        return Err(ApplyError::Conflicts(conflicts));
    }
    let unchanged = live.is_some_and(|live| same_but_managers(live, &object));
    let time = if unchanged { last.and_then(|l| l.time) } else { (!writer.time.is_empty()).then(|| writer.time.to_string()) };
    if !me.is_empty() {
        entries.push(Entry { time, ..me });
    }
    Ok(Applied { object, unchanged, record: Record::new(entries) })
}

/// Takes what changes from everybody else, and says what that was.
fn take_over(
    rules: &Rules<'_>,
    live: Option<&Value>,
    object: &Value,
    writer: &Writer<'_>,
    entries: &mut Vec<Entry>,
    differences: &mut Differences,
) -> Vec<Conflict> {
    let mut found: Vec<(String, String, Set)> = Vec::new();
    let from = live.unwrap_or(rules.schema.zero());
    entries.retain_mut(|entry| {
        let Some(diff) = differences.of(rules, from, object, writer.api_version, &entry.api_version) else { return false };
        if entry.owns_any(&diff.modified) || entry.owns_any(&diff.added) {
            let own = entry.set().into_owned();
            let taken = own.intersection(&diff.changed());
            entry.fields = Fields::Set(own.difference(&taken));
            found.push((entry.identity(), manager_text(entry), taken));
        }
        entry.give_up(&diff.removed);
        !entry.is_empty()
    });
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let mut conflicts = Vec::new();
    for (_, manager, taken) in &found {
        taken.each_path(&mut |path| conflicts.push(Conflict { manager: manager.clone(), path: path.to_vec() }));
    }
    conflicts
}
