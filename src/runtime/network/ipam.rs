//! Pods' addresses: handed out in rotation, so that one just given back is the last to be given again, and kept in a file.
use super::{Cidr, NetworkError, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::net::Ipv4Addr;
use std::path::PathBuf;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Table {
    /// Position in the range of the address given last.
    last: u64,
    /// By pod uid.
    pods: BTreeMap<String, Ipv4Addr>,
}

/// The address table of one node.
pub(crate) struct Ipam {
    path: PathBuf,
    range: Cidr,
    table: Table,
    used: HashSet<Ipv4Addr>,
}

impl Ipam {
    /// Reads the table; addresses of another range are dropped with the range.
    pub fn load(path: PathBuf, range: Cidr) -> Result<Ipam> {
        let mut table: Table = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| NetworkError::io(path.display(), e))?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Table::default(),
            Err(e) => return Err(NetworkError::io(path.display(), e)),
        };
        table.pods.retain(|_, address| range.contains(*address));
        let used = table.pods.values().copied().collect();
        Ok(Ipam { path, range, table, used })
    }

    /// The pod's address, or the next free one. Neither the range's own address, the gateway's nor the broadcast address is given.
    pub fn allocate(&mut self, uid: &str) -> Result<Ipv4Addr> {
        if let Some(address) = self.address(uid) {
            return Ok(address);
        }
        let (first, last) = (2, self.range.size().saturating_sub(2));
        let places = (last + 1).saturating_sub(first);
        let start = self.table.last.clamp(first - 1, last) + 1 - first;
        let position = (0..places).map(|step| first + (start + step) % places).find(|p| !self.used.contains(&self.range.nth(*p)));
        let position = position.ok_or_else(|| NetworkError::Exhausted(self.range.to_string()))?;
        let address = self.range.nth(position);
        let before = self.table.last;
        self.table.last = position;
        self.table.pods.insert(uid.to_owned(), address);
        if let Err(e) = self.save() {
            self.table.last = before;
            self.table.pods.remove(uid);
            return Err(e);
        }
        self.used.insert(address);
        Ok(address)
    }

    pub fn address(&self, uid: &str) -> Option<Ipv4Addr> {
        self.table.pods.get(uid).copied()
    }

    pub fn pods(&self) -> Vec<String> {
        self.table.pods.keys().cloned().collect()
    }

    pub fn release(&mut self, uid: &str) -> Result<()> {
        let Some(address) = self.table.pods.remove(uid) else { return Ok(()) };
        self.used.remove(&address);
        self.save()
    }

    /// Removes the file.
    pub fn forget(&mut self) -> Result<()> {
        self.table = Table::default();
        self.used.clear();
        match std::fs::remove_file(&self.path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(NetworkError::io(self.path.display(), e)),
            _ => Ok(()),
        }
    }

    /// Without a sync: a machine that loses power loses its pods' interfaces as well.
    fn save(&self) -> Result<()> {
        let temporary = self.path.with_extension("tmp");
        let bytes = serde_json::to_vec(&self.table).map_err(|e| NetworkError::io(self.path.display(), e))?;
        std::fs::write(&temporary, bytes)
            .and_then(|()| std::fs::rename(&temporary, &self.path))
            .map_err(|e| NetworkError::io(self.path.display(), e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotation_restart_and_exhaustion() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        let range: Cidr = "10.0.0.0/29".parse().unwrap();
        let mut ipam = Ipam::load(path.clone(), range).unwrap();
        let host = |ipam: &mut Ipam, uid: &str| ipam.allocate(uid).map(|a| a.octets()[3]);
        assert_eq!(host(&mut ipam, "a"), Ok(2));
        assert_eq!(host(&mut ipam, "a"), Ok(2));
        assert_eq!(host(&mut ipam, "b"), Ok(3));
        ipam.release("a").unwrap();
        assert_eq!(host(&mut ipam, "c"), Ok(4), "an address just released is not given next");
        drop(ipam);
        let mut ipam = Ipam::load(path.clone(), range).unwrap();
        assert_eq!(host(&mut ipam, "b"), Ok(3));
        assert_eq!((host(&mut ipam, "d"), host(&mut ipam, "e"), host(&mut ipam, "f")), (Ok(5), Ok(6), Ok(2)));
        assert!(matches!(ipam.allocate("g"), Err(NetworkError::Exhausted(_))));
        ipam.forget().unwrap();
        assert!(!path.exists());
    }
}
