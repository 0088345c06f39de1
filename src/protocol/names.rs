//! What names, label keys and label values may look like. Every check gives the faults it finds in upstream's sentences, an empty list
//! when there are none. Lengths are bytes.

const SUBDOMAIN_MAX: usize = 253;
const LABEL_MAX: usize = 63;
/// Longest name that a generated one may be cut to before its suffix.
const GENERATED_BASE_MAX: usize = LABEL_MAX - SUFFIX_LENGTH;
const SUFFIX_LENGTH: usize = 5;
/// No vowels and no digits that look like letters: a suffix never spells a word.
const SUFFIX_ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

const LABEL_REGEX: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN_REGEX: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const LABEL_KEY_REGEX: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const LABEL_KEY_RULE: &str =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

/// A check of a name: the second argument is true for `generateName`, whose trailing dash is no fault.
pub type NameRule = fn(&str, bool) -> Vec<String>;

/// The rule for most kinds: a DNS-1123 subdomain.
pub fn name_is_subdomain(name: &str, prefix: bool) -> Vec<String> {
    dns1123_subdomain(&masked(name, prefix))
}

/// The rule for namespaces and whatever becomes one DNS label.
pub fn name_is_label(name: &str, prefix: bool) -> Vec<String> {
    dns1123_label(&masked(name, prefix))
}

/// The older and stricter rule for services: the first character is a letter.
pub fn name_is_dns1035_label(name: &str, prefix: bool) -> Vec<String> {
    dns1035_label(&masked(name, prefix))
}

/// The rule for RBAC kinds and others whose name only has to work as a path segment.
pub fn name_is_path_segment(name: &str, prefix: bool) -> Vec<String> {
    let mut faults = Vec::new();
    if !prefix && (name == "." || name == "..") {
        faults.push(format!("may not be '{name}'"));
    }
    for part in ["/", "%"] {
        if name.contains(part) {
            faults.push(format!("may not contain '{part}'"));
        }
    }
    faults
}

/// With a prefix's trailing dash replaced, as something will follow it.
fn masked(name: &str, prefix: bool) -> String {
    match name.strip_suffix('-').filter(|rest| prefix && !rest.is_empty()) {
        Some(rest) => {
            let mut rest = rest.to_string();
            rest.pop();
            rest + "a"
        }
        None => name.to_string(),
    }
}

/// `my-name`
pub fn dns1123_label(value: &str) -> Vec<String> {
    let mut faults = too_long(value, LABEL_MAX);
    if !is_label(value) {
        if is_subdomain(value) {
            faults.push("must not contain dots".into());
        } else {
            let rule = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
            faults.push(regex_fault(rule, LABEL_REGEX, &["my-name", "123-abc"]));
        }
    }
    faults
}

/// `my-name.example.com`
pub fn dns1123_subdomain(value: &str) -> Vec<String> {
    let mut faults = too_long(value, SUBDOMAIN_MAX);
    if !is_subdomain(value) {
        let rule = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
        faults.push(regex_fault(rule, SUBDOMAIN_REGEX, &["example.com"]));
    }
    faults
}

/// `my-name`, not starting with a digit.
pub fn dns1035_label(value: &str) -> Vec<String> {
    let mut faults = too_long(value, LABEL_MAX);
    if !is_label(value) || !value.starts_with(|c: char| c.is_ascii_lowercase()) {
        let rule = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";
        faults.push(regex_fault(rule, "[a-z]([-a-z0-9]*[a-z0-9])?", &["my-name", "abc-123"]));
    }
    faults
}

/// `*.example.com`
pub fn wildcard_subdomain(value: &str) -> Vec<String> {
    let mut faults = too_long(value, SUBDOMAIN_MAX);
    if !value.strip_prefix("*.").is_some_and(is_subdomain) {
        let rule = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character";
        faults.push(regex_fault(rule, &format!(r"\*\.{SUBDOMAIN_REGEX}"), &["*.example.com"]));
    }
    faults
}

/// A label key, annotation key, finalizer or resource name: `app`, `example.com/app`.
pub fn qualified_name(value: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut parts = value.split('/');
    let (first, second, more) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    if more.is_some() {
        let rule = regex_fault(&format!("a valid label key {LABEL_KEY_RULE}"), LABEL_KEY_REGEX, &["MyName", "my.name", "123-abc"]);
        return vec![format!("{rule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')")];
    }
    let name = match second {
        None => first,
        Some(name) => {
            if first.is_empty() {
                faults.push("prefix part must be non-empty".into());
            } else {
                faults.extend(dns1123_subdomain(first).into_iter().map(|f| format!("prefix part {f}")));
            }
            name
        }
    };
    if name.is_empty() {
        faults.push("name part must be non-empty".into());
    } else {
        faults.extend(too_long(name, LABEL_MAX).into_iter().map(|f| format!("name part {f}")));
    }
    if !is_label_key_name(name) {
        faults.push(format!("name part {}", regex_fault(LABEL_KEY_RULE, LABEL_KEY_REGEX, &["MyName", "my.name", "123-abc"])));
    }
    faults
}

/// A label's value; it may be empty.
pub fn label_value(value: &str) -> Vec<String> {
    let mut faults = too_long(value, LABEL_MAX);
    if !value.is_empty() && !is_label_key_name(value) {
        let rule = format!("a valid label must be an empty string or consist of {}", LABEL_KEY_RULE.trim_start_matches("must consist of "));
        faults.push(regex_fault(&rule, &format!("({LABEL_KEY_REGEX})?"), &["MyValue", "my_value", "12345"]));
    }
    faults
}

/// An environment variable's name: printable ASCII without `=`, as upstream has had it since 1.34.
pub fn env_var_name(value: &str) -> Vec<String> {
    if value.is_empty() {
        return vec!["environment variable name must be non-empty".into()];
    }
    if value.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'=') {
        return Vec::new();
    }
    vec!["a valid environment variable name must consist only of printable ASCII characters other than '='".into()]
}

/// A key of a ConfigMap or Secret.
pub fn config_map_key(value: &str) -> Vec<String> {
    let mut faults = too_long(value, SUBDOMAIN_MAX);
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
        let rule = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
        faults.push(regex_fault(rule, "[-._a-zA-Z0-9]+", &["key.name", "KEY_NAME", "key-name"]));
    }
    match value {
        "." | ".." => faults.push(format!("must not be '{value}'")),
        _ if value.starts_with("..") => faults.push("must not start with '..'".into()),
        _ => {}
    }
    faults
}

/// A named port: `http`, `metrics-2`.
pub fn port_name(value: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if value.len() > 15 {
        faults.push("must be no more than 15 bytes".into());
    }
    if !value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        faults.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".into());
    }
    if !value.bytes().any(|b| b.is_ascii_lowercase()) {
        faults.push("must contain at least one letter (a-z)".into());
    }
    if value.contains("--") {
        faults.push("must not contain consecutive hyphens".into());
    }
    if value.starts_with('-') || value.ends_with('-') {
        faults.push("must not begin or end with a hyphen".into());
    }
    faults
}

/// A port's number.
pub fn port_number(port: i64) -> Vec<String> {
    if (1..=65535).contains(&port) { Vec::new() } else { vec!["must be between 1 and 65535, inclusive".into()] }
}

/// The name for a `generateName`: the base, cut to leave room, and five characters chosen by `random` (one byte each; the caller
/// brings the randomness).
pub fn generated_name(base: &str, random: [u8; SUFFIX_LENGTH]) -> String {
    let mut end = base.len().min(GENERATED_BASE_MAX);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    let suffix = random.iter().map(|byte| SUFFIX_ALPHABET.get(usize::from(*byte) % SUFFIX_ALPHABET.len()).copied().map_or('b', char::from));
    base.get(..end).unwrap_or_default().chars().chain(suffix).collect()
}

fn is_label(value: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    bounded_by(value, inner, |b| inner(b) || b == b'-')
}

fn is_subdomain(value: &str) -> bool {
    value.split('.').all(is_label)
}

fn is_label_key_name(value: &str) -> bool {
    bounded_by(value, |b| b.is_ascii_alphanumeric(), |b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// Not empty, first and last byte pass `ends`, all pass `all`.
fn bounded_by(value: &str, ends: impl Fn(u8) -> bool, all: impl Fn(u8) -> bool) -> bool {
    let bytes = value.as_bytes();
    bytes.first().is_some_and(|b| ends(*b)) && bytes.last().is_some_and(|b| ends(*b)) && bytes.iter().all(|b| all(*b))
}

fn too_long(value: &str, max: usize) -> Vec<String> {
    if value.len() > max { vec![format!("must be no more than {max} bytes")] } else { Vec::new() }
}

/// `rule (e.g. 'a',  or 'b', regex used for validation is 'r')`, double space and all.
fn regex_fault(rule: &str, regex: &str, examples: &[&str]) -> String {
    let examples = examples.iter().map(|e| format!("'{e}', ")).collect::<Vec<_>>().join(" or ");
    format!("{rule} (e.g. {examples}regex used for validation is '{regex}')")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        assert_eq!(
            dns1123_subdomain("A_b"),
            [concat!(
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character ",
                r"(e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            )]
        );
        assert!(
            dns1123_label("-a")[0]
                .ends_with("(e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')")
        );
        assert_eq!(dns1123_label("a.b"), ["must not contain dots"]);
        assert!(qualified_name("a/b/c")[0].starts_with("a valid label key must consist of"));
        assert_eq!(qualified_name("/a"), ["prefix part must be non-empty"]);
        assert_eq!(label_value(&"a".repeat(64)), ["must be no more than 63 bytes"]);
        assert!(
            label_value("-")[0].starts_with(
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start"
            )
        );
    }

    #[test]
    fn accepted_and_refused() {
        for good in ["a", "a-b", "0", "a.b-c.d"] {
            assert!(dns1123_subdomain(good).is_empty(), "{good}");
        }
        for bad in ["", "a..b", ".a", "a-", "A", "a_b", "ä"] {
            assert!(!dns1123_subdomain(bad).is_empty(), "{bad}");
        }
        assert!(name_is_subdomain("web-", true).is_empty() && !name_is_subdomain("web-", false).is_empty());
        assert!(qualified_name("example.com/My_name.1").is_empty() && label_value("").is_empty());
        assert!(dns1035_label("a1").is_empty() && !dns1035_label("1a").is_empty());
        assert!(port_name("http-2").is_empty() && !port_name("80").is_empty() && !port_name("a--b").is_empty());
        assert!(config_map_key("a.B_c-1").is_empty() && !config_map_key("..a").is_empty());
        assert!(env_var_name("my.env-name").is_empty() && !env_var_name("a=b").is_empty());
        assert!(wildcard_subdomain("*.a.b").is_empty() && !wildcard_subdomain("*a").is_empty());
    }

    #[test]
    fn generated() {
        assert_eq!(generated_name("web-", [0, 1, 26, 27, 255]), "web-bc9bq");
        assert_eq!(generated_name(&"x".repeat(70), [0; 5]).len(), 63);
    }
}
