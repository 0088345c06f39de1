//! Passing bytes between a session's socket and its command. Unlike a container's log, a session has one reader, so a slow one
//! slows the command down; nothing is dropped.
use super::super::client::{Client, ClientError};
use super::super::frame::{Decoder, Frame, MAX_PAYLOAD};
use super::super::log::Stream;
use super::super::serve::Streams;
use super::super::{During, ShimError, setup};
use super::Command;
use crate::runtime::containers::process;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

/// Output that the agent has not taken yet, and input that the command has not read yet; beyond it the other side waits.
const MAX_BACKLOG: usize = 128 * 1024;
/// What is read after the command's end; others may hold its pipes open and write on.
const MAX_DRAIN: usize = 1024 * 1024;

/// Says why there is no session.
pub fn refuse(mut socket: UnixStream, frame: Frame) -> Result<UnixStream, ShimError> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    socket.write_all(&bytes).during("cannot answer")?;
    Ok(socket)
}

struct Session {
    client: Client,
    streams: Streams,
    input: Vec<u8>,
    end_input: bool,
    buffer: Vec<u8>,
}

/// Serves the session until the command ends. When the agent goes away, the command is killed.
pub fn serve(socket: UnixStream, decoder: Decoder, command: Command) -> Result<UnixStream, ShimError> {
    // SAFETY: SIG_IGN is a valid disposition, and no child is made after this point.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    let kept = socket.try_clone().during("cannot serve the session")?;
    let client = Client::resume(socket, decoder).during("cannot serve the session")?;
    let Command { pid, pidfd, streams } = command;
    let mut session = Session { client, streams, input: Vec::new(), end_input: false, buffer: vec![0; MAX_PAYLOAD] };
    let early = session.client.take_frames();
    let mut alive = early.and_then(|frames| session.obey(frames)).is_ok();
    while alive {
        match session.step(&pidfd) {
            Ok(true) => break,
            Ok(false) => {}
            Err(_) => alive = false,
        }
    }
    if !alive {
        // It leads a process group of its own, which goes with it.
        // SAFETY: plain integers; the group exists as long as its leader has not been waited for.
        unsafe { libc::kill(-pid, libc::SIGKILL) };
        let _ = process::signal(&pidfd, libc::SIGKILL);
    }
    let status = setup::wait_for(pid).during("cannot wait for the command")?;
    if alive {
        let (code, _) = setup::exit_code(status);
        // An error here is the agent leaving, which is no longer of interest.
        let _ = session.finish(code);
    }
    Ok(kept)
}

impl Session {
    /// Waits for something to happen and handles it. True when the command has ended.
    fn step(&mut self, pidfd: &impl AsFd) -> Result<bool, ClientError> {
        let room = self.client.backlog() < MAX_BACKLOG;
        let mut wanted = PollFlags::empty();
        wanted.set(PollFlags::POLLIN, self.input.len() < MAX_BACKLOG);
        wanted.set(PollFlags::POLLOUT, self.client.has_backlog());
        let outputs = [(Stream::Stdout, &self.streams.stdout), (Stream::Stderr, &self.streams.stderr)];
        let open: Vec<Stream> = outputs.iter().filter(|(_, f)| room && f.is_some()).map(|(s, _)| *s).collect();
        let mut set = vec![PollFd::new(pidfd.as_fd(), PollFlags::POLLIN), PollFd::new(self.client.descriptor(), wanted)];
        set.extend(outputs.iter().filter(|_| room).filter_map(|(_, f)| f.as_ref()).map(|f| PollFd::new(f.as_fd(), PollFlags::POLLIN)));
        if let Some(stdin) = self.streams.stdin.as_ref().filter(|_| !self.input.is_empty()) {
            set.push(PollFd::new(stdin.as_fd(), PollFlags::POLLOUT));
        }
        match poll(&mut set, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => return Ok(false),
            other => drop(other.map_err(io::Error::from)?),
        }
        let events: Vec<PollFlags> = set.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty())).collect();
        let happened = |index: usize| events.get(index).copied().unwrap_or(PollFlags::empty());
        let (ended, socket) = (!happened(0).is_empty(), happened(1));
        let readable: Vec<Stream> = open.iter().enumerate().filter(|(n, _)| !happened(n + 2).is_empty()).map(|(_, s)| *s).collect();
        let writable = !happened(open.len() + 2).is_empty();

        if socket.contains(PollFlags::POLLOUT) {
            self.client.flush()?;
        }
        if socket.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) && !socket.contains(PollFlags::POLLIN) {
            return Err(ClientError::Closed);
        }
        if socket.contains(PollFlags::POLLIN) {
            let frames = self.client.receive(&mut self.buffer)?;
            self.obey(frames)?;
        }
        for stream in readable {
            self.pass_output(stream)?;
        }
        if writable {
            self.streams.write_input(&mut self.input);
        }
        if self.end_input && self.input.is_empty() {
            self.end_input = false;
            self.streams.end_input(&mut self.input);
        }
        Ok(ended)
    }

    fn obey(&mut self, frames: Vec<Frame>) -> Result<(), ClientError> {
        for frame in frames {
            match frame {
                Frame::Stdin(data) if self.streams.stdin.is_some() => self.input.extend_from_slice(&data),
                Frame::CloseStdin => self.end_input = true,
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

    /// Sends one read of output on. Answers how much; `None` when there is nothing now.
    fn pass_output(&mut self, stream: Stream) -> Result<Option<usize>, ClientError> {
        let Some(data) = self.streams.read(stream, &mut self.buffer).filter(|d| !d.is_empty()) else { return Ok(None) };
        let frame = match stream {
            Stream::Stdout => Frame::Stdout(data.to_vec()),
            Stream::Stderr => Frame::Stderr(data.to_vec()),
        };
        let length = data.len();
        self.client.send(&frame)?;
        Ok(Some(length))
    }

    /// Sends what the streams still hold and the exit code, waiting for the agent to take it.
    fn finish(&mut self, code: i32) -> Result<(), ClientError> {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let mut taken = 0;
            while taken < MAX_DRAIN {
                match self.pass_output(stream)? {
                    Some(n) => taken += n,
                    None if stream == Stream::Stdout && self.streams.await_last() => {}
                    None => break,
                }
            }
        }
        self.client.send(&Frame::Exit(code))?;
        while self.client.has_backlog() {
            poll(&mut [PollFd::new(self.client.descriptor(), PollFlags::POLLOUT)], PollTimeout::NONE).map_err(io::Error::from)?;
            self.client.flush()?;
        }
        Ok(())
    }
}
