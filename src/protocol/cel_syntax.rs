//! Whether a text is a CEL expression.
use kube_cel::cel::parser::Parser;

/// Deeper nesting is refused, whatever the writer meant.
const MAX_DEPTH: u16 = 96;

/// What is wrong with an expression's syntax; `None` when it parses. Types and names are not looked at.
pub fn syntax_error(expression: &str) -> Option<String> {
    let parser = Parser::new().max_recursion_depth(MAX_DEPTH).enable_optional_syntax(true);
    let errors = parser.parse(expression).err()?;
    Some(errors.to_string().trim().to_string())
}

#[cfg(test)]
mod tests {
    use super::syntax_error;

    #[test]
    fn good_and_bad() {
        let good = [
            "object.spec.replicas <= 5",
            "has(object.metadata.labels) && 'a' in object.metadata.labels",
            "object.?metadata.?labels['a'].orValue('') == 'b'",
            "variables.x.all(c, c.image.startsWith('a/'))",
            r#"Object{spec: Object.spec{replicas: 3}}"#,
            r#"[JSONPatch{op: "add", path: "/a", value: "b"}]"#,
            "request.namespace == 'x' ? true : false",
        ];
        for expression in good {
            assert_eq!(syntax_error(expression), None, "{expression}");
        }
        for expression in ["object.", "a &&", "(", "'a"] {
            assert!(syntax_error(expression).is_some(), "{expression}");
        }
    }
}
