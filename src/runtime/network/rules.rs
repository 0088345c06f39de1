//! The nftables table of the pod network: masquerading on the way out, forwarding for pods. Services have a table of their own.
use super::netns::NetThread;
use super::{NetworkConfig, NetworkError, Result};
use std::io::Write;
use std::process::{Command, Stdio};

/// The table's name; the bridge's name keeps two clusters on one machine apart.
fn table_name(config: &NetworkConfig) -> String {
    format!("impresario-{}", config.bridge)
}

/// Replaces the table as a whole, in one transaction.
pub(crate) fn table(config: &NetworkConfig) -> String {
    let (name, bridge) = (table_name(config), &config.bridge);
    let (pods, cluster) = (config.pod_cidr, config.cluster_cidr);
    format!(
        "add table ip {name}\n\
         delete table ip {name}\n\
         table ip {name} {{\n\
         \x20 chain postrouting {{\n\
         \x20   type nat hook postrouting priority srcnat; policy accept;\n\
         \x20   oifname != \"{bridge}\" ip saddr {pods} ip daddr != {{ {cluster}, 224.0.0.0/4 }} masquerade fully-random\n\
         \x20 }}\n\
         \x20 chain forward {{\n\
         \x20   type filter hook forward priority filter; policy accept;\n\
         \x20   iifname \"{bridge}\" accept\n\
         \x20   oifname \"{bridge}\" accept\n\
         \x20 }}\n\
         }}\n"
    )
}

/// Removes the table, whether it is there or not.
pub(crate) fn no_table(config: &NetworkConfig) -> String {
    let name = table_name(config);
    format!("add table ip {name}\ndelete table ip {name}\n")
}

/// Hands the text to `nft`, which is started by the network thread and so works on its namespace.
pub(crate) async fn apply(thread: &NetThread, text: String) -> Result<()> {
    thread.run(move |_| async move { feed(&text) }).await
}

fn feed(text: &str) -> Result<()> {
    let failed = |e: std::io::Error| NetworkError::Rules(e.to_string());
    let mut nft =
        Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    // When nft ends early its complaint says more than the broken pipe.
    let written = nft.stdin.take().map(|mut stdin| stdin.write_all(text.as_bytes()));
    let output = nft.wait_with_output().map_err(failed)?;
    match (output.status.success(), written) {
        (true, Some(Err(e))) => Err(failed(e)),
        (true, _) => Ok(()),
        (false, _) => Err(NetworkError::Rules(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}
