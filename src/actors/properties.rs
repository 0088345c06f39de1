//! How property tests run.
use proptest::test_runner::Config;

/// So many cases, or `PROPTEST_CASES` of them. Seeds are random unless `PROPTEST_RNG_SEED` names one, as `make test` does, so that a
/// run that failed can be run again; `make soak` looks for new ones.
pub(crate) fn property(cases: u32) -> Config {
    let given = Config::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { given.cases } else { cases };
    Config { cases, failure_persistence: None, ..given }
}
