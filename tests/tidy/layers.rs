//! Which room of the package may use which.
use super::source::Source;

/// A room and the rooms that it may use besides itself. Those at the end may use most; nothing uses the command line but the fuzz targets, which are test code.
const ROOMS: [(&str, &[&str]); 7] = [
    ("config", &["protocol"]),
    ("storage", &["protocol"]),
    ("runtime", &["protocol"]),
    ("actors", &["protocol", "storage", "runtime", "config"]),
    ("http", &["protocol", "storage", "runtime", "config", "actors"]),
    ("cli", &["protocol", "storage", "runtime", "config", "actors", "http"]),
    ("fuzz", &["protocol", "storage", "runtime", "config", "actors", "http", "cli"]),
];

/// Imports of a file that point the wrong way.
pub fn check(source: &Source) -> Vec<String> {
    let Some(room) = source.path.strip_prefix("src/").and_then(|p| p.split(['/', '.']).next()) else { return Vec::new() };
    if room == "protocol" {
        // A package of its own: it cannot even name the others, unless somebody adds the dependency.
        return wrong(source, "impresario::", &[]);
    }
    match ROOMS.iter().find(|(name, _)| *name == room) {
        Some((_, allowed)) => {
            let allowed: Vec<&str> = allowed.iter().copied().chain([room]).collect();
            wrong(source, "crate::", &allowed)
        }
        None if ["main", "lib"].contains(&room) => Vec::new(),
        None => vec![format!("{}: a new top-level room needs its place in tests/tidy/layers.rs", source.path)],
    }
}

fn wrong(source: &Source, prefix: &str, allowed: &[&str]) -> Vec<String> {
    let mut findings = Vec::new();
    for (at, _) in source.code.match_indices(prefix) {
        let line = source.code[..at].matches('\n').count() + 1;
        for room in first_names(&source.code[at + prefix.len()..]) {
            if !allowed.contains(&room) {
                findings.push(format!("{}:{line}: uses {prefix}{room}; it may use {}", source.path, allowed.join(", ")));
            }
        }
    }
    findings
}

/// `a::b` gives a; `{a::{b, c}, d}` gives a and d.
fn first_names(path: &str) -> Vec<&str> {
    let word = |text: &'_ str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let Some(group) = path.strip_prefix('{') else { return vec![&path[..word(path)]] };
    let (mut names, mut depth, mut start) = (Vec::new(), 0, 0);
    for (i, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                let name = group[start..i].trim_start();
                names.push(&name[..word(name)]);
                start = i + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn imports_are_understood() {
    assert_eq!(first_names("storage::Store;"), ["storage"]);
    assert_eq!(first_names("{storage::{Store, entry::{A, B}}, http, actors as a,\n};"), ["storage", "http", "actors"]);
}
