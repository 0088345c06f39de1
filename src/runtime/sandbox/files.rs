//! The files below `/etc` that are the same in every container of a pod, in upstream's form.
use crate::runtime::api::{Dns, SandboxSpec};
use std::io;
use std::net::IpAddr;
use std::path::Path;

/// Writes `hosts`, `resolv.conf` and `hostname`.
pub(super) fn write(dir: &Path, spec: &SandboxSpec, address: IpAddr) -> io::Result<()> {
    let nodes_hosts = if spec.host_network { std::fs::read_to_string("/etc/hosts").unwrap_or_default() } else { String::new() };
    std::fs::write(dir.join("hosts"), hosts(spec, address, &nodes_hosts))?;
    let resolv = match spec.dns == Dns::default() {
        true => std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default(),
        false => resolv_conf(&spec.dns),
    };
    std::fs::write(dir.join("resolv.conf"), resolv)?;
    std::fs::write(dir.join("hostname"), format!("{}\n", spec.hostname))
}

fn hosts(spec: &SandboxSpec, address: IpAddr, nodes_hosts: &str) -> String {
    let mut text = match spec.host_network {
        true => format!("# Kubernetes-managed hosts file (host network).\n{nodes_hosts}"),
        false => {
            let names = match spec.domain.is_empty() {
                true => spec.hostname.clone(),
                false => format!("{0}.{1}\t{0}", spec.hostname, spec.domain),
            };
            format!(
                "# Kubernetes-managed hosts file.\n\
                 127.0.0.1\tlocalhost\n\
                 ::1\tlocalhost ip6-localhost ip6-loopback\n\
                 fe00::0\tip6-localnet\n\
                 fe00::0\tip6-mcastprefix\n\
                 fe00::1\tip6-allnodes\n\
                 fe00::2\tip6-allrouters\n\
                 {address}\t{names}\n"
            )
        }
    };
    if !spec.host_aliases.is_empty() {
        text += "\n# Entries added by HostAliases.\n";
        for (address, names) in &spec.host_aliases {
            text += &format!("{address}\t{}\n", names.join("\t"));
        }
    }
    text
}

fn resolv_conf(dns: &Dns) -> String {
    let mut text = String::new();
    if !dns.searches.is_empty() {
        text += &format!("search {}\n", dns.searches.join(" "));
    }
    for server in &dns.servers {
        text += &format!("nameserver {server}\n");
    }
    if !dns.options.is_empty() {
        text += &format!("options {}\n", dns.options.join(" "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_resolver_as_upstream_writes_them() {
        let spec = SandboxSpec {
            hostname: "web-0".into(),
            domain: "web.default.svc.cluster.local".into(),
            host_aliases: vec![("10.1.2.3".into(), vec!["foo".into(), "bar".into()])],
            ..SandboxSpec::default()
        };
        let text = hosts(&spec, "10.244.0.5".parse().unwrap(), "");
        assert!(text.starts_with("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"));
        assert!(text.contains("\n10.244.0.5\tweb-0.web.default.svc.cluster.local\tweb-0\n"));
        assert!(text.ends_with("\n# Entries added by HostAliases.\n10.1.2.3\tfoo\tbar\n"));
        let dns = Dns { servers: vec!["10.96.0.10".into()], searches: vec!["a".into(), "b".into()], options: vec!["ndots:5".into()] };
        assert_eq!(resolv_conf(&dns), "search a b\nnameserver 10.96.0.10\noptions ndots:5\n");
    }
}
