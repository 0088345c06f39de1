//! How a session ended, in upstream's words.
use serde_json::{Value, json};

/// The result of a session, told to the client on the error channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    ExitCode(i32),
    /// Something broke; the message is shown to the user.
    Failed(String),
}

impl Outcome {
    /// The `Status` of protocols since v4.
    pub fn status(&self) -> Value {
        match self {
            Outcome::Success => json!({"metadata": {}, "status": "Success"}),
            Outcome::ExitCode(code) => json!({
                "metadata": {}, "status": "Failure", "message": self.message(), "reason": "NonZeroExitCode",
                "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
            }),
            Outcome::Failed(why) => json!({
                "metadata": {}, "status": "Failure", "message": self.message(), "reason": "InternalError",
                "details": {"causes": [{"message": why}]}, "code": 500,
            }),
        }
    }

    /// What is written on the error channel; nothing for success before v4.
    pub fn report(&self, json_status: bool) -> String {
        match self {
            _ if json_status => self.status().to_string(),
            Outcome::Success => String::new(),
            _ => self.message(),
        }
    }

    fn message(&self) -> String {
        match self {
            Outcome::Success => String::new(),
            Outcome::ExitCode(code) => format!("command terminated with non-zero exit code: exit status {code}"),
            Outcome::Failed(why) => format!("Internal error occurred: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_as_clients_read_them() {
        assert_eq!(Outcome::Success.report(true), r#"{"metadata":{},"status":"Success"}"#);
        assert_eq!(Outcome::Success.report(false), "");
        let status = Outcome::ExitCode(3).status();
        assert_eq!(status["reason"], "NonZeroExitCode");
        assert_eq!(status["details"]["causes"][0], json!({"reason": "ExitCode", "message": "3"}));
        assert_eq!(Outcome::ExitCode(3).report(false), "command terminated with non-zero exit code: exit status 3");
        assert_eq!(Outcome::Failed("x".into()).status()["message"], "Internal error occurred: x");
    }
}
