//! The one binary. A container's shim is the same executable, and must run before any thread exists.

/// Nearly half of the server's time under load went to the system's allocator (docs/adr/0008).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    if let Some(code) = impresario::runtime::shim::intercept() {
        return code;
    }
    impresario::cli::main()
}
