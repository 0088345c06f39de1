//! Why an apply is refused.
use super::super::fieldset::{Element, path_text};
use super::super::typed::Problem;
use super::entry::{DecodeError, Entry, Operation};
use crate::status::{ApiError, Cause, Details};
use std::fmt;

/// A field that is somebody else's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// As messages name the other manager: `"kubectl-client-side-apply" using apps/v1`
    pub manager: String,
    pub path: Vec<Element>,
}

impl Conflict {
    /// `.spec.replicas`
    pub fn field(&self) -> String {
        path_text(&self.path)
    }
}

/// The manager of an entry as messages name it.
pub(super) fn manager_text(entry: &Entry) -> String {
    let mut text = format!("{:?}", entry.manager);
    if !entry.subresource.is_empty() {
        text.push_str(&format!(" with subresource {:?}", entry.subresource));
    }
    if entry.operation == Operation::Update {
        text.push_str(&format!(" using {}", entry.api_version));
    }
    text
}

/// Why an apply is refused, in upstream's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Sorted by manager.
    #[error("{}", conflict_text(.0))]
    Conflicts(Vec<Conflict>),
    #[error("metadata.managedFields must be nil")]
    ManagedFields,
    #[error("invalid object type: {0}")]
    Type(String),
    #[error("failed to create typed patch object ({object}): {}", Problems(.problems))]
    Patch { object: String, problems: Vec<Problem> },
    #[error("failed to decode managed fields: {0}")]
    Live(#[from] DecodeError),
}

impl ApplyError {
    /// The answer to the client.
    pub fn to_api_error(&self) -> ApiError {
        match self {
            ApplyError::Conflicts(conflicts) => {
                let cause = |c: &Conflict| Cause {
                    reason: "FieldManagerConflict".into(),
                    message: format!("conflict with {}", c.manager),
                    field: c.field(),
                };
                let mut error = ApiError::new(409, "Conflict", self.to_string());
                error.details = Some(Details { causes: conflicts.iter().map(cause).collect(), ..Details::default() });
                error
            }
            ApplyError::ManagedFields | ApplyError::Type(_) => ApiError::bad_request(self.to_string()),
            ApplyError::Patch { .. } | ApplyError::Live(_) => ApiError::new(500, "", self.to_string()),
        }
    }
}

fn conflict_text(conflicts: &[Conflict]) -> String {
    if let [only] = conflicts {
        return format!("Apply failed with 1 conflict: conflict with {}: {}", only.manager, only.field());
    }
    let mut lines = Vec::new();
    for same in conflicts.chunk_by(|a, b| a.manager == b.manager) {
        lines.extend(same.first().map(|c| format!("conflicts with {}:", c.manager)));
        lines.extend(same.iter().map(|c| format!("- {}", c.field())));
    }
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
}

/// One problem as it is, several as a list.
struct Problems<'a>(&'a [Problem]);

impl fmt::Display for Problems<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.0 {
            return write!(f, "{only}");
        }
        f.write_str("errors:")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}
