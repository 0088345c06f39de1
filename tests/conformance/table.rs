//! Keeps `table.yaml` true: every behaviour is in it once, and every test that it names exists.
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How many behaviours the suite has in each group that the table is about.
const BEHAVIOURS: [(&str, usize); 6] =
    [("sig-api-machinery", 99), ("sig-apps", 60), ("sig-auth", 10), ("sig-cli", 17), ("sig-instrumentation", 4), ("sig-scheduling", 11)];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// The words of its name, without the marks in brackets.
    behaviour: String,
    #[serde(default)]
    test: String,
    /// Why there is no test.
    #[serde(default)]
    reason: String,
}

#[test]
fn every_behaviour_has_a_test_or_a_reason() {
    let table: BTreeMap<String, Vec<Row>> = serde_yaml::from_str(include_str!("table.yaml")).expect("the table is YAML");
    let counts: Vec<(&str, usize)> = table.iter().map(|(group, rows)| (group.as_str(), rows.len())).collect();
    assert_eq!(counts, BEHAVIOURS);
    let mut wrong = Vec::new();
    for (group, rows) in &table {
        let names: Vec<&str> = rows.iter().map(|r| r.behaviour.as_str()).collect();
        assert!(names.is_sorted(), "{group} is not sorted");
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{group} names one twice");
        for row in rows {
            let reasoned = row.test.is_empty() && row.reason.len() > 10;
            let tested = row.reason.is_empty() && is_test(&row.test);
            if !reasoned && !tested {
                wrong.push(format!("{group}: {}: no test function {:?}", row.behaviour, row.test));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether a path such as `api::watches::a_watch_resumes` or `src::storage::tests::…` leads to a test function.
pub fn is_test(path: &str) -> bool {
    let Some((module, function)) = path.rsplit_once("::") else { return false };
    let (root, module) = match module.strip_prefix("src::") {
        Some(module) => ("src", module),
        None => ("tests", module),
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
    sources(&root, module).iter().any(|file| has_test(&std::fs::read_to_string(file).unwrap_or_default(), function))
}

/// The files that a module may be in; tests may be within the module that they test.
fn sources(root: &Path, module: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for module in [Some(module), module.strip_suffix("::tests")].into_iter().flatten() {
        let path = module.replace("::", "/");
        files.extend([root.join(format!("{path}.rs")), root.join(path).join("mod.rs")]);
    }
    files
}

/// Whether the source has this function, with an attribute that makes it a test right before it.
fn has_test(source: &str, function: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let head = format!("fn {function}(");
    lines.windows(2).any(|pair| pair[1].contains(&head) && pair[0].starts_with("#[") && pair[0].contains("test"))
}

#[test]
fn what_the_check_takes_for_a_test() {
    assert!(is_test("conformance::table::what_the_check_takes_for_a_test"));
    assert!(!is_test("conformance::table::is_test") && !is_test("conformance::table::nothing") && !is_test("nothing"));
    assert!(is_test("src::http::api::eviction::tests::a_budget_is_taken_from_until_it_is_empty"));
}
