//! What this mount namespace has mounted where.
use nix::mount::{MntFlags, umount2};
use std::io;
use std::path::{Path, PathBuf};

/// Mount points at or below a directory, the deepest and latest first.
pub(crate) fn below(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let directory = match std::fs::canonicalize(directory) {
        Ok(found) => found,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let table = std::fs::read_to_string("/proc/self/mountinfo")?;
    let mut found: Vec<PathBuf> = mount_points(&table).filter(|point| point.starts_with(&directory)).collect();
    found.reverse();
    Ok(found)
}

/// Unmounts everything at or below a directory. When it answers well nothing is mounted there any more, so that the directory can be
/// removed without removing what was mounted.
pub(crate) fn unmount_below(directory: &Path) -> io::Result<()> {
    for point in below(directory)? {
        match umount2(&point, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) | Err(nix::Error::EINVAL | nix::Error::ENOENT) => {}
            Err(e) => return Err(e.into()),
        }
    }
    match below(directory)?.first() {
        Some(left) => Err(io::Error::new(io::ErrorKind::ResourceBusy, format!("{} is still mounted", left.display()))),
        None => Ok(()),
    }
}

/// Is something mounted exactly here?
pub(crate) fn is_mounted(path: &Path) -> io::Result<bool> {
    let path = std::fs::canonicalize(path)?;
    Ok(mount_points(&std::fs::read_to_string("/proc/self/mountinfo")?).any(|point| point == path))
}

fn mount_points(table: &str) -> impl Iterator<Item = PathBuf> + '_ {
    table.lines().filter_map(|line| line.split(' ').nth(4)).map(unescaped)
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescaped(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..3).filter(|_| first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_the_kernel() {
        let line = "36 35 98:0 / /a\\040b\\134c rw - ext4 /dev/x rw\n";
        assert_eq!(mount_points(line).collect::<Vec<_>>(), [Path::new("/a b\\c")]);
    }
}
