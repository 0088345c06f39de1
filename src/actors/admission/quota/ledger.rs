//! A quota's books: what is used, and whether something more fits.
use crate::actors::admission::plugins::limit_ranger::{Amounts, amounts};
use crate::actors::admission::refusal::name_of;
use crate::actors::kinds::Attributes;
use crate::protocol::codec;
use crate::protocol::light::Light;
use crate::protocol::quantity::Quantity;
use crate::protocol::status::ApiError;
use crate::storage::{Draft, Entry};
use serde_json::{Map, Value, json};

/// What is charged for, as errors say it.
pub struct Subject {
    group: &'static str,
    plural: &'static str,
    name: String,
    quota: String,
}

impl Subject {
    pub fn of(a: &Attributes<'_>, object: Option<&Value>, quota: &str) -> Subject {
        let resource = &a.kind.resource;
        Subject { group: resource.group, plural: resource.plural, name: name_of(a, object).into(), quota: quota.into() }
    }

    fn refuse(&self, why: &str) -> ApiError {
        ApiError::forbidden(self.group, self.plural, &self.name, why)
    }
}

/// The quota with `delta` added to what is used.
///
/// # Errors
/// 403 when that is more than there may be; something given back is always taken.
pub fn charge(entry: &Entry, delta: &Amounts, subject: &Subject) -> Result<Option<Draft>, ApiError> {
    let mut quota = entry.parse();
    let (hard, mut used) = (amounts(&quota["status"]["hard"]), amounts(&quota["status"]["used"]));
    if !hard.is_empty() {
        let unknown: Vec<&str> = delta.keys().map(String::as_str).filter(|n| hard.contains_key(*n) && !used.contains_key(*n)).collect();
        let takes = delta.iter().any(|(n, q)| hard.contains_key(n) && q.signum() > 0);
        if takes && !unknown.is_empty() {
            return Err(subject.refuse(&format!("status unknown for quota: {}, resources: {}", subject.quota, unknown.join(","))));
        }
        let mut exceeded = Vec::new();
        for (name, quantity) in delta {
            let (Some(most), Some(held)) = (hard.get(name), used.get(name).copied()) else { continue };
            let sum = held.add(quantity);
            if quantity.signum() > 0 && sum.compare(most).is_gt() {
                exceeded.push((name.as_str(), *quantity, held, *most));
            }
            used.insert(name.clone(), if sum.signum() < 0 { Quantity::default() } else { sum });
        }
        if !exceeded.is_empty() {
            let say = |pick: fn(&(&str, Quantity, Quantity, Quantity)) -> Quantity| {
                exceeded.iter().map(|e| format!("{}={}", e.0, pick(e))).collect::<Vec<_>>().join(",")
            };
            let (requested, held, most) = (say(|e| e.1), say(|e| e.2), say(|e| e.3));
            let why = format!("exceeded quota: {}, requested: {requested}, used: {held}, limited: {most}", subject.quota);
            return Err(subject.refuse(&why));
        }
        quota["status"]["used"] = to_value(&used);
    }
    Ok(Some(draft(&quota)))
}

fn draft(quota: &Value) -> Draft {
    let (body, splice) = codec::encode(quota);
    let (_, meta) = codec::meta_of(quota);
    Draft { body, splice, meta, light: Light::None }
}

/// A resource list.
pub fn to_value(amounts: &Amounts) -> Value {
    amounts.iter().map(|(name, quantity)| (name.clone(), quantity.to_string().into())).collect::<Map<String, Value>>().into()
}

/// The status of a quota.
pub fn status_of(hard: &Amounts, used: &Amounts) -> Value {
    json!({ "hard": to_value(hard), "used": to_value(used) })
}

/// The sum of two lists.
pub fn add(a: &Amounts, b: &Amounts) -> Amounts {
    let mut sum = a.clone();
    for (name, quantity) in b {
        let total = sum.get(name).map_or(*quantity, |held| held.add(quantity));
        sum.insert(name.clone(), total);
    }
    sum
}

/// What `a` has more than `b`; less is negative.
pub fn subtract(a: &Amounts, b: &Amounts) -> Amounts {
    let mut rest = a.clone();
    for (name, quantity) in b {
        let left = rest.get(name).copied().unwrap_or_default().sub(quantity);
        rest.insert(name.clone(), left);
    }
    rest
}

/// `cpu=1,pods=2`
pub fn printed(amounts: &Amounts) -> String {
    amounts.iter().map(|(name, quantity)| format!("{name}={quantity}")).collect::<Vec<_>>().join(",")
}
