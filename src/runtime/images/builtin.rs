//! The image that every node has: this executable and the libraries it needs, with the documents' small web server as its command.
use super::error::{ImageError, Result};
use super::index::ImageRecord;
use super::layers::{Scratch, remove_tree};
use super::{Store, architecture, digest_of};
use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The registry that no network knows.
pub(crate) const REGISTRY: &str = "impresario.local";
const NAME: &str = "impresario.local/kubia:latest";
/// Directories where a dynamic loader looks by itself.
const LOADER_DIRECTORIES: [&str; 2] = ["/lib", "/usr/lib"];

/// Makes the built-in image, unless the one of this very executable is there.
pub(crate) fn ensure(store: &Store) -> Result<()> {
    let program = std::fs::canonicalize(&store.program).map_err(|e| ImageError::io("find", &store.program, e))?;
    let mut files = vec![(PathBuf::from("/impresario"), program.clone())];
    files.extend(libraries(&program)?.into_iter().map(|library| (library.clone(), library)));
    // Not the digest of an archive, since there is none, but as unique: it changes with every file of the layer.
    let layer = digest_of(fingerprint(&files)?.as_bytes());
    let config = configuration(&layer, &files);
    if !store.index().layers.contains_key(&layer) {
        build(store, &layer, &files)?;
    }
    let id = store.keep_document(config.as_bytes())?;
    let names = BTreeSet::from([NAME.to_owned()]);
    store.change(|index| index.add(&id, ImageRecord { names, layers: vec![layer], ..ImageRecord::default() }))
}

fn configuration(layer: &str, files: &[(PathBuf, PathBuf)]) -> String {
    let mut env = vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()];
    let standard = |dir: &Path| LOADER_DIRECTORIES.iter().any(|standard| dir.starts_with(standard));
    let elsewhere: BTreeSet<&str> =
        files.iter().skip(1).filter_map(|(path, _)| path.parent()).filter(|dir| !standard(dir)).filter_map(Path::to_str).collect();
    if !elsewhere.is_empty() {
        env.push(format!("LD_LIBRARY_PATH={}", elsewhere.into_iter().collect::<Vec<_>>().join(":")));
    }
    serde_json::json!({
        "architecture": architecture(),
        "os": "linux",
        "config": {
            "Entrypoint": ["/impresario", "kubia"],
            "Env": env,
            "ExposedPorts": {"8080/tcp": {}},
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": [layer]},
    })
    .to_string()
}

fn fingerprint(files: &[(PathBuf, PathBuf)]) -> Result<String> {
    let mut text = String::new();
    for (name, source) in files {
        let found = std::fs::metadata(source).map_err(|e| ImageError::io("read", source, e))?;
        let (device, inode, size, seconds, nanos) = (found.dev(), found.ino(), found.size(), found.mtime(), found.mtime_nsec());
        text += &format!("{} {device} {inode} {size} {seconds}.{nanos}\n", name.display());
    }
    Ok(text)
}

fn build(store: &Store, layer: &str, files: &[(PathBuf, PathBuf)]) -> Result<()> {
    let scratch = Scratch(store.layers.staging("builtin"));
    let root = &scratch.0;
    let size = fill(root, files).map_err(|e| ImageError::io("make the built-in image in", root, e))?;
    let place = store.paths.layer(layer);
    remove_tree(&place)?;
    std::fs::rename(root, &place).map_err(|e| ImageError::io("create", &place, e))?;
    store.link_layer(layer, size)
}

fn fill(root: &Path, files: &[(PathBuf, PathBuf)]) -> std::io::Result<u64> {
    for directory in ["", "etc", "tmp", "proc", "sys", "dev"] {
        std::fs::create_dir_all(root.join(directory))?;
        let mode = if directory == "tmp" { 0o1777 } else { 0o755 };
        std::fs::set_permissions(root.join(directory), std::fs::Permissions::from_mode(mode))?;
    }
    std::fs::write(root.join("etc/passwd"), "root:x:0:0:root:/:/impresario\nnobody:x:65534:65534:nobody:/:/impresario\n")?;
    std::fs::write(root.join("etc/group"), "root:x:0:\nnogroup:x:65534:\n")?;
    let mut size = 0;
    for (name, source) in files {
        let place = root.join(name.strip_prefix("/").unwrap_or(name));
        if let Some(parent) = place.parent() {
            std::fs::create_dir_all(parent)?;
        }
        // The file itself and not a link to it: libraries' names mostly are links.
        let source = &std::fs::canonicalize(source)?;
        // A lower directory is never written to, so sharing the file itself is safe; across file systems it is copied.
        if std::fs::hard_link(source, &place).is_err() {
            std::fs::copy(source, &place)?;
        }
        size += std::fs::metadata(&place)?.len();
    }
    Ok(size)
}

/// The dynamic loader and every library that it would load; empty for a static executable.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let Some(loader) = interpreter(program).map_err(|e| ImageError::io("read", program, e))? else { return Ok(Vec::new()) };
    let output = Command::new(&loader).arg("--list").arg(program).stdin(Stdio::null()).output();
    let output = output.map_err(|e| ImageError::io("run", &loader, e))?;
    if !output.status.success() {
        return Err(ImageError::io("list the libraries of", program, String::from_utf8_lossy(&output.stderr).trim()));
    }
    let mut found = BTreeSet::from([loader]);
    found.extend(listed(&String::from_utf8_lossy(&output.stdout)));
    Ok(found.into_iter().collect())
}

/// The paths in a loader's list: `name => /path (0xaddress)` or `/path (0xaddress)`.
fn listed(text: &str) -> Vec<PathBuf> {
    let path = |line: &str| {
        let file = line.rsplit_once("=> ").map_or(line, |(_, file)| file).trim();
        let file = file.rsplit_once(" (").map_or(file, |(file, _)| file);
        file.starts_with('/').then(|| PathBuf::from(file))
    };
    text.lines().filter_map(path).collect()
}

/// The PT_INTERP of a 64-bit little-endian ELF file, the only kind that this program is built as.
fn interpreter(program: &Path) -> std::io::Result<Option<PathBuf>> {
    use std::os::unix::fs::FileExt;
    const PT_INTERP: u64 = 3;
    let file = std::fs::File::open(program)?;
    let number = |offset: u64, width: usize| -> std::io::Result<u64> {
        let mut bytes = [0; 8];
        file.read_exact_at(bytes.get_mut(..width).unwrap_or_default(), offset)?;
        Ok(u64::from_le_bytes(bytes))
    };
    if number(0, 6)? != u64::from_le_bytes(*b"\x7fELF\x02\x01\0\0") {
        return Err(std::io::Error::other("not a 64-bit little-endian ELF executable"));
    }
    let (table, width, count) = (number(0x20, 8)?, number(0x36, 2)?, number(0x38, 2)?);
    for header in (0..count).map(|i| table + i * width) {
        if number(header, 4)? != PT_INTERP {
            continue;
        }
        let mut text = vec![0; number(header + 32, 8)?.min(4096) as usize];
        file.read_exact_at(&mut text, number(header + 8, 8)?)?;
        let text = String::from_utf8_lossy(&text);
        return Ok(Some(PathBuf::from(text.trim_end_matches('\0'))));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loader_lists_are_understood() {
        let text = "\tlinux-vdso.so.1 (0x00007ffe)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        assert_eq!(listed(text), [Path::new("/lib/x86_64-linux-gnu/libc.so.6"), Path::new("/lib64/ld-linux-x86-64.so.2")]);
    }

    #[test]
    fn this_executables_libraries_exist() {
        let found = libraries(&std::env::current_exe().unwrap()).unwrap();
        assert!(found.iter().all(|library| library.is_file()), "{found:?}");
    }
}
