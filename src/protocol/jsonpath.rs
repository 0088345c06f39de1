//! JSONPath as Kubernetes has it: `.spec.x[0].y`, `['a.b']`, `[*]`, `[1:3]`, `..name`, `[?(@.type=="Ready")].status`.
//!
//! It is older than RFC 9535 and differs from it: no `$` is needed, dots in names are escaped by a backslash, filters compare with one
//! operator only.
use serde_json::Value;

/// Steps of a path; more are refused.
const LONGEST: usize = 64;
/// Results that are followed at the same time; `..` on a large object would find many.
const MOST: usize = 10_000;

/// A parsed path.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    /// Start, end, stride.
    Slice(Option<i64>, Option<i64>, i64),
    Every,
    /// All descendants, the value itself among them.
    Descend,
    Filter(Vec<Step>, Comparison, Side),
}

#[derive(Clone, Debug, PartialEq)]
enum Side {
    Literal(Value),
    Path(Vec<Step>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Exists,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Why a text is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("unterminated array")]
    UnterminatedArray,
    #[error("unterminated quoted string")]
    UnterminatedText,
    #[error("unterminated filter")]
    UnterminatedFilter,
    #[error("invalid array index {0}")]
    Index(String),
    #[error("unrecognized character in action: {0:?}")]
    Character(char),
    #[error("unexpected end of path")]
    End,
    #[error("the path has more than {LONGEST} steps")]
    TooLong,
}

impl JsonPath {
    /// Parses a path, with or without braces around it.
    pub fn parse(text: &str) -> Result<JsonPath, PathError> {
        let text = text.trim();
        let text = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text);
        let mut rest = text.strip_prefix('$').unwrap_or(text);
        let steps = steps(&mut rest)?;
        match rest.chars().next() {
            None => Ok(JsonPath(steps)),
            Some(c) => Err(PathError::Character(c)),
        }
    }

    /// Everything that the path leads to, in order.
    pub fn find<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        follow(&self.0, value)
    }

    /// The names, when the path consists of names only: `.spec.replicas`.
    pub fn fields(&self) -> Option<Vec<&str>> {
        self.0.iter().map(|step| if let Step::Field(name) = step { Some(name.as_str()) } else { None }).collect()
    }
}

fn steps(rest: &mut &str) -> Result<Vec<Step>, PathError> {
    let mut out = Vec::new();
    loop {
        if let Some(after) = rest.strip_prefix("..") {
            out.push(Step::Descend);
            *rest = after;
            if !rest.is_empty() && !rest.starts_with('[') {
                out.push(name(rest)?);
            }
        } else if let Some(after) = rest.strip_prefix('.') {
            *rest = after;
            if !rest.is_empty() && !rest.starts_with('[') {
                out.push(name(rest)?);
            }
        } else if let Some(after) = rest.strip_prefix('[') {
            *rest = after;
            out.push(bracket(rest)?);
        } else {
            return Ok(out);
        }
        if out.len() > LONGEST {
            return Err(PathError::TooLong);
        }
    }
}

/// A name after a dot; a backslash takes the next character as it is.
fn name(rest: &mut &str) -> Result<Step, PathError> {
    let mut text = String::new();
    let mut chars = rest.char_indices();
    let mut end = rest.len();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => text.extend(chars.next().map(|(_, c)| c)),
            '.' | '[' | ']' | ')' | '=' | '!' | '<' | '>' | ' ' | '}' | '|' | ',' => {
                end = at;
                break;
            }
            c => text.push(c),
        }
    }
    *rest = rest.get(end..).unwrap_or_default();
    match text.as_str() {
        "" => Err(rest.chars().next().map_or(PathError::End, PathError::Character)),
        "*" => Ok(Step::Every),
        _ => Ok(Step::Field(text)),
    }
}

/// What is between brackets.
fn bracket(rest: &mut &str) -> Result<Step, PathError> {
    if let Some(after) = rest.strip_prefix("?(") {
        *rest = after;
        return filter(rest);
    }
    if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        let text = quoted(rest, quote)?;
        *rest = rest.strip_prefix(']').ok_or(PathError::UnterminatedArray)?;
        return Ok(Step::Field(text));
    }
    let (inside, after) = rest.split_once(']').ok_or(PathError::UnterminatedArray)?;
    *rest = after;
    let number = |text: &str| match text.trim() {
        "" => Ok(None),
        text => text.parse::<i64>().map(Some).map_err(|_| PathError::Index(inside.to_string())),
    };
    if inside.trim() == "*" {
        return Ok(Step::Every);
    }
    let parts: Vec<&str> = inside.split(':').collect();
    match parts.as_slice() {
        [one] => number(one)?.map(Step::Index).ok_or_else(|| PathError::Index(inside.to_string())),
        [start, end] => Ok(Step::Slice(number(start)?, number(end)?, 1)),
        [start, end, stride] => match number(stride)?.unwrap_or(1) {
            stride if stride >= 1 => Ok(Step::Slice(number(start)?, number(end)?, stride)),
            _ => Err(PathError::Index(inside.to_string())),
        },
        _ => Err(PathError::Index(inside.to_string())),
    }
}

fn quoted(rest: &mut &str, quote: char) -> Result<String, PathError> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => text.extend(chars.next().map(|(_, c)| c)),
            c if c == quote => {
                *rest = rest.get(at + c.len_utf8()..).unwrap_or_default();
                return Ok(text);
            }
            c => text.push(c),
        }
    }
    Err(PathError::UnterminatedText)
}

fn filter(rest: &mut &str) -> Result<Step, PathError> {
    let skip = |rest: &mut &str| *rest = rest.trim_start();
    skip(rest);
    *rest = rest.strip_prefix('@').ok_or(PathError::UnterminatedFilter)?;
    let left = steps(rest)?;
    skip(rest);
    let operators = [
        ("==", Comparison::Equal),
        ("!=", Comparison::NotEqual),
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ];
    let found = operators.iter().find_map(|(sign, comparison)| rest.strip_prefix(sign).map(|after| (after, *comparison)));
    let (comparison, right) = match found {
        None => (Comparison::Exists, Side::Literal(Value::Null)),
        Some((after, comparison)) => {
            *rest = after.trim_start();
            (comparison, side(rest)?)
        }
    };
    skip(rest);
    *rest = rest.strip_prefix(")]").ok_or(PathError::UnterminatedFilter)?;
    Ok(Step::Filter(left, comparison, right))
}

fn side(rest: &mut &str) -> Result<Side, PathError> {
    if let Some(after) = rest.strip_prefix('@') {
        *rest = after;
        return steps(rest).map(Side::Path);
    }
    if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        return quoted(rest, quote).map(|text| Side::Literal(text.into()));
    }
    let (word, _) = rest.split_once(')').ok_or(PathError::UnterminatedFilter)?;
    *rest = rest.get(word.len()..).unwrap_or_default();
    let word = word.trim();
    Ok(Side::Literal(serde_json::from_str(word).unwrap_or_else(|_| word.into())))
}

fn follow<'v>(steps: &[Step], value: &'v Value) -> Vec<&'v Value> {
    let mut found = vec![value];
    for step in steps {
        let mut next = Vec::new();
        for value in found {
            if next.len() >= MOST {
                break;
            }
            take(step, value, &mut next);
        }
        found = next;
    }
    found
}

fn take<'v>(step: &Step, value: &'v Value, out: &mut Vec<&'v Value>) {
    match (step, value) {
        (Step::Field(name), Value::Object(members)) => out.extend(members.get(name)),
        (Step::Index(at), Value::Array(items)) => {
            let at = if *at < 0 { at + items.len() as i64 } else { *at };
            out.extend(usize::try_from(at).ok().and_then(|at| items.get(at)));
        }
        (Step::Slice(start, end, stride), Value::Array(items)) => {
            let count = items.len() as i64;
            let place = |at: i64| usize::try_from(if at < 0 { at + count } else { at }.clamp(0, count)).unwrap_or(0);
            let (start, end) = (place(start.unwrap_or(0)), place(end.unwrap_or(count)));
            let chosen = items.get(start..end.max(start)).unwrap_or_default();
            out.extend(chosen.iter().step_by(usize::try_from(*stride).unwrap_or(1)));
        }
        (Step::Every, Value::Array(items)) => out.extend(items),
        (Step::Every, Value::Object(members)) => out.extend(members.values()),
        (Step::Descend, value) => descend(value, out),
        (Step::Filter(left, comparison, right), Value::Array(items)) => {
            out.extend(items.iter().filter(|item| passes(item, left, *comparison, right)));
        }
        _ => {}
    }
}

fn descend<'v>(value: &'v Value, out: &mut Vec<&'v Value>) {
    if out.len() >= MOST {
        return;
    }
    out.push(value);
    match value {
        Value::Array(items) => items.iter().for_each(|item| descend(item, out)),
        Value::Object(members) => members.values().for_each(|member| descend(member, out)),
        _ => {}
    }
}

fn passes(item: &Value, left: &[Step], comparison: Comparison, right: &Side) -> bool {
    let Some(left) = follow(left, item).into_iter().next() else { return false };
    if comparison == Comparison::Exists {
        return true;
    }
    let right = match right {
        Side::Literal(value) => value,
        Side::Path(steps) => match follow(steps, item).into_iter().next() {
            Some(value) => value,
            None => return false,
        },
    };
    let order = match (left, right) {
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Number(a), Value::Number(b)) => a.as_f64().zip(b.as_f64()).and_then(|(a, b)| a.partial_cmp(&b)),
        (a, b) => (a == b).then_some(std::cmp::Ordering::Equal),
    };
    match comparison {
        Comparison::Equal => order.is_some_and(|o| o.is_eq()),
        Comparison::NotEqual => order.is_none_or(|o| o.is_ne()),
        Comparison::Less => order.is_some_and(|o| o.is_lt()),
        Comparison::LessOrEqual => order.is_some_and(|o| o.is_le()),
        Comparison::Greater => order.is_some_and(|o| o.is_gt()),
        Comparison::GreaterOrEqual => order.is_some_and(|o| o.is_ge()),
        Comparison::Exists => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_lead_where_upstream_s_do() {
        let object = json!({
            "spec": {"x": [{"y": 1}, {"y": 2}], "a.b": "dotted", "n": 3},
            "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]},
        });
        let cases = [
            (".spec.n", json!([3])),
            ("{.spec.n}", json!([3])),
            (".spec.x[0].y", json!([1])),
            (".spec.x[-1].y", json!([2])),
            (".spec.x[*].y", json!([1, 2])),
            (".spec.x[0:1].y", json!([1])),
            (".spec['a.b']", json!(["dotted"])),
            (r".spec.a\.b", json!(["dotted"])),
            (".status.conditions[?(@.type==\"Ready\")].status", json!(["True"])),
            (".status.conditions[?(@.type=='Other')].status", json!(["False"])),
            (".spec.x[?(@.y > 1)].y", json!([2])),
            ("..y", json!([1, 2])),
            (".missing.y", json!([])),
            (".spec.x[7]", json!([])),
        ];
        for (path, wanted) in cases {
            let found = JsonPath::parse(path).unwrap_or_else(|e| panic!("{path}: {e}"));
            assert_eq!(json!(found.find(&object)), wanted, "{path}");
        }
        for bad in [".a[", ".a['b", ".a[x]", ".a[?(@.b==1]", ".a]", &".a".repeat(100), "a"] {
            assert!(JsonPath::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(JsonPath::parse(".spec.n").unwrap().fields(), Some(vec!["spec", "n"]));
    }
}
