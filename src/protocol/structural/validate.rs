//! Validation of values, with the sentences of upstream's validator.
use super::invariants::type_name;
use super::{Additional, Kind, ListType, Structural, child, formats, keyed};
use crate::status::{FieldError, FieldErrorKind};
use serde_json::{Map, Value};

/// Steps that validating one object may take. A schema with thousands of alternatives for thousands of items would take minutes.
const MOST_STEPS: u64 = 5_000_000;
/// Findings that are told; a list of a million bad items needs no million sentences.
const MOST_FINDINGS: usize = 200;

/// The findings about a value at `path`.
pub fn validate(value: &Value, schema: &Structural, path: &str) -> Vec<FieldError> {
    validate_update(value, None, schema, path)
}

/// The same for an object's next state: what a schema has come to forbid stays allowed where it was and doesn't change.
pub fn validate_update(value: &Value, old: Option<&Value>, schema: &Structural, path: &str) -> Vec<FieldError> {
    let mut validator = Validator { steps: 0, errors: Vec::new() };
    validator.node(value, old, schema, path);
    validator.errors
}

struct Validator {
    steps: u64,
    errors: Vec<FieldError>,
}

/// How upstream names the root.
fn place(path: &str) -> &str {
    if path.is_empty() { "<nil>" } else { path }
}

impl Validator {
    fn say(&mut self, path: &str, value: impl Into<Value>, what: String) {
        self.push(FieldError::invalid(place(path), value, format!("{path} in body {what}")));
    }

    fn push(&mut self, error: FieldError) {
        if self.errors.len() < MOST_FINDINGS {
            self.errors.push(error);
        }
    }

    fn too_many(&mut self, path: &str, actual: usize, max: u64) {
        self.push(FieldError {
            kind: FieldErrorKind::TooMany,
            field: place(path).into(),
            detail: format!("must have at most {max} items"),
            value: actual.to_string(),
        });
    }

    fn node(&mut self, value: &Value, old: Option<&Value>, s: &Structural, path: &str) {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            if self.steps == MOST_STEPS + 1 {
                self.push(FieldError::invalid(place(path), "", "validation takes too long; no further values will be validated"));
            }
            return;
        }
        if old == Some(value) {
            return;
        }
        if !self.type_fits(value, s, path) {
            return;
        }
        if value.is_null() {
            return;
        }
        if !s.values.allowed.is_empty() && !s.values.allowed.contains(value) {
            self.unsupported(value, s, path);
        }
        match value {
            Value::String(text) => self.text(text, s, path),
            Value::Number(number) => self.number(number.as_f64().unwrap_or(0.0), value, s, path),
            Value::Array(items) => self.array(items, old, s, path),
            Value::Object(members) => self.object(members, old, s, path),
            _ => {}
        }
        self.logic(value, s, path);
    }

    fn type_fits(&mut self, value: &Value, s: &Structural, path: &str) -> bool {
        if value.is_null() && (s.nullable || s.kind == Kind::Unset && !s.int_or_string) {
            return true;
        }
        let found = found_type(value);
        let wanted = match s.kind {
            Kind::Unset if s.int_or_string => "integer,string",
            Kind::Unset => return true,
            kind => type_name(kind),
        };
        let fits = match (s.kind, found) {
            (Kind::Unset, found) => matches!(found, "integer" | "string"),
            (Kind::Number, "integer" | "number") => true,
            (_, found) => found == wanted,
        };
        if !fits {
            self.type_error(path, found, wanted, found);
        }
        fits
    }

    fn type_error(&mut self, path: &str, value: &str, wanted: &str, data: &str) {
        self.push(FieldError {
            kind: FieldErrorKind::TypeInvalid,
            field: place(path).into(),
            detail: format!("{path} in body must be of type {wanted}: {data:?}"),
            value: Value::from(value).to_string(),
        });
    }

    fn unsupported(&mut self, value: &Value, s: &Structural, path: &str) {
        let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_string);
        let allowed: Vec<String> = s.values.allowed.iter().map(text).collect();
        let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
        self.push(FieldError::not_supported(place(path), value.clone(), &allowed));
    }

    fn text(&mut self, text: &str, s: &Structural, path: &str) {
        let v = &s.values;
        if v.max_length.is_some() || v.min_length.is_some() {
            let length = text.chars().count() as u64;
            if let Some(max) = v.max_length.filter(|max| length > *max) {
                self.push(FieldError::too_long(place(path), usize::try_from(max).unwrap_or(usize::MAX)));
            }
            if let Some(min) = v.min_length.filter(|min| length < *min) {
                self.say(path, text, format!("should be at least {min} chars long"));
            }
        }
        if let Some(pattern) = &v.pattern {
            match &pattern.regex {
                Ok(regex) if regex.is_match(text) => {}
                _ => self.say(path, text, format!("should match '{}'", pattern.source)),
            }
        }
        if !v.format.is_empty() && !formats::fits(&v.format, text) {
            self.type_error(path, text, &v.format, text);
        }
    }

    fn number(&mut self, number: f64, value: &Value, s: &Structural, path: &str) {
        let v = &s.values;
        if let Some(max) = v.maximum {
            if v.exclusive_maximum && number >= max {
                self.say(path, value.clone(), format!("should be less than {}", plain(max)));
            } else if !v.exclusive_maximum && number > max {
                self.say(path, value.clone(), format!("should be less than or equal to {}", plain(max)));
            }
        }
        if let Some(min) = v.minimum {
            if v.exclusive_minimum && number <= min {
                self.say(path, value.clone(), format!("should be greater than {}", plain(min)));
            } else if !v.exclusive_minimum && number < min {
                self.say(path, value.clone(), format!("should be greater than or equal to {}", plain(min)));
            }
        }
        if let Some(factor) = v.multiple_of.filter(|f| *f > 0.0) {
            let times = number / factor;
            if (times - times.round()).abs() > 1e-9 * times.abs().max(1.0) {
                self.say(path, value.clone(), format!("should be a multiple of {}", plain(factor)));
            }
        }
        let range = match v.format.as_str() {
            "int32" => (f64::from(i32::MIN), f64::from(i32::MAX)),
            "float" => (f64::from(f32::MIN), f64::from(f32::MAX)),
            _ => return,
        };
        if number < range.0 || number > range.1 {
            let kind = if s.kind == Kind::Integer { "integer" } else { "number" };
            self.say(path, value.clone(), format!("must be of type {kind} with format {}", v.format));
        }
    }

    fn array(&mut self, items: &[Value], old: Option<&Value>, s: &Structural, path: &str) {
        let v = &s.values;
        if let Some(max) = v.max_items.filter(|max| items.len() as u64 > *max) {
            self.too_many(path, items.len(), max);
        }
        if let Some(min) = v.min_items.filter(|min| (items.len() as u64) < *min) {
            self.say(path, items.len(), format!("should have at least {min} items"));
        }
        if v.unique_items {
            let mut texts: Vec<String> = items.iter().map(Value::to_string).collect();
            texts.sort_unstable();
            if texts.windows(2).any(|pair| pair[0] == pair[1]) {
                self.say(path, "", "shouldn't contain duplicates".into());
            }
        }
        let Some(schema) = &s.items else { return };
        let correlated = Correlated::of(old, s);
        for (at, item) in items.iter().enumerate() {
            self.node(item, correlated.find(item), schema, &keyed(path, at));
        }
    }

    fn object(&mut self, members: &Map<String, Value>, old: Option<&Value>, s: &Structural, path: &str) {
        let v = &s.values;
        if let Some(max) = v.max_properties.filter(|max| members.len() as u64 > *max) {
            self.too_many(path, members.len(), max);
        }
        if let Some(min) = v.min_properties.filter(|min| (members.len() as u64) < *min) {
            self.say(path, members.len(), format!("should have at least {min} properties"));
        }
        for name in v.required.iter().filter(|name| !members.contains_key(*name)) {
            self.push(FieldError::required(child(path, name), ""));
        }
        for (name, member) in members {
            let old = old.and_then(|old| old.get(name));
            match (s.properties.get(name), &s.additional) {
                (Some(property), _) => self.node(member, old, property, &child(path, name)),
                (None, Additional::Schema(additional)) => self.node(member, old, additional, &child(path, name)),
                (None, Additional::Allowed(false)) => {
                    let at = child(path, name);
                    self.push(FieldError::invalid(at.clone(), "", format!("{at} in body is a forbidden property")));
                }
                _ => {}
            }
        }
    }

    /// What one part of a logical keyword has to say.
    fn try_part(&mut self, value: &Value, part: &Structural, path: &str) -> Vec<FieldError> {
        let mut inner = Validator { steps: self.steps, errors: Vec::new() };
        inner.node(value, None, part, path);
        self.steps = inner.steps;
        inner.errors
    }

    fn logic(&mut self, value: &Value, s: &Structural, path: &str) {
        let v = &s.values;
        let said = |what: String| FieldError::invalid("<nil>", "", what);
        if !v.any_of.is_empty() {
            let outcomes: Vec<_> = v.any_of.iter().map(|part| self.try_part(value, part, path)).collect();
            if !outcomes.iter().any(Vec::is_empty) {
                self.push(said(format!("{path:?} must validate at least one schema (anyOf)")));
                outcomes.into_iter().min_by_key(Vec::len).into_iter().flatten().for_each(|e| self.push(e));
            }
        }
        if !v.one_of.is_empty() {
            let outcomes: Vec<_> = v.one_of.iter().map(|part| self.try_part(value, part, path)).collect();
            let valid = outcomes.iter().filter(|errors| errors.is_empty()).count();
            if valid != 1 {
                let found = if valid == 0 { "Found none valid".to_string() } else { format!("Found {valid} valid alternatives") };
                self.push(said(format!("{path:?} must validate one and only one schema (oneOf). {found}")));
                if valid == 0 {
                    outcomes.into_iter().min_by_key(Vec::len).into_iter().flatten().for_each(|e| self.push(e));
                }
            }
        }
        if !v.all_of.is_empty() {
            let errors: Vec<_> = v.all_of.iter().flat_map(|part| self.try_part(value, part, path)).collect();
            if !errors.is_empty() {
                self.push(said(format!("{path:?} must validate all the schemas (allOf)")));
                errors.into_iter().for_each(|e| self.push(e));
            }
        }
        if let Some(part) = &v.not
            && self.try_part(value, part, path).is_empty()
        {
            self.push(said(format!("{path:?} must not validate the schema (not)")));
        }
    }
}

fn found_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() && number.as_f64().is_none_or(|n| n.fract() != 0.0) => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A number as Go prints it.
fn plain(number: f64) -> String {
    format!("{number}")
}

/// Which old item a new one comes from: known for lists that are maps.
pub(super) struct Correlated<'v> {
    old: Vec<(Vec<Option<&'v Value>>, &'v Value)>,
    keys: &'v [String],
}

impl<'v> Correlated<'v> {
    pub fn of(old: Option<&'v Value>, s: &'v Structural) -> Self {
        let items = old.and_then(Value::as_array).filter(|_| s.list_type == ListType::Map);
        let mut old: Vec<_> = items.into_iter().flatten().map(|item| (Self::keys_of(item, &s.list_keys), item)).collect();
        old.sort_by_cached_key(|(keys, _)| format!("{keys:?}"));
        Correlated { old, keys: &s.list_keys }
    }

    fn keys_of<'i>(item: &'i Value, keys: &[String]) -> Vec<Option<&'i Value>> {
        keys.iter().map(|key| item.get(key)).collect()
    }

    pub fn find(&self, item: &Value) -> Option<&'v Value> {
        if self.old.is_empty() {
            return None;
        }
        let wanted = Self::keys_of(item, self.keys);
        let text = format!("{wanted:?}");
        let at = self.old.binary_search_by(|(keys, _)| format!("{keys:?}").cmp(&text)).ok()?;
        self.old.get(at).map(|(_, item)| *item)
    }
}
