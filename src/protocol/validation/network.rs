//! Addresses and networks, read as Go's lenient parsers read them.
//!
//! Most fields of the API are older than strict parsing: they take leading zeros and IPv4 addresses mapped into IPv6. Newer ones
//! demand the canonical spelling.
use crate::status::FieldError;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const ADDRESS_FAULT: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const NETWORK_FAULT: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

/// An address as Go's lenient parser reads it: octets may have leading zeros; an IPv4 address mapped into IPv6 is an IPv4 address.
pub fn parse_address(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        let parsed: Ipv6Addr = text.parse().ok()?;
        return Some(parsed.to_ipv4_mapped().map_or(IpAddr::V6(parsed), IpAddr::V4));
    }
    let mut octets = [0u8; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *octet = part.parse::<u32>().ok().and_then(|n| u8::try_from(n).ok())?;
    }
    parts.next().is_none().then(|| IpAddr::V4(Ipv4Addr::from(octets)))
}

/// A network in CIDR notation: the address as written, and the bits of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    pub address: IpAddr,
    pub prefix: u8,
}

impl Network {
    /// Reads as leniently as [`parse_address`].
    pub fn parse(text: &str) -> Option<Network> {
        let (address, prefix) = text.split_once('/')?;
        let parsed = parse_address(address)?;
        if prefix.is_empty() || prefix.len() > 3 || !prefix.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let prefix: u8 = prefix.parse().ok()?;
        // The prefix of a mapped address counts the bits of IPv6.
        let prefix = if parsed.is_ipv4() && address.contains(':') { prefix.checked_sub(96)? } else { prefix };
        let network = Network { address: parsed, prefix };
        (prefix <= network.width()).then_some(network)
    }

    fn width(&self) -> u8 {
        if self.address.is_ipv4() { 32 } else { 128 }
    }

    /// The address without the bits behind the prefix.
    pub fn base(&self) -> IpAddr {
        from_bits(self.address, bits(self.address) & self.mask())
    }

    /// Whether the address is in this network. Families don't mix.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && bits(address) & self.mask() == bits(self.address) & self.mask()
    }

    fn mask(&self) -> u128 {
        let width = u32::from(self.width());
        let ones = if width == 32 { u128::from(u32::MAX) } else { u128::MAX };
        let host = width - u32::from(self.prefix);
        ones & u128::MAX.checked_shl(host).unwrap_or(0)
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

fn from_bits(like: IpAddr, bits: u128) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(u32::try_from(bits).unwrap_or_default())),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(bits)),
    }
}

/// An address in a field that is older than strict parsing.
pub fn address(path: &str, value: &str) -> Vec<FieldError> {
    if parse_address(value).is_some() { Vec::new() } else { vec![FieldError::invalid(path, value, ADDRESS_FAULT)] }
}

/// A network in a field that is older than strict parsing.
pub fn network(path: &str, value: &str) -> Vec<FieldError> {
    if Network::parse(value).is_some() { Vec::new() } else { vec![FieldError::invalid(path, value, NETWORK_FAULT)] }
}

/// What keeps an address from being in its canonical spelling, in upstream's sentences.
pub fn strict_address_faults(value: &str) -> Vec<String> {
    let Some(parsed) = parse_address(value) else { return vec![ADDRESS_FAULT.into()] };
    if is_mapped(value) {
        return vec!["must not be an IPv4-mapped IPv6 address".into()];
    }
    if value.parse::<IpAddr>().is_err() {
        return vec!["must not have leading 0s".into()];
    }
    let canonical = parsed.to_string();
    if canonical == value { Vec::new() } else { vec![format!("must be in canonical form (\"{canonical}\")")] }
}

/// A network in a field that demands the canonical spelling.
pub fn strict_network(path: &str, value: &str) -> Vec<FieldError> {
    let fault = |why: &str| vec![FieldError::invalid(path, value, why)];
    let Some(parsed) = Network::parse(value) else { return fault(NETWORK_FAULT) };
    let (address, prefix) = value.split_once('/').unwrap_or((value, ""));
    if is_mapped(address) {
        return fault("must not have an IPv4-mapped IPv6 address");
    }
    if address.parse::<IpAddr>().is_err() || (prefix.len() > 1 && prefix.starts_with('0')) {
        return fault("must not have leading 0s in IP or prefix length");
    }
    if parsed.base() != parsed.address {
        return fault("must not have bits set beyond the prefix length");
    }
    let canonical = format!("{}/{}", parsed.address, parsed.prefix);
    if canonical == value { Vec::new() } else { fault(&format!("must be in canonical form (\"{canonical}\")")) }
}

fn is_mapped(text: &str) -> bool {
    text.parse::<Ipv6Addr>().is_ok_and(|v6| v6.to_ipv4_mapped().is_some())
}

/// Addresses that cannot be an endpoint: unspecified, loopback, link-local.
pub fn not_special(path: &str, value: &str) -> Vec<FieldError> {
    let Some(address) = parse_address(value) else { return vec![FieldError::invalid(path, value, "must be a valid IP address")] };
    let (local, local_multicast) = match address {
        IpAddr::V4(v4) => (v4.is_link_local(), matches!(v4.octets(), [224, 0, 0, _])),
        IpAddr::V6(v6) => (v6.is_unicast_link_local(), v6.segments().first().is_some_and(|s| s & 0xff0f == 0xff02)),
    };
    let mut faults = Vec::new();
    let mut fault = |why: String| faults.push(FieldError::invalid(path, value, why));
    if address.is_unspecified() {
        fault(format!("may not be unspecified ({value})"));
    }
    if address.is_loopback() {
        fault("may not be in the loopback range (127.0.0.0/8, ::1/128)".into());
    }
    if local {
        fault("may not be in the link-local range (169.254.0.0/16, fe80::/10)".into());
    }
    if local_multicast {
        fault("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)".into());
    }
    faults
}

/// Advice about an address whose spelling is accepted for old times' sake.
pub fn address_warning(path: &str, value: &str) -> Option<String> {
    let parsed = parse_address(value)?;
    if is_mapped(value) || value.parse::<IpAddr>().is_err() {
        let advice = format!("will be considered invalid in a future Kubernetes release: use \"{parsed}\"");
        return Some(format!("{path}: non-standard IP address \"{value}\" {advice}"));
    }
    let canonical = parsed.to_string();
    (parsed.is_ipv6() && canonical != value)
        .then(|| format!("{path}: IPv6 address \"{value}\" should be in RFC 5952 canonical format (\"{canonical}\")"))
}

/// Advice about a network whose spelling is accepted for old times' sake.
pub fn network_warning(path: &str, value: &str) -> Option<String> {
    let parsed = Network::parse(value)?;
    let base = format!("{}/{}", parsed.base(), parsed.prefix);
    let (address, prefix) = value.split_once('/')?;
    if is_mapped(address) || address.parse::<IpAddr>().is_err() || (prefix.len() > 1 && prefix.starts_with('0')) {
        let advice = format!("will be considered invalid in a future Kubernetes release: use \"{base}\"");
        return Some(format!("{path}: non-standard CIDR value \"{value}\" {advice}"));
    }
    if parsed.base() != parsed.address {
        let advice = format!("is ambiguous in this context (should be \"{base}\" or \"{}\"?)", parsed.address);
        return Some(format!("{path}: CIDR value \"{value}\" {advice}"));
    }
    (parsed.address.is_ipv6() && base != value)
        .then(|| format!("{path}: IPv6 CIDR value \"{value}\" should be in RFC 5952 canonical format (\"{base}\")"))
}

/// A port that is a number or a name.
pub fn port_number_or_name(path: &str, port: &Value) -> Vec<FieldError> {
    match port {
        Value::String(name) => crate::names::port_name(name).into_iter().map(|why| FieldError::invalid(path, name.as_str(), why)).collect(),
        other => port_number(path, other.as_i64().unwrap_or(0)),
    }
}

/// A port between 1 and 65535.
pub fn port_number(path: &str, port: i64) -> Vec<FieldError> {
    crate::names::port_number(port).into_iter().map(|why| FieldError::invalid(path, port, why)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_leniently_and_judged_strictly() {
        assert_eq!(parse_address("010.0.0.01"), "10.0.0.1".parse().ok());
        assert_eq!(parse_address("::ffff:10.0.0.1"), "10.0.0.1".parse().ok());
        for bad in ["", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.+4", "x", "1::2::3"] {
            assert_eq!(parse_address(bad), None, "{bad}");
        }
        let cases = [
            ("10.0.0.1", None),
            ("010.0.0.1", Some("must not have leading 0s")),
            ("::ffff:1.2.3.4", Some("must not be an IPv4-mapped IPv6 address")),
            ("2001:DB8::1", Some("must be in canonical form (\"2001:db8::1\")")),
            ("1.2.3", Some(ADDRESS_FAULT)),
        ];
        for (value, fault) in cases {
            assert_eq!(strict_address_faults(value).first().map(String::as_str), fault, "{value}");
        }
    }

    #[test]
    fn networks() {
        let network = |text| Network::parse(text);
        assert!(network("10.0.0.0/8").is_some_and(|n| n.contains(IpAddr::from([10, 1, 2, 3])) && !n.contains(IpAddr::from([11, 0, 0, 0]))));
        assert!(network("0.0.0.0/0").is_some_and(|n| n.contains(IpAddr::from([255, 255, 255, 255]))));
        for bad in ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/", "2001:db8::/129", "10.0.0.0/+8"] {
            assert_eq!(network(bad), None, "{bad}");
        }
        let fault = |text| strict_network("p", text).first().map(|f| f.detail.clone());
        assert_eq!(fault("10.0.0.0/8"), None);
        assert_eq!(fault("10.0.0.1/8").as_deref(), Some("must not have bits set beyond the prefix length"));
        assert_eq!(fault("2001:db8:0::/64").as_deref(), Some("must be in canonical form (\"2001:db8::/64\")"));
        assert!(network_warning("p", "10.0.0.1/8").is_some_and(|w| w.contains("should be \"10.0.0.0/8\" or \"10.0.0.1\"?")));
    }

    #[test]
    fn special_addresses() {
        for (value, part) in
            [("127.0.0.1", "loopback"), ("0.0.0.0", "unspecified"), ("fe80::1", "link-local range"), ("224.0.0.9", "multicast")]
        {
            assert!(not_special("ip", value).iter().any(|f| f.detail.contains(part)), "{value}");
        }
        assert!(not_special("ip", "10.1.2.3").is_empty());
    }
}
