//! Every dependency's licence goes together with MIT or Apache-2.0. The list is the one in `deny.toml`.
use crate::run::{Run, run};
use serde_json::Value;
use std::process::Command;

#[test]
fn every_licence_is_compatible() {
    let rules = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deny.toml")).expect("deny.toml");
    let allowed: Vec<&str> = between(&rules, "allow = [", "]").split('"').skip(1).step_by(2).collect();
    let metadata: Value = serde_json::from_str(&metadata().ok()).expect("JSON");
    let mut findings = Vec::new();
    for package in metadata["packages"].as_array().expect("packages") {
        // Some crates write the old form "MIT/Apache-2.0".
        let licence = package["license"].as_str().or_else(|| clarified(&rules, &package["name"])).unwrap_or("none").replace('/', " OR ");
        if !Expression::of(&licence).allows(&allowed) {
            findings.push(format!("{} {}: {licence}", package["name"], package["version"]));
        }
    }
    assert!(findings.is_empty(), "licences that are not in deny.toml:\n{}", findings.join("\n"));
}

/// Dependencies for this platform, without asking the network.
fn metadata() -> Run {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", "x86_64-unknown-linux-gnu"]);
    run(command.current_dir(env!("CARGO_MANIFEST_DIR")))
}

/// What `deny.toml` says about a package that names its licence by a file only.
fn clarified<'a>(rules: &'a str, name: &Value) -> Option<&'a str> {
    let head = format!("[[licenses.clarify]]\ncrate = {name}\nexpression = \"");
    Some(rules.split_once(&head)?.1.split_once('"')?.0)
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let rest = text.split_once(from).expect("the list begins").1;
    rest.split_once(to).expect("the list ends").0
}

/// A licence expression (SPDX): `OR` binds weaker than `AND`; `X WITH Y` is a name of its own.
struct Expression {
    words: Vec<String>,
    at: usize,
}

impl Expression {
    fn of(text: &str) -> Expression {
        let spaced = text.replace('(', " ( ").replace(')', " ) ").replace(" WITH ", "\u{0}WITH\u{0}");
        Expression { words: spaced.split(' ').filter(|w| !w.is_empty()).map(|w| w.replace('\u{0}', " ")).collect(), at: 0 }
    }

    fn allows(mut self, allowed: &[&str]) -> bool {
        self.either(allowed) && self.at == self.words.len()
    }

    fn either(&mut self, allowed: &[&str]) -> bool {
        let mut good = self.both(allowed);
        while self.takes("OR") {
            // Both sides are read, whatever the first one says.
            good |= self.both(allowed);
        }
        good
    }

    fn both(&mut self, allowed: &[&str]) -> bool {
        let mut good = self.one(allowed);
        while self.takes("AND") {
            good &= self.one(allowed);
        }
        good
    }

    fn one(&mut self, allowed: &[&str]) -> bool {
        if self.takes("(") {
            let good = self.either(allowed);
            if !self.takes(")") {
                self.at = usize::MAX / 2;
            }
            return good;
        }
        let name = self.words.get(self.at).cloned().unwrap_or_default();
        self.at += 1;
        // "MPL-2.0+" is that version or, as the user likes, a later one.
        allowed.contains(&name.trim_end_matches('+'))
    }

    fn takes(&mut self, word: &str) -> bool {
        let there = self.words.get(self.at).is_some_and(|w| w == word);
        self.at += usize::from(there);
        there
    }
}

#[test]
fn expressions_are_understood() {
    let allows = |text: &str| Expression::of(text).allows(&["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"]);
    assert!(allows("MIT") && allows("GPL-3.0 OR MIT") && allows("(GPL-3.0 OR MIT) AND ISC") && allows("Apache-2.0 WITH LLVM-exception"));
    assert!(!allows("GPL-3.0") && !allows("MIT AND GPL-3.0") && !allows("Apache-2.0") && !allows("MIT OR (ISC") && !allows(""));
}
