//! The unpack helper: a process of its own that writes one layer into one directory and verifies what it read.
//!
//! It is single-threaded and changes its root to the layer's directory first, so that no link in a layer leads out of it. Whiteouts
//! become overlayfs's character devices 0:0 and opaque attributes.
use sha2::{Digest, Sha256};
use std::ffi::{CString, OsStr};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;
use tar::EntryType;

/// Address space for the helper beyond what it has at its start: long names in a layer are held in memory, and shall not take the
/// machine's. The allocator has reserved a gibibyte by then, of which next to nothing is used.
const MEMORY: u64 = 1 << 30;
/// More entries than any real layer has.
const ENTRIES_MAX: u64 = 5_000_000;
const XATTR: &str = "SCHILY.xattr.";

/// `unpack FILE DIRECTORY DIFF_ID MAX_BYTES`: unpacks a plain, gzip or zstd layer. Prints the bytes of content; complains on stderr.
pub fn unpack_main(args: &[String]) -> ExitCode {
    let [file, directory, diff_id, max] = args else {
        eprintln!("usage: unpack FILE DIRECTORY DIFF_ID MAX_BYTES");
        return ExitCode::from(2);
    };
    let max = max.parse().unwrap_or(0);
    match run(Path::new(file), Path::new(directory), diff_id, max) {
        Ok(bytes) => match writeln!(io::stdout(), "{bytes}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(why) => {
            eprintln!("{}", chain(&why));
            ExitCode::FAILURE
        }
    }
}

/// The error and its sources on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

fn refuse(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}

fn run(file: &Path, directory: &Path, diff_id: &str, max: u64) -> io::Result<u64> {
    let file = std::fs::File::open(file)?;
    nix::sys::stat::umask(nix::sys::stat::Mode::empty());
    // A limit that the host refuses to set is no reason not to unpack.
    let limit = address_space().saturating_add(MEMORY);
    let _ = nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_AS, limit, limit);
    nix::unistd::chroot(directory)?;
    std::env::set_current_dir("/")?;
    let source = Hashing { inner: decompressed(file)?, hash: Sha256::new(), left: max.saturating_add(max / 8).saturating_add(1 << 20) };
    let mut archive = tar::Archive::new(source);
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(true);
    archive.set_overwrite(true);
    let mut layer = Layer { left: max, written: 0, entries: 0 };
    for entry in archive.entries()? {
        layer.entry(entry?)?;
    }
    // What follows the archive's end belongs to the digest, and a cut-off compressed stream shows only at its end.
    let mut source = archive.into_inner();
    io::copy(&mut source, &mut io::sink())?;
    let found = format!("sha256:{}", hex::encode(source.hash.finalize()));
    if found != diff_id {
        return Err(refuse(format!("layer has diff id {found}, the image says {diff_id}")));
    }
    Ok(layer.written)
}

/// What this process has mapped, in bytes.
fn address_space() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages: Option<u64> = pages.and_then(|text| text.split_whitespace().next()?.parse().ok());
    // SAFETY: `sysconf` only reads.
    let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    pages.unwrap_or_default().saturating_mul(page)
}

/// Tells gzip, zstd and plain tar apart by their first bytes; media types are often wrong.
pub(super) fn decompressed(file: std::fs::File) -> io::Result<Box<dyn Read>> {
    let mut file = io::BufReader::with_capacity(1 << 17, file);
    let start = io::BufRead::fill_buf(&mut file)?;
    if start.starts_with(&[0x1f, 0x8b]) {
        return Ok(Box::new(flate2::bufread::MultiGzDecoder::new(file)));
    }
    if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return Ok(Box::new(zstd::stream::read::Decoder::with_buffer(file)?));
    }
    Ok(Box::new(file))
}

/// Digests what passes, up to a limit.
struct Hashing {
    inner: Box<dyn Read>,
    hash: Sha256,
    left: u64,
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| refuse("layer is larger than this node allows"))?;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// The layer being written, inside the changed root.
struct Layer {
    left: u64,
    written: u64,
    entries: u64,
}

impl Layer {
    fn entry<R: Read>(&mut self, mut entry: tar::Entry<'_, R>) -> io::Result<()> {
        self.entries += 1;
        if self.entries > ENTRIES_MAX {
            return Err(refuse("layer has too many entries"));
        }
        let kind = entry.header().entry_type();
        if kind.is_pax_global_extensions() {
            return Ok(());
        }
        let path = inside(&entry.path()?)?;
        let size = entry.size();
        self.left = self.left.checked_sub(size).ok_or_else(|| refuse(format!("{}: larger than this node allows", path.display())))?;
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let name = path.file_name().map(OsStr::as_bytes).unwrap_or_default();
        if name == b".wh..wh..opq" {
            return opaque(path.parent().unwrap_or(Path::new("/")));
        }
        if let Some(hidden) = name.strip_prefix(b".wh.") {
            // `.wh..wh.*` are bookkeeping of an older union file system.
            return if hidden.starts_with(b".wh.") { Ok(()) } else { whiteout(&path.with_file_name(OsStr::from_bytes(hidden))) };
        }
        let hid_lower = make_room(&path, kind)?;
        match kind {
            EntryType::Char | EntryType::Block | EntryType::Fifo => device(&path, entry.header())?,
            _ => {
                if !entry.unpack_in("/")? {
                    return Err(refuse(format!("{}: path escapes the layer", path.display())));
                }
            }
        }
        if hid_lower && kind.is_dir() {
            opaque(&path)?;
        }
        self.written += size;
        attributes(&path, &mut entry)
    }
}

/// The entry's path below the root; `..` is refused even where it would not lead out.
pub(crate) fn inside(path: &Path) -> io::Result<PathBuf> {
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::CurDir | Component::RootDir => {}
            _ => return Err(refuse(format!("{}: path escapes the layer", path.display()))),
        }
    }
    Ok(clean)
}

/// Removes what an earlier entry put there, unless both are directories. True when that was a whiteout.
fn make_room(path: &Path, kind: EntryType) -> io::Result<bool> {
    let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(false) };
    if path == Path::new("/") {
        return match kind.is_dir() {
            true => Ok(false),
            false => Err(refuse("the layer's root is not a directory")),
        };
    }
    match (found.is_dir(), kind.is_dir()) {
        (true, true) => Ok(false),
        (true, false) => std::fs::remove_dir_all(path).map(|()| false),
        (false, _) => {
            std::fs::remove_file(path)?;
            Ok(found.file_type().is_char_device() && found.rdev() == 0)
        }
    }
}

fn opaque(directory: &Path) -> io::Result<()> {
    set_attribute(directory, "trusted.overlay.opaque", b"y")
}

/// A whiteout hides lower layers only: what this layer itself has under the name stays.
fn whiteout(path: &Path) -> io::Result<()> {
    use nix::sys::stat::{Mode, SFlag, mknod};
    match mknod(path, SFlag::S_IFCHR, Mode::empty(), 0) {
        Ok(()) | Err(nix::Error::EEXIST) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

fn device(path: &Path, header: &tar::Header) -> io::Result<()> {
    use nix::sys::stat::{Mode, SFlag, makedev, mknod};
    let kind = match header.entry_type() {
        EntryType::Char => SFlag::S_IFCHR,
        EntryType::Block => SFlag::S_IFBLK,
        _ => SFlag::S_IFIFO,
    };
    let number = |n: io::Result<Option<u32>>| n.ok().flatten().unwrap_or(0);
    let device = makedev(number(header.device_major()).into(), number(header.device_minor()).into());
    mknod(path, kind, Mode::empty(), device)?;
    std::os::unix::fs::lchown(path, Some(id(header.uid()?)?), Some(id(header.gid()?)?))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(header.mode()? & 0o7777))
}

fn id(number: u64) -> io::Result<u32> {
    u32::try_from(number).map_err(|_| refuse(format!("owner {number} is out of range")))
}

/// Extended attributes, but never overlayfs's own: they would let a layer redirect directories.
fn attributes<R: Read>(path: &Path, entry: &mut tar::Entry<'_, R>) -> io::Result<()> {
    let Some(extensions) = entry.pax_extensions()? else { return Ok(()) };
    for extension in extensions {
        let extension = extension?;
        let Some(name) = extension.key().ok().and_then(|key| key.strip_prefix(XATTR)) else { continue };
        if name.starts_with("trusted.overlay.") || name.starts_with("user.overlay.") {
            continue;
        }
        match set_attribute(path, name, extension.value_bytes()) {
            Err(e) if e.raw_os_error() == Some(libc::ENOTSUP) => {}
            done => done?,
        }
    }
    Ok(())
}

fn set_attribute(path: &Path, name: &str, value: &[u8]) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let name = CString::new(name)?;
    // SAFETY: both strings end with NUL and the value's length is its own.
    match unsafe { libc::lsetxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        assert_eq!(inside(Path::new("./a/b")).unwrap(), Path::new("/a/b"));
        assert_eq!(inside(Path::new("/etc")).unwrap(), Path::new("/etc"));
        assert!(inside(Path::new("../a")).is_err());
        assert!(inside(Path::new("a/../../b")).is_err());
    }
}
