//! What the administrator of a data directory gets: the token for the dashboard, kept like a key.
use super::CliError;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Reads the administrator's bearer token, or makes it at the first start (mode 0600).
pub fn admin_token(data_dir: &Path) -> Result<String, CliError> {
    let path = data_dir.join("admin.token");
    if let Ok(text) = std::fs::read_to_string(&path) {
        let token = text.trim().to_string();
        if token.len() >= 32 {
            return Ok(token);
        }
        return Err(CliError::usage(format!("{} does not hold a token; remove it and start again", path.display())));
    }
    let mut bytes = [0u8; 24];
    getrandom::fill(&mut bytes).map_err(|e| CliError::failed(format!("no randomness to be had: {e}")))?;
    let token = hex::encode(bytes);
    write_private(&path, &token)?;
    Ok(token)
}

/// Writes a file that only its owner may read, in one step.
pub fn write_private(path: &Path, text: &str) -> Result<(), CliError> {
    let told = |e: std::io::Error| CliError::failed(format!("cannot write {}: {e}", path.display()));
    let temporary = path.with_extension("new");
    let _ = std::fs::remove_file(&temporary);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).map_err(told)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(told)?;
    std::fs::rename(&temporary, path).map_err(told)
}
