//! IPv4 networks in CIDR notation.
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// An IPv4 network, `10.244.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    pub address: Ipv4Addr,
    pub prefix: u8,
}

impl Cidr {
    pub const fn new(octets: [u8; 4], prefix: u8) -> Self {
        Cidr { address: Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]), prefix }
    }

    /// Whether the two share an address.
    pub fn overlaps(&self, other: &Cidr) -> bool {
        let mask = mask(self.prefix.min(other.prefix));
        u32::from(self.address) & mask == u32::from(other.address) & mask
    }

    pub fn contains(&self, address: Ipv4Addr) -> bool {
        u32::from(address) & mask(self.prefix) == u32::from(self.address)
    }

    /// The `n`th address: 0 is the network's own, 1 usually the gateway.
    pub fn nth(&self, n: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.address).wrapping_add(n))
    }

    /// The `n`th part of `prefix` bits, or nothing behind the last.
    pub fn part(&self, n: u32, prefix: u8) -> Option<Cidr> {
        let parts = 1u64.checked_shl(u32::from(prefix.checked_sub(self.prefix)?))?;
        if u64::from(n) >= parts {
            return None;
        }
        let size = 1u32.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        Some(Cidr { address: self.nth(n.wrapping_mul(size)), prefix })
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0)
}

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not an IPv4 network such as 10.244.0.0/16");
        let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
        let address: Ipv4Addr = address.parse().map_err(|_| wrong())?;
        let prefix: u8 = prefix.parse().ok().filter(|p| *p <= 32).ok_or_else(wrong)?;
        if u32::from(address) & !mask(prefix) != 0 {
            let network = Ipv4Addr::from(u32::from(address) & mask(prefix));
            return Err(format!("\"{text}\" has bits behind its prefix; did you mean {network}/{prefix}?"));
        }
        Ok(Cidr { address, prefix })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Serialize for Cidr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
