//! The built-in image's program: the small web server of the documents, which says which pod was hit.
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const PORT: u16 = 8080;
/// Connections served at once; more are closed.
const CONNECTIONS: usize = 256;
/// A connection that says nothing for so long is closed.
const IDLE: Duration = Duration::from_secs(60);
/// Head of a request, bytes.
const HEAD_MAX: u64 = 16 << 10;
/// Body of a request that is read and thrown away, bytes.
const BODY_MAX: u64 = 1 << 20;

/// Serves port 8080 until SIGTERM or SIGINT.
pub fn kubia_main() -> ExitCode {
    // The first process of a pid namespace gets no signal that it has no handler for.
    let action = nix::sys::signal::SigHandler::Handler(stop);
    for signal in [nix::sys::signal::Signal::SIGTERM, nix::sys::signal::Signal::SIGINT] {
        // SAFETY: the handler only calls _exit, which is safe in a signal handler.
        if let Err(e) = unsafe { nix::sys::signal::signal(signal, action) } {
            eprintln!("cannot handle {signal}: {e}");
        }
    }
    let listener = match TcpListener::bind(("0.0.0.0", PORT)) {
        Ok(listener) => listener,
        Err(e) => {
            eprintln!("cannot listen on port {PORT}: {e}");
            return ExitCode::FAILURE;
        }
    };
    say("Kubia server starting...");
    serve(listener)
}

extern "C" fn stop(_: libc::c_int) {
    // SAFETY: _exit is async-signal-safe.
    unsafe { libc::_exit(0) }
}

fn serve(listener: TcpListener) -> ExitCode {
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        let (stream, _) = match listener.accept() {
            Ok(accepted) => accepted,
            // The peer went away first, or descriptors ran out: the next one may do better.
            Err(e) => {
                eprintln!("accept: {e}");
                std::thread::yield_now();
                continue;
            }
        };
        if open.fetch_add(1, Ordering::AcqRel) >= CONNECTIONS {
            open.fetch_sub(1, Ordering::AcqRel);
            continue;
        }
        let held = Held(open.clone());
        // When no thread is to be had the closure is dropped, and the connection with it.
        let started = std::thread::Builder::new().stack_size(128 << 10).spawn(move || {
            let _held = held;
            let _ = connection(stream);
        });
        if let Err(e) = started {
            eprintln!("thread: {e}");
        }
    }
}

/// One place among the connections.
struct Held(Arc<AtomicUsize>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn connection(stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(IDLE))?;
    stream.set_nodelay(true)?;
    let peer = stream.peer_addr()?.ip();
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = head(&mut reader)? {
        if request.body > BODY_MAX || request.chunked {
            return writer.write_all(b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
        std::io::copy(&mut reader.by_ref().take(request.body), &mut std::io::sink())?;
        say(&format!("Received request from {peer}"));
        writer.write_all(answer(&request, &host_name()).as_bytes())?;
        if request.close {
            return Ok(());
        }
    }
    Ok(())
}

/// What of a request matters here.
#[derive(Debug, Default, PartialEq)]
struct Request {
    is_head: bool,
    close: bool,
    body: u64,
    chunked: bool,
}

/// Reads one request's head; `None` when the peer is done or makes no sense.
fn head(reader: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut reader = reader.take(HEAD_MAX);
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 || !line.contains(" HTTP/1.") {
        return Ok(None);
    }
    let mut request = Request { is_head: line.starts_with("HEAD "), close: line.trim_end().ends_with("HTTP/1.0"), ..Default::default() };
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let text = line.trim_end();
        if text.is_empty() {
            return Ok(Some(request));
        }
        let Some((name, value)) = text.split_once(':') else { return Ok(None) };
        let value = value.trim().to_ascii_lowercase();
        match name.to_ascii_lowercase().as_str() {
            "connection" => request.close = value == "close" || (request.close && value != "keep-alive"),
            "content-length" => match value.parse() {
                Ok(length) => request.body = length,
                Err(_) => return Ok(None),
            },
            "transfer-encoding" => request.chunked = true,
            _ => {}
        }
    }
}

fn answer(request: &Request, host: &str) -> String {
    let body = format!("You've hit {host}\n");
    let connection = if request.close { "close" } else { "keep-alive" };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n", body.len());
    if request.is_head { head } else { head + &body }
}

/// A line on stdout; when nobody takes it, serving goes on.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn host_name() -> String {
    nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keep_alive_and_bodies() {
        let two = "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /x HTTP/1.0\r\nHost: y\r\n\r\n";
        let mut reader = BufReader::new(two.as_bytes());
        let first = head(&mut reader).unwrap().unwrap();
        assert_eq!((first.body, first.close), (3, false));
        std::io::copy(&mut reader.by_ref().take(first.body), &mut std::io::sink()).unwrap();
        assert!(head(&mut reader).unwrap().unwrap().close);
        assert_eq!(head(&mut reader).unwrap(), None);
        assert!(answer(&first, "pod-1").ends_with("\r\n\r\nYou've hit pod-1\n"));
    }
}
