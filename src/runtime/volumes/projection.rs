//! Files projected from API objects: a container sees either all of the old ones or all of the new.
//!
//! The layout is upstream's: the files lie in a directory named after the time, `..data` is a link to it, and each visible name is a
//! link through `..data`. An update writes a new directory and moves a new `..data` over the old one, which is one step.
use super::{Result, VolumeError, ownership};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

const DATA: &str = "..data";
const NEW_DATA: &str = "..data_tmp";
/// Upstream's limits for a name and for a path.
const NAME_MAX: usize = 255;
const PATH_MAX: usize = 4096;

/// Makes the directory show exactly these files (relative path, content and mode). True when something changed. For secrets the caller
/// mounts a tmpfs at `dir` first.
pub fn write_projection(dir: &Path, files: &BTreeMap<String, (Vec<u8>, u32)>, fs_group: Option<u32>) -> Result<bool> {
    for path in files.keys() {
        check(path)?;
    }
    write(dir, files, fs_group).map_err(|e| VolumeError::io("write the files of", dir, e))
}

fn check(path: &str) -> Result<()> {
    let refuse = |why: &str| Err(VolumeError::InvalidPath(format!("{why}: {path}")));
    if path.is_empty() {
        return refuse("must not be empty");
    }
    if path.len() > PATH_MAX || path.split('/').any(|name| name.len() > NAME_MAX) {
        return refuse("must be less than or equal to 4096 characters, and each name to 255");
    }
    if path.starts_with('/') {
        return refuse("must be relative path");
    }
    if Path::new(path).components().any(|part| !matches!(part, Component::Normal(_))) || path.split('/').any(str::is_empty) {
        return refuse("must not contain '.' or '..' or empty names");
    }
    if path.starts_with("..") {
        return refuse("must not start with '..'");
    }
    if path.contains('\0') {
        return refuse("must not contain NUL");
    }
    Ok(())
}

fn write(dir: &Path, files: &BTreeMap<String, (Vec<u8>, u32)>, fs_group: Option<u32>) -> io::Result<bool> {
    std::fs::create_dir_all(dir)?;
    let old = std::fs::read_link(dir.join(DATA)).ok();
    let unchanged = old.as_ref().is_some_and(|old| holds(&dir.join(old), files, fs_group.is_some()));
    let mut changed = false;
    if !unchanged {
        let fresh = fresh_directory(dir)?;
        let done = fill(&fresh, files, fs_group).and_then(|()| swap(dir, &fresh));
        if let Err(e) = done {
            let _ = std::fs::remove_dir_all(&fresh);
            return Err(e);
        }
        changed = true;
    }
    // Also when nothing changed: an earlier run may have ended between the steps.
    link_names(dir, files)?;
    remove_stale(dir, files)?;
    Ok(changed)
}

/// A directory named after the time to the nanosecond, so that a name never comes back: a reader that still has an old generation's name
/// must not find a newer one under it.
fn fresh_directory(dir: &Path) -> io::Result<PathBuf> {
    loop {
        let path = dir.join(jiff::Timestamp::now().strftime("..%Y_%m_%d_%H_%M_%S.%9f").to_string());
        match std::fs::create_dir(&path) {
            // Another writer in the same nanosecond; the next one is free.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
            done => done?,
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        return Ok(path);
    }
}

fn fill(fresh: &Path, files: &BTreeMap<String, (Vec<u8>, u32)>, fs_group: Option<u32>) -> io::Result<()> {
    for (name, (content, mode)) in files {
        let place = fresh.join(name);
        if let Some(parent) = place.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&place, content)?;
        // Set here and not at creation: the umask must not take bits away.
        std::fs::set_permissions(&place, std::fs::Permissions::from_mode(mode & 0o777))?;
    }
    match fs_group {
        Some(group) => ownership::set_fs_group(fresh, group, true).map_err(io::Error::other),
        None => Ok(()),
    }
}

fn swap(dir: &Path, fresh: &Path) -> io::Result<()> {
    let target = fresh.file_name().ok_or_else(|| io::Error::other("no name"))?;
    let _ = std::fs::remove_file(dir.join(NEW_DATA));
    symlink(target, dir.join(NEW_DATA))?;
    std::fs::rename(dir.join(NEW_DATA), dir.join(DATA))
}

/// Does the directory hold exactly these files? A group adds bits to the modes, so only the wanted ones are compared then.
fn holds(data: &Path, files: &BTreeMap<String, (Vec<u8>, u32)>, grouped: bool) -> bool {
    let same = |(name, (content, mode)): (&String, &(Vec<u8>, u32))| {
        let path = data.join(name);
        let Ok(found) = std::fs::symlink_metadata(&path) else { return false };
        let has = found.permissions().mode() & 0o777;
        let mode = mode & 0o777;
        let fits = if grouped { has & mode == mode } else { has == mode };
        found.is_file() && fits && std::fs::read(&path).is_ok_and(|bytes| bytes == *content)
    };
    files.iter().all(same) && count_files(data).is_ok_and(|count| count == files.len())
}

fn count_files(directory: &Path) -> io::Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        count += if entry.file_type()?.is_dir() { count_files(&entry.path())? } else { 1 };
    }
    Ok(count)
}

fn visible(files: &BTreeMap<String, (Vec<u8>, u32)>) -> BTreeSet<&str> {
    files.keys().filter_map(|path| path.split('/').next()).collect()
}

fn link_names(dir: &Path, files: &BTreeMap<String, (Vec<u8>, u32)>) -> io::Result<()> {
    for name in visible(files) {
        let (link, target) = (dir.join(name), Path::new(DATA).join(name));
        if std::fs::read_link(&link).ok().as_deref() == Some(&target) {
            continue;
        }
        match symlink(&target, &link) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return Err(io::Error::other(format!("{} is in the way", link.display())));
            }
            done => done?,
        }
    }
    Ok(())
}

/// Removes names that lead nowhere any more and directories that `..data` does not point to.
fn remove_stale(dir: &Path, files: &BTreeMap<String, (Vec<u8>, u32)>) -> io::Result<()> {
    let current = std::fs::read_link(dir.join(DATA))?;
    let wanted = visible(files);
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(text) = name.to_str() else { continue };
        if text == DATA || *text == *current || wanted.contains(text) {
            continue;
        }
        let ours = std::fs::read_link(entry.path()).is_ok_and(|target| target.starts_with(DATA));
        if text.starts_with("..") && entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else if text == NEW_DATA || ours {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
