//! A mistake in the cluster file: where it is, what it is, what was probably meant.
use std::fmt::Write;

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the cluster file {file}: {source}")]
    Unreadable { file: String, source: std::io::Error },
    /// `cluster.yaml:3:5: unknown field "portt"; did you mean "port"?`
    #[error("{file}:{line}:{column}: {what}")]
    Syntax { file: String, line: usize, column: usize, what: String },
    #[error("{file}: {field}: {why}")]
    Invalid { file: String, field: String, why: String },
}

impl ConfigError {
    /// `path` is the field that was being read; not every message of the parser names it.
    pub(super) fn from_yaml(file: &str, path: &str, error: &serde_yaml::Error) -> Self {
        let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
        let text = error.to_string();
        let message = text.split(" at line ").next().unwrap_or(&text).to_string();
        let mut what = explain(&message);
        if path != "." && !what.contains(path) && !message.contains("unknown field") {
            let told =
                what.rsplit_once(": ").filter(|(parent, _)| path.starts_with(parent)).map_or(what.clone(), |(_, rest)| rest.to_string());
            what = format!("{path}: {told}");
        }
        ConfigError::Syntax { file: file.into(), line, column, what }
    }
}

/// Says which valid name is nearest to an unknown one.
fn explain(message: &str) -> String {
    let (path, rest) = match message.split_once(": unknown field ") {
        Some((path, rest)) => (format!("{path}: "), rest),
        None => match message.strip_prefix("unknown field ") {
            Some(rest) => (String::new(), rest),
            None => return message.to_string(),
        },
    };
    let mut names = rest.split('`').skip(1).step_by(2);
    let Some(given) = names.next() else { return message.to_string() };
    let valid: Vec<&str> = names.collect();
    let mut text = format!("{path}unknown field \"{given}\"");
    let near = valid.iter().map(|v| (distance(given, v), *v)).min();
    match near {
        Some((far, name)) if far <= 1 + given.len() / 2 => {
            let _ = write!(text, "; did you mean \"{name}\"?");
        }
        _ => {
            let _ = write!(text, "; valid here: {}", valid.join(", "));
        }
    }
    text
}

/// Edits (insertions, deletions, substitutions) between two words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.to_lowercase().chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
