//! The one binary. A container's shim is the same executable, and must run before any thread exists.
fn main() -> std::process::ExitCode {
    if let Some(code) = impresario::runtime::shim::intercept() {
        return code;
    }
    impresario::cli::main()
}
