//! A container's root file system: the image's layers under one writable directory, by overlayfs.
use super::error::{ImageError, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::path::{Path, PathBuf};

/// Mounts the layers (link names relative to `links`, lowest first) below `container_dir` and answers with the mount point. A root
/// file system that is mounted already is left as it is.
pub fn mount_overlay(links: &Path, layers: &[String], container_dir: &Path) -> Result<PathBuf> {
    let root = container_dir.join("rootfs");
    if is_mount_point(&root) {
        return Ok(root);
    }
    for directory in [&root, &container_dir.join("upper"), &container_dir.join("work")] {
        std::fs::create_dir_all(directory).map_err(|e| ImageError::io("create", directory, e))?;
    }
    // overlayfs wants the topmost layer first.
    let lower: Vec<&str> = match layers.is_empty() {
        true => vec!["empty"],
        false => layers.iter().rev().map(String::as_str).collect(),
    };
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.join(":"),
        escaped(&container_dir.join("upper")),
        escaped(&container_dir.join("work"))
    );
    mount_from(links, &root, options).map_err(|e| ImageError::io("mount overlay at", &root, e))?;
    Ok(root)
}

/// Mounts with `links` as working directory, in a thread that has a working directory of its own: short relative names keep the
/// options of a hundred layers below the one page that the kernel takes.
fn mount_from(links: &Path, root: &Path, options: String) -> std::io::Result<()> {
    let (links, root) = (links.to_owned(), root.to_owned());
    let work = move || -> std::io::Result<()> {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS)?;
        std::env::set_current_dir(links)?;
        Ok(mount(Some("overlay"), &root, Some("overlay"), MsFlags::empty(), Some(options.as_str()))?)
    };
    std::thread::Builder::new().name("overlay".into()).spawn(work)?.join().unwrap_or_else(|_| Err(std::io::Error::other("panic")))
}

/// overlayfs takes commas and colons as separators.
fn escaped(path: &Path) -> String {
    let mut text = String::new();
    for c in path.to_string_lossy().chars() {
        if matches!(c, ',' | ':' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

/// Unmounts the root file system and removes what the container wrote. Nothing mounted is no error.
pub fn unmount_overlay(container_dir: &Path) -> Result<()> {
    let root = container_dir.join("rootfs");
    loop {
        match umount2(&root, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) => continue,
            Err(nix::Error::EINVAL | nix::Error::ENOENT) => break,
            Err(e) => return Err(ImageError::io("unmount", &root, e)),
        }
    }
    for name in ["rootfs", "upper", "work"] {
        super::layers::remove_tree(&container_dir.join(name))?;
    }
    Ok(())
}

fn is_mount_point(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| std::fs::symlink_metadata(path).map(|found| found.dev()).ok();
    match (device(path), path.parent().and_then(device)) {
        (Some(own), Some(parent)) => own != parent,
        _ => false,
    }
}
