//! Exec and attach sessions as frames: both ends of the mesh translate here, so that they cannot disagree.
use crate::protocol::mesh::Frame;
use crate::protocol::status::{ApiError, Cause, Details};
use crate::runtime::api::{SessionInput, SessionOutput, TerminalSize};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
const RESIZE: u8 = 4;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Resize {
    width: u16,
    height: u16,
}

/// What a client typed, on its way to the node.
pub fn frame_of_input(input: SessionInput) -> Frame {
    match input {
        SessionInput::Stdin(bytes) => Frame::Data { channel: STDIN, bytes },
        SessionInput::CloseStdin => Frame::Close { channel: STDIN },
        SessionInput::Resize(size) => {
            let text = json!({ "Width": size.width, "Height": size.height }).to_string();
            Frame::Data { channel: RESIZE, bytes: text.into() }
        }
    }
}

/// What a frame means to the session on the node; `None` for frames that mean nothing there.
pub fn input_of_frame(frame: Frame) -> Option<SessionInput> {
    match frame {
        Frame::Data { channel: STDIN, bytes } => Some(SessionInput::Stdin(bytes)),
        Frame::Close { channel: STDIN } => Some(SessionInput::CloseStdin),
        Frame::Data { channel: RESIZE, bytes } => {
            let size: Resize = serde_json::from_slice(&bytes).ok()?;
            Some(SessionInput::Resize(TerminalSize { width: size.width, height: size.height }))
        }
        _ => None,
    }
}

/// What the command wrote, or how it ended, on its way to the client.
pub fn frame_of_output(output: SessionOutput) -> Frame {
    match output {
        SessionOutput::Stdout(bytes) => Frame::Data { channel: STDOUT, bytes },
        SessionOutput::Stderr(bytes) => Frame::Data { channel: STDERR, bytes },
        SessionOutput::Exit(code) => Frame::Data { channel: STATUS, bytes: exit_status(code).to_string().into() },
        SessionOutput::Failed(why) => Frame::Data { channel: STATUS, bytes: ApiError::internal(why).to_status().to_string().into() },
    }
}

/// What a frame means to the client's end; `None` for frames that mean nothing there.
pub fn output_of_frame(frame: Frame) -> Option<SessionOutput> {
    match frame {
        Frame::Data { channel: STDOUT, bytes } => Some(SessionOutput::Stdout(bytes)),
        Frame::Data { channel: STDERR, bytes } => Some(SessionOutput::Stderr(bytes)),
        Frame::Data { channel: STATUS, bytes } => Some(ending(&bytes)),
        _ => None,
    }
}

/// The closing `Status` of `remotecommand` version 4.
pub fn exit_status(code: i32) -> Value {
    if code == 0 {
        return json!({ "metadata": {}, "status": "Success" });
    }
    let mut error = ApiError::new(500, "NonZeroExitCode", format!("command terminated with non-zero exit code: exit status {code}"));
    let cause = Cause { reason: "ExitCode".into(), message: code.to_string(), field: String::new() };
    error.details = Some(Details { causes: vec![cause], ..Default::default() });
    error.to_status()
}

fn ending(bytes: &Bytes) -> SessionOutput {
    let status: Value = serde_json::from_slice(bytes).unwrap_or_default();
    if status["status"] == "Success" {
        return SessionOutput::Exit(0);
    }
    let code = status["details"]["causes"].as_array().into_iter().flatten().find(|c| c["reason"] == "ExitCode");
    match code.and_then(|c| c["message"].as_str()).and_then(|t| t.parse().ok()) {
        Some(code) => SessionOutput::Exit(code),
        None => SessionOutput::Failed(status["message"].as_str().unwrap_or("the session broke off").to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_agree() {
        let outputs =
            [SessionOutput::Stdout("a".into()), SessionOutput::Stderr("b".into()), SessionOutput::Exit(0), SessionOutput::Exit(3)];
        for output in outputs {
            assert_eq!(output_of_frame(frame_of_output(output.clone())), Some(output));
        }
        let size = TerminalSize { width: 80, height: 24 };
        for input in [SessionInput::Stdin("x".into()), SessionInput::CloseStdin, SessionInput::Resize(size)] {
            assert_eq!(input_of_frame(frame_of_input(input.clone())), Some(input));
        }
    }
}
