//! What this machine is: read once, from `/proc`, `/etc` and the kernel.
use crate::runtime::api::Dns;

/// The machine's own facts. What cannot be read is empty or zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Machine {
    pub cpus: u64,
    /// Bytes.
    pub memory: u64,
    /// Bytes of the file system that holds the data directory.
    pub disk: u64,
    pub os_image: String,
    pub kernel: String,
    /// `amd64`, `arm64`, …: Go's names, as the API has them.
    pub architecture: &'static str,
    pub boot_id: String,
    pub machine_id: String,
    pub system_uuid: String,
    pub hostname: String,
    pub dns: Dns,
}

impl Machine {
    /// Reads the machine; `data_dir` says which disk counts.
    pub fn read(data_dir: &std::path::Path) -> Machine {
        let line = |path: &str| std::fs::read_to_string(path).map(|t| t.trim().to_string()).unwrap_or_default();
        let machine_id = line("/etc/machine-id");
        let uuid = line("/sys/class/dmi/id/product_uuid");
        Machine {
            cpus: std::thread::available_parallelism().map_or(1, |n| n.get() as u64),
            memory: memory(&line("/proc/meminfo")),
            disk: disk(data_dir),
            os_image: os_image(&line("/etc/os-release")),
            kernel: line("/proc/sys/kernel/osrelease"),
            architecture: architecture(),
            boot_id: line("/proc/sys/kernel/random/boot_id"),
            system_uuid: if uuid.is_empty() { machine_id.clone() } else { uuid },
            machine_id,
            hostname: line("/proc/sys/kernel/hostname"),
            dns: resolv_conf(&line("/etc/resolv.conf")),
        }
    }
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn memory(meminfo: &str) -> u64 {
    let total = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:"));
    let kib: Option<u64> = total.and_then(|t| t.split_whitespace().next()).and_then(|n| n.parse().ok());
    kib.unwrap_or(0).saturating_mul(1024)
}

fn disk(path: &std::path::Path) -> u64 {
    // The directory may not exist yet: its parents lie on the same disk.
    let existing = path.ancestors().find(|p| p.exists()).unwrap_or(path);
    nix::sys::statvfs::statvfs(existing).map_or(0, |s| s.blocks().saturating_mul(s.fragment_size()))
}

fn os_image(release: &str) -> String {
    let name = release.lines().find_map(|l| l.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "Linux".into(), |n| n.trim_matches('"').to_string())
}

/// The node's resolver, for pods that use it.
fn resolv_conf(text: &str) -> Dns {
    let mut dns = Dns::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let first = words.next();
        let rest = words.map(String::from);
        match first {
            Some("nameserver") => dns.servers.extend(rest.take(1)),
            Some("search" | "domain") => dns.searches = rest.collect(),
            Some("options") => dns.options.extend(rest),
            _ => {}
        }
    }
    dns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read() {
        assert_eq!(memory("MemTotal:       2048 kB\nMemFree: 1 kB"), 2 * 1024 * 1024);
        assert_eq!(os_image("NAME=x\nPRETTY_NAME=\"Debian 12\""), "Debian 12");
        let dns = resolv_conf("# c\nnameserver 1.1.1.1\nsearch a b\noptions ndots:2\nnameserver 2.2.2.2");
        assert_eq!((dns.servers.len(), dns.searches, dns.options), (2, vec!["a".into(), "b".into()], vec!["ndots:2".into()]));
    }
}
