//! Files of a volume, replaced all at once: readers see the old set or the new one, as upstream's `..data` link has it.
use std::fs;
use std::io::{Error, Result};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Component, Path};

/// One file of a volume.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// Relative to the volume.
    pub path: String,
    pub mode: i32,
    pub bytes: Vec<u8>,
}

/// A directory with these rights whatever the umask; with a group it is that group's, set-gid.
pub fn make_dir(path: &Path, mode: u32, group: Option<u32>) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path)?;
    chown(path, None, group)?;
    fs::set_permissions(path, fs::Permissions::from_mode(if group.is_some() { mode | 0o2000 } else { mode }))
}

/// Makes the volume hold exactly `files`. Nothing is touched when it does already.
pub fn write_payload(root: &Path, files: &[File], group: Option<u32>) -> Result<()> {
    make_dir(root, 0o777, None)?;
    let data = root.join("..data");
    let old = fs::read_link(&data).ok();
    if old.is_some() && same(&data, files)? {
        return Ok(());
    }
    let generation = format!("..{}", jiff::Timestamp::now().as_nanosecond());
    let fresh = root.join(&generation);
    for file in files {
        let path = fresh.join(checked(&file.path)?);
        fs::create_dir_all(path.parent().unwrap_or(&fresh))?;
        fs::write(&path, &file.bytes)?;
        chown(&path, None, group)?;
        let extra = if group.is_some() { 0o440 } else { 0 };
        fs::set_permissions(&path, fs::Permissions::from_mode(u32::try_from(file.mode).unwrap_or(0o644) | extra))?;
    }
    fs::create_dir_all(&fresh)?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755))?;
    let link = root.join("..data_tmp");
    let _ = fs::remove_file(&link);
    symlink(&generation, &link)?;
    fs::rename(&link, &data)?;
    relink(root, files)?;
    match old {
        Some(old) => fs::remove_dir_all(root.join(old)),
        None => Ok(()),
    }
}

/// A relative path that stays below its root.
fn checked(path: &str) -> Result<&Path> {
    let path = Path::new(path);
    let plain = path.components().all(|c| matches!(c, Component::Normal(_)));
    if plain { Ok(path) } else { Err(Error::other(format!("path \"{}\" must stay below its volume", path.display()))) }
}

fn same(data: &Path, files: &[File]) -> Result<bool> {
    let mut there = 0;
    count(data, &mut there)?;
    let equal = |file: &File| fs::read(data.join(&file.path)).is_ok_and(|bytes| bytes == file.bytes);
    Ok(there == files.len() && files.iter().all(equal))
}

fn count(dir: &Path, there: &mut usize) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() { count(&entry.path(), there)? } else { *there += 1 }
    }
    Ok(())
}

/// The visible names are links into `..data`; names that are gone lose theirs.
fn relink(root: &Path, files: &[File]) -> Result<()> {
    let top = |file: &File| Path::new(&file.path).components().next().map(|c| c.as_os_str().to_owned());
    let wanted: std::collections::BTreeSet<_> = files.iter().filter_map(top).collect();
    for name in &wanted {
        let link = root.join(name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new("..data").join(name), &link)?;
        }
    }
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type()?.is_symlink() && name != "..data" && !wanted.contains(&name) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, bytes: &str) -> File {
        File { path: path.into(), mode: 0o644, bytes: bytes.into() }
    }

    #[test]
    fn a_volume_follows_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("v");
        write_payload(&root, &[file("a", "1"), file("d/b", "2")], None).unwrap();
        assert_eq!(fs::read(root.join("d/b")).unwrap(), b"2");
        write_payload(&root, &[file("a", "3")], None).unwrap();
        assert_eq!(fs::read(root.join("a")).unwrap(), b"3");
        assert!(!root.join("d").exists());
        let hidden = fs::read_dir(&root).unwrap().count();
        assert_eq!(hidden, 3, "one generation, its link, one file");
        assert!(write_payload(&root, &[file("../x", "")], None).is_err());
    }
}
