//! Keeps `table.yaml` true: every test that it names exists, and what has none has a reason.
use crate::conformance::table::is_test;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    says: String,
    #[serde(default)]
    test: String,
    #[serde(default)]
    reason: String,
}

#[test]
fn every_statement_has_a_test_or_a_reason() {
    let table: BTreeMap<String, Vec<Row>> = serde_yaml::from_str(include_str!("table.yaml")).expect("the table is YAML");
    let rows = table.iter().flat_map(|(chapter, rows)| rows.iter().map(move |row| (chapter, row)));
    let (mut wrong, mut said) = (Vec::new(), BTreeSet::new());
    for (chapter, row) in rows {
        let reasoned = row.test.is_empty() && row.reason.len() > 10;
        let tested = row.reason.is_empty() && is_test(&row.test);
        if !(reasoned || tested) || !said.insert((chapter, &row.says)) {
            wrong.push(format!("{chapter}: {}: {:?}", row.says, row.test));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
