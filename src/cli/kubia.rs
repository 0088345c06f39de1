//! `impresario kubia`: the program of the built-in image.
use std::process::ExitCode;

pub fn run() -> ExitCode {
    crate::runtime::images::kubia_main()
}
