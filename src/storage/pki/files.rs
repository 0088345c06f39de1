//! Small secret files: private to the owner, and always whole, whenever the power goes.
use super::PkiError;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Nothing kept in the pki folder comes near this many bytes.
const LARGEST: u64 = 1024 * 1024;

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> PkiError {
    let path = path.to_path_buf();
    move |source| PkiError::Io { action, path, source }
}

/// Makes the folder, mode 0700.
pub(super) fn make_dir(dir: &Path) -> Result<(), PkiError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io("create", dir))?;
    fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(io("protect", dir))
}

/// The file's text, or `None` when there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<String>, PkiError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io("read", path)(error)),
    };
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).map_err(io("read", path))?;
    // A damaged file is told from an unreadable one by the parser that comes next.
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Writes the file, mode 0600: first beside it, then renamed over it, then made durable.
pub(super) fn write(path: &Path, text: &str) -> Result<(), PkiError> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary).map_err(io("write", &temporary))?;
    file.set_permissions(Permissions::from_mode(0o600)).map_err(io("protect", &temporary))?;
    file.write_all(text.as_bytes()).map_err(io("write", &temporary))?;
    file.sync_all().map_err(io("write", &temporary))?;
    fs::rename(&temporary, path).map_err(io("replace", path))?;
    let Some(dir) = path.parent() else { return Ok(()) };
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io("write", dir))
}

/// Runs `change` while no other process does the same with this lock file.
pub(super) fn exclusively<T>(lock: &Path, change: impl FnOnce() -> Result<T, PkiError>) -> Result<T, PkiError> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(lock).map_err(io("open", lock))?;
    file.lock().map_err(io("lock", lock))?;
    change()
}
