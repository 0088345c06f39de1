//! Finding functions and how long they are, by counting braces.

/// A function with a body.
#[derive(Debug, PartialEq)]
pub struct Function {
    pub name: String,
    /// Counted from 1.
    pub line: usize,
    pub lines: usize,
}

/// Every function in blanked code.
pub fn find(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    let bytes = code.as_bytes();
    for (at, _) in code.match_indices("fn ") {
        let begins_a_word = at == 0 || !(bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
        let name: String = code[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if !begins_a_word || name.is_empty() {
            continue;
        }
        if let Some((open, close)) = body(bytes, at) {
            let line_of = |at: usize| bytes[..at].iter().filter(|b| **b == b'\n').count() + 1;
            debug_assert!(open < close);
            found.push(Function { name, line: line_of(at), lines: line_of(close) - line_of(at) + 1 });
        }
    }
    found
}

/// Where the body begins and ends; a declaration without one ends at a semicolon outside of brackets (`[u8; 4]`).
fn body(bytes: &[u8], from: usize) -> Option<(usize, usize)> {
    let (mut brackets, mut braces, mut open) = (0i32, 0i32, None);
    for (i, byte) in bytes.iter().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => brackets += 1,
            b')' | b']' => brackets -= 1,
            b';' if brackets == 0 && braces == 0 => return None,
            b'{' => {
                open.get_or_insert(i);
                braces += 1;
            }
            b'}' => {
                braces -= 1;
                if braces == 0 {
                    return open.map(|open| (open, i));
                }
            }
            _ => {}
        }
    }
    None
}

#[test]
fn functions_and_their_lengths() {
    let code = "trait A { fn none(&self) -> [u8; 4]; }\npub async fn two(f: fn(u8) -> u8)\n{ if a { b } }\nfn three()\n{\n}\n";
    let found: Vec<(String, usize, usize)> = find(code).into_iter().map(|f| (f.name, f.line, f.lines)).collect();
    assert_eq!(found, [("two".to_string(), 2, 2), ("three".to_string(), 4, 3)]);
}
