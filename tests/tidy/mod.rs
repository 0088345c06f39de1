//! Style as a failing test. There is no list of exceptions.
mod functions;
mod layers;
mod source;

use source::{Source, all};
use std::path::Path;

/// Lines a file may have.
const FILE_LINES: usize = 500;
/// Lines a function may have, from its `fn` to its closing brace.
const FUNCTION_LINES: usize = 70;
/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 6] = ["utils", "util", "helper", "helpers", "manager", "common"];

/// Fails with one line for each finding.
fn report(findings: Vec<String>) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn files_are_short() {
    let long = all().into_iter().map(|s| (s.text.lines().count(), s.path)).filter(|(lines, _)| *lines > FILE_LINES);
    report(
        long.map(|(lines, path)| format!("{path}: {lines} lines, at most {FILE_LINES} are allowed: split it by kind or by verb")).collect(),
    );
}

#[test]
fn functions_are_short() {
    let mut findings = Vec::new();
    for source in all() {
        for function in functions::find(&source.code) {
            if function.lines > FUNCTION_LINES {
                let (path, line, name, lines) = (&source.path, function.line, &function.name, function.lines);
                findings.push(format!("{path}:{line}: fn {name} has {lines} lines, at most {FUNCTION_LINES} are allowed"));
            }
        }
    }
    report(findings);
}

#[test]
fn names_say_something() {
    let mut findings = Vec::new();
    for source in all() {
        for part in Path::new(&source.path).with_extension("").iter() {
            if EMPTY_NAMES.contains(&part.to_string_lossy().as_ref()) {
                findings.push(format!("{}: \"{}\" says nothing about what is inside", source.path, part.display()));
            }
        }
        for (line, name) in defined_names(&source) {
            let words = snake(name);
            if words.split('_').any(|word| EMPTY_NAMES.contains(&word)) {
                findings.push(format!("{}:{line}: \"{name}\" says nothing about what it is", source.path));
            }
        }
    }
    report(findings);
}

/// Types and modules that a file defines, with their lines.
fn defined_names(source: &Source) -> impl Iterator<Item = (usize, &str)> {
    source.code.lines().enumerate().filter_map(|(i, line)| {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty());
        words.find(|w| ["struct", "enum", "trait", "mod", "type"].contains(w))?;
        words.next().map(|name| (i + 1, name))
    })
}

/// `PodHelper` as `pod_helper`.
fn snake(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.extend(c.to_lowercase());
    }
    text
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, so that this file does not find itself.
    let notes = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];
    let macros = [concat!("unimplemented", "!"), concat!("todo", "!"), concat!("dbg", "!")];
    let mut findings = Vec::new();
    for source in all() {
        for (i, (text, code)) in source.text.lines().zip(source.code.lines()).enumerate() {
            let note = notes.iter().find(|n| text.contains(*n)).or_else(|| macros.iter().find(|m| code.contains(*m)));
            findings.extend(note.map(|n| format!("{}:{}: {n}", source.path, i + 1)));
        }
    }
    report(findings);
}

#[test]
fn layers_point_one_way() {
    report(all().iter().flat_map(layers::check).collect());
}

#[test]
fn plans_are_pure() {
    // A plan is computed from what it is given: no time, no chance, no waiting, no talking.
    let impure = ["async ", ".await", "tokio::", "actix", "tracing::", "now()", "getrandom", "std::fs", "std::env", "println!"];
    let mut findings = Vec::new();
    for source in all().iter().filter(|s| s.path.starts_with("src/actors/") && s.path.ends_with("/plan.rs")) {
        for (i, line) in source.code.lines().enumerate() {
            findings.extend(impure.iter().filter(|word| line.contains(*word)).map(|word| format!("{}:{}: {word}", source.path, i + 1)));
        }
    }
    report(findings);
}

#[test]
fn the_code_map_is_complete() {
    let map = std::fs::read_to_string(source::root().join("docs/ARCHITECTURE.md")).expect("docs/ARCHITECTURE.md");
    let mut findings = Vec::new();
    for folder in ["src", "src/actors", "src/http", "src/runtime"] {
        for entry in std::fs::read_dir(source::root().join(folder)).expect("a folder").flatten().filter(|e| e.path().is_dir()) {
            let name = format!("{folder}/{}/", entry.file_name().to_string_lossy());
            if !map.contains(&format!("`{name}`")) {
                findings.push(format!("docs/ARCHITECTURE.md does not say what `{name}` is"));
            }
        }
    }
    report(findings);
}

#[test]
fn every_config_field_is_documented() {
    let text = std::fs::read_to_string(source::root().join("config/cluster.yaml")).expect("config/cluster.yaml");
    let shown: serde_yaml::Value = serde_yaml::from_str(&text).expect("YAML");
    let defaults = serde_yaml::to_value(impresario::config::Config::default()).expect("YAML");
    assert_eq!(shown, defaults, "config/cluster.yaml shows every field with its default");
}
