use super::*;
use proptest::prelude::*;
use serde_json::json;
use std::borrow::Cow;
use std::sync::Arc;

fn labels(pairs: &[(&str, &str)]) -> Vec<(Arc<str>, Arc<str>)> {
    let mut labels: Vec<_> = pairs.iter().map(|(k, v)| (Arc::from(*k), Arc::from(*v))).collect();
    labels.sort();
    labels
}

#[test]
fn matching() {
    let pod = labels(&[("app", "web"), ("tier", "front"), ("n", "5"), ("empty", "")]);
    let cases = [
        ("", true),
        ("app=web", true),
        ("app==web,tier!=back", true),
        ("app in (web,api), tier notin (back)", true),
        ("app", true),
        ("!gone", true),
        ("gone!=x", true),
        ("gone notin (x)", true),
        ("n>4", true),
        ("n<5", false),
        ("app>1", false),
        ("empty=", true),
        ("empty in (,x)", true),
        ("app in ()", false),
        ("app=api", false),
        ("gone", false),
        ("!app", false),
        (" app = web ", true),
        ("in in (in)", false),
    ];
    for (text, want) in cases {
        assert_eq!(LabelSelector::parse(text).unwrap().matches(&pod), want, "{text}");
    }
}

#[test]
fn errors_in_upstreams_words() {
    let cases = [
        ("a=b,", "found '', expected: identifier after ','"),
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("n>x", "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer"),
    ];
    for (text, want) in cases {
        assert_eq!(LabelSelector::parse(text).unwrap_err().to_string(), want, "{text}");
    }
    assert!(
        LabelSelector::parse("-a=b")
            .unwrap_err()
            .to_string()
            .starts_with("unable to parse requirement: <nil>: Invalid value: \"-a\": name part must")
    );
    assert!(LabelSelector::parse("a=-").unwrap_err().to_string().contains("values[0][a]: Invalid value: \"-\": a valid label must"));
    assert_eq!(LabelSelector::parse(&"a".repeat(MAX_TEXT + 1)), Err(SelectorError::TooLong));
}

#[test]
fn object_forms() {
    let pod = labels(&[("app", "web")]);
    let object = |v| LabelSelector::from_object(&v).map(|s| s.matches(&pod));
    assert_eq!(object(json!(null)), Ok(false));
    assert_eq!(object(json!({})), Ok(true));
    assert_eq!(object(json!({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]})), Ok(true));
    assert_eq!(object(json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "b"]}]})), Ok(false));
    assert!(
        object(json!({"matchExpressions": [{"key": "app", "operator": "Has"}]}))
            .unwrap_err()
            .to_string()
            .contains("\"Has\" is not a valid label selector operator")
    );
    assert!(!LabelSelector::from_map(&json!({})).unwrap().matches(&pod));
    let selector = LabelSelector::parse("z,app in (b,a,b)").unwrap();
    assert_eq!(selector.to_string(), "app in (a,b),z");
    assert_eq!(LabelSelector::parse("app=x").unwrap().exact("app"), Some("x"));
}

#[test]
fn fields() {
    let get = |field: &str| (field == "metadata.name").then_some(Cow::Borrowed("a,b"));
    let selector = FieldSelector::parse("spec.nodeName!=x,metadata.name=a\\,b").unwrap();
    assert!(selector.matches(get));
    assert_eq!(selector.to_string(), "metadata.name=a\\,b,spec.nodeName!=x");
    assert_eq!(selector.exact("metadata.name"), Some("a,b"));
    assert!(!FieldSelector::parse("spec.nodeName=x").unwrap().matches(get));
    assert_eq!(selector.check_fields(&["metadata.name"]).unwrap_err().to_string(), "field label not supported: spec.nodeName");
    assert_eq!(FieldSelector::parse("a").unwrap_err().to_string(), "invalid selector: 'a'; can't understand 'a'");
    assert_eq!(FieldSelector::parse("a=b=c").unwrap_err().to_string(), "invalid field selector: unescaped character in value: =");
    assert_eq!(FieldSelector::parse("a=\\x").unwrap_err().to_string(), "invalid field selector: invalid escape sequence: \\x");
}

proptest! {
    #[test]
    fn text_round_trips(text in "[ab1/. ]{0,3}[=!<>, ]{0,3}(in|notin)?[ (]{0,2}[ab1,]{0,4}[)]?,?[!ab=\\\\]{0,4}|\\PC{0,12}") {
        if let Ok(selector) = LabelSelector::parse(&text) {
            prop_assert_eq!(LabelSelector::parse(&selector.to_string()), Ok(selector));
        }
        if let Ok(selector) = FieldSelector::parse(&text) {
            prop_assert_eq!(FieldSelector::parse(&selector.to_string()), Ok(selector));
        }
    }
}
