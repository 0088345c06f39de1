//! The shim's loop: output into the log and to attached clients, input from them, until the container ends.
use super::client::{Client, ClientError};
use super::frame::Frame;
use super::log::{CriLog, Stream};
use super::{During, ShimError, setup};
use crate::runtime::containers::state::ShimOptions;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;

/// More attached clients than this are turned away.
const MAX_CLIENTS: usize = 8;
/// Input that the container has not read yet; while there is more, clients are not read from.
const MAX_INPUT: usize = 64 * 1024;
/// What is read after the end, per stream: all that a pipe or terminal can hold, and bounded in case someone else still writes.
const MAX_DRAIN: usize = 1024 * 1024;
/// How long clients get to take their last frames, in all.
const DISMISS_MS: u16 = 500;

/// Our ends of a container's (or exec command's) streams. With a terminal there is one descriptor for all.
#[derive(Debug)]
pub struct Streams {
    pub stdin: Option<std::fs::File>,
    pub stdout: Option<std::fs::File>,
    pub stderr: Option<std::fs::File>,
    pub terminal: Option<OwnedFd>,
}

impl Streams {
    pub fn pipes(stdin: Option<OwnedFd>, stdout: OwnedFd, stderr: OwnedFd) -> io::Result<Self> {
        for fd in stdin.iter().chain([&stdout, &stderr]) {
            setup::set_nonblocking(fd)?;
        }
        Ok(Streams { stdin: stdin.map(Into::into), stdout: Some(stdout.into()), stderr: Some(stderr.into()), terminal: None })
    }

    pub fn terminal(master: OwnedFd) -> io::Result<Self> {
        setup::set_nonblocking(&master)?;
        let (stdin, stdout) = (master.try_clone()?, master.try_clone()?);
        Ok(Streams { stdin: Some(stdin.into()), stdout: Some(stdout.into()), stderr: None, terminal: Some(master) })
    }

    /// Reads once from a stream; `None` at its end, an empty slice when nothing is there now.
    pub fn read<'a>(&mut self, stream: Stream, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        let slot = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        match slot.as_mut()?.read(buffer) {
            Ok(n) if n > 0 => buffer.get(..n),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Some(&[]),
            // End of file; or EIO, which is how a terminal says that nobody has it open any more.
            _ => {
                *slot = None;
                None
            }
        }
    }

    /// Waits for a terminal's last output, which the kernel hands on with a delay; a pipe has it at once.
    pub fn await_last(&self) -> bool {
        let Some(file) = self.stdout.as_ref().filter(|_| self.terminal.is_some()) else { return false };
        poll(&mut [PollFd::new(file.as_fd(), PollFlags::POLLIN)], PollTimeout::from(50u16)).is_ok_and(|n| n > 0)
    }

    /// Writes pending input as far as it goes. Input to a closed stream is discarded.
    pub fn write_input(&mut self, pending: &mut Vec<u8>) {
        let Some(stdin) = self.stdin.as_mut() else { return pending.clear() };
        match stdin.write(pending) {
            Ok(n) => drop(pending.drain(..n)),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => {
                self.stdin = None;
                pending.clear();
            }
        }
    }

    /// Ends the input: a pipe is closed, a terminal gets its end-of-file character.
    pub fn end_input(&mut self, pending: &mut Vec<u8>) {
        if self.terminal.is_some() {
            pending.push(4);
        } else {
            self.stdin = None;
        }
    }
}

struct Server<'a> {
    options: &'a ShimOptions,
    streams: Streams,
    listener: UnixListener,
    clients: Vec<Client>,
    log: CriLog,
    input: Vec<u8>,
    /// Close the input as soon as `input` is written.
    end_input: bool,
    buffer: Vec<u8>,
}

/// What a descriptor in the poll set stands for.
#[derive(Clone, Copy)]
enum Source {
    Init,
    Output(Stream),
    Listener,
    Input,
    Client(usize),
}

/// Serves until the first process ends. Answers with its wait status and the clients that are still attached.
pub fn serve(
    options: &ShimOptions,
    pid: i32,
    init: &OwnedFd,
    streams: Streams,
    listener: UnixListener,
    log: CriLog,
) -> Result<(i32, Vec<Client>), ShimError> {
    // A client that went away shows as an error of its write, not as a signal.
    // SAFETY: SIG_IGN is a valid disposition, and no child is made after this point.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    let buffer = vec![0; super::frame::MAX_PAYLOAD];
    let mut server = Server { options, streams, listener, clients: Vec::new(), log, input: Vec::new(), end_input: false, buffer };
    while !server.step(init)? {}
    server.drain();
    let status = setup::wait_for(pid).during("cannot wait for the container's process")?;
    Ok((status, server.clients))
}

/// Sends the exit code to the attached clients.
pub fn dismiss(mut clients: Vec<Client>, code: i32) {
    clients.retain_mut(|c| c.send(&Frame::Exit(code)).is_ok() && c.has_backlog());
    let rounds = 10;
    for _ in 0..rounds {
        let mut set: Vec<PollFd> = clients.iter().map(|c| PollFd::new(c.descriptor(), PollFlags::POLLOUT)).collect();
        if set.is_empty() || poll(&mut set, PollTimeout::from(DISMISS_MS / rounds)).is_err() {
            return;
        }
        clients.retain_mut(|c| c.flush().is_ok() && c.has_backlog());
    }
}

impl Server<'_> {
    /// Waits for something to happen and handles all that did. True when the first process has ended.
    fn step(&mut self, init: &OwnedFd) -> Result<bool, ShimError> {
        let ready = match self.wait(init) {
            Ok(ready) => ready,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return Ok(false),
            Err(e) => return Err(e).during("cannot poll"),
        };
        let mut ended = false;
        for (source, events) in ready {
            match source {
                Source::Init => ended = true,
                Source::Output(stream) => drop(self.pass_output(stream)),
                Source::Input => self.write_input(),
                Source::Listener => self.accept(),
                Source::Client(index) => {
                    if self.serve_client(index, events).is_err() {
                        self.clients.iter_mut().skip(index).take(1).for_each(Client::give_up);
                    }
                }
            }
        }
        // Removed only here, so that the indices hold while events are handled.
        let before = self.clients.len();
        self.clients.retain(|c| !c.is_gone());
        self.end_input |= self.options.stdin_once && self.clients.len() < before;
        if self.end_input && self.input.is_empty() {
            self.end_input = false;
            self.streams.end_input(&mut self.input);
        }
        Ok(ended)
    }

    fn wait(&self, init: &OwnedFd) -> io::Result<Vec<(Source, PollFlags)>> {
        let mut sources = vec![Source::Init, Source::Listener];
        let mut set = vec![PollFd::new(init.as_fd(), PollFlags::POLLIN), PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
        for (stream, file) in [(Stream::Stdout, &self.streams.stdout), (Stream::Stderr, &self.streams.stderr)] {
            if let Some(file) = file {
                sources.push(Source::Output(stream));
                set.push(PollFd::new(file.as_fd(), PollFlags::POLLIN));
            }
        }
        if let Some(stdin) = self.streams.stdin.as_ref().filter(|_| !self.input.is_empty()) {
            sources.push(Source::Input);
            set.push(PollFd::new(stdin.as_fd(), PollFlags::POLLOUT));
        }
        for (index, client) in self.clients.iter().enumerate() {
            let mut events = PollFlags::empty();
            events.set(PollFlags::POLLIN, self.input.len() < MAX_INPUT);
            events.set(PollFlags::POLLOUT, client.has_backlog());
            sources.push(Source::Client(index));
            set.push(PollFd::new(client.descriptor(), events));
        }
        poll(&mut set, PollTimeout::NONE)?;
        let happened = |fd: &PollFd| fd.revents().filter(|e| !e.is_empty());
        Ok(sources.into_iter().zip(&set).filter_map(|(source, fd)| happened(fd).map(|e| (source, e))).collect())
    }

    /// Moves one read of output into the log and to the clients. Answers how much; `None` when there is nothing now.
    fn pass_output(&mut self, stream: Stream) -> Option<usize> {
        let data = self.streams.read(stream, &mut self.buffer).filter(|d| !d.is_empty())?;
        if let Err(e) = self.log.write(stream, data) {
            eprintln!("cannot write the log: {e}");
        }
        if !self.clients.is_empty() {
            let frame = match stream {
                Stream::Stdout => Frame::Stdout(data.to_vec()),
                Stream::Stderr => Frame::Stderr(data.to_vec()),
            };
            for client in self.clients.iter_mut().filter(|c| !c.is_gone()) {
                if client.send(&frame).is_err() {
                    client.give_up();
                }
            }
        }
        Some(data.len())
    }

    fn accept(&mut self) {
        while let Ok((socket, _)) = self.listener.accept() {
            match Client::new(socket) {
                Ok(mut client) if self.clients.len() >= MAX_CLIENTS => {
                    let _ = client.send(&Frame::Failed("too many attached clients".into()));
                }
                Ok(client) => self.clients.push(client),
                Err(e) => eprintln!("cannot serve a client: {e}"),
            }
        }
    }

    fn serve_client(&mut self, index: usize, events: PollFlags) -> Result<(), ClientError> {
        let Some(client) = self.clients.get_mut(index) else { return Ok(()) };
        if events.contains(PollFlags::POLLOUT) {
            client.flush()?;
        }
        if !events.intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR) {
            return Ok(());
        }
        for frame in client.receive(&mut self.buffer)? {
            match frame {
                Frame::Stdin(data) if self.options.stdin => self.input.extend_from_slice(&data),
                Frame::CloseStdin => self.end_input |= self.options.stdin_once,
                Frame::Resize { width, height } => {
                    if let Some(terminal) = &self.streams.terminal {
                        setup::resize(terminal, width, height);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn write_input(&mut self) {
        self.streams.write_input(&mut self.input);
    }

    /// Takes what the streams still hold.
    fn drain(&mut self) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let mut taken = 0;
            while taken < MAX_DRAIN {
                match self.pass_output(stream) {
                    Some(n) => taken += n,
                    None if stream == Stream::Stdout && self.streams.await_last() => {}
                    None => break,
                }
            }
        }
        if let Err(e) = self.log.finish() {
            eprintln!("cannot write the log: {e}");
        }
    }
}
