//! `format`: the spellings that upstream checks. Formats that it doesn't know are no restriction.
use base64::Engine;
use regex::Regex;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

const KNOWN: &[&str] = &[
    "bsonobjectid",
    "uri",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "cidr",
    "mac",
    "uuid",
    "uuid3",
    "uuid4",
    "uuid5",
    "isbn",
    "isbn10",
    "isbn13",
    "creditcard",
    "ssn",
    "hexcolor",
    "rgbcolor",
    "byte",
    "password",
    "date",
    "duration",
    "date-time",
    "datetime",
    "int32",
    "int64",
    "float",
    "double",
    "k8s-short-name",
    "k8s-long-name",
];

/// Whether the format is one that is checked, or at least known.
pub fn is_known(format: &str) -> bool {
    KNOWN.contains(&format)
}

/// Whether a text has the format.
pub(super) fn fits(format: &str, text: &str) -> bool {
    match format {
        "date-time" | "datetime" => date_time(text),
        "date" => text.parse::<jiff::civil::Date>().is_ok() && text.len() == 10,
        "duration" => duration(text),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => cidr(text),
        "uri" => matched(&URI, text),
        "email" => matched(&EMAIL, text),
        "hostname" => crate::names::dns1123_subdomain(&text.to_ascii_lowercase()).is_empty(),
        "mac" => matched(&MAC, text),
        "uuid" => uuid(text, None),
        "uuid3" => uuid(text, Some('3')),
        "uuid4" => uuid(text, Some('4')),
        "uuid5" => uuid(text, Some('5')),
        "bsonobjectid" => text.len() == 24 && text.bytes().all(|b| b.is_ascii_hexdigit()),
        "isbn" => isbn(text, 10) || isbn(text, 13),
        "isbn10" => isbn(text, 10),
        "isbn13" => isbn(text, 13),
        "creditcard" => credit_card(text),
        "ssn" => matched(&SSN, text),
        "hexcolor" => matched(&HEX_COLOUR, text),
        "rgbcolor" => matched(&RGB_COLOUR, text),
        "byte" => base64::engine::general_purpose::STANDARD.decode(text).is_ok(),
        "k8s-short-name" => crate::names::dns1123_label(text).is_empty(),
        "k8s-long-name" => crate::names::dns1123_subdomain(text).is_empty(),
        _ => true,
    }
}

/// A pattern of this file; one that did not compile would match nothing.
type Fixed = LazyLock<Option<Regex>>;

static URI: Fixed = LazyLock::new(|| Regex::new(r"^[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\x22{}|\\^`]+$").ok());
static EMAIL: Fixed = LazyLock::new(|| Regex::new(r"^[^\s@<>]+@[^\s@<>]+$").ok());
static MAC: Fixed = LazyLock::new(|| Regex::new(r"^([0-9A-Fa-f]{2}[:-]){5}([0-9A-Fa-f]{2})$|^([0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}$").ok());
static UUID: Fixed = LazyLock::new(|| Regex::new(r"^(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?([0-9a-f])[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$").ok());
static SSN: Fixed = LazyLock::new(|| Regex::new(r"^\d{3}[- ]?\d{2}[- ]?\d{4}$").ok());
static HEX_COLOUR: Fixed = LazyLock::new(|| Regex::new(r"^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$").ok());
static RGB_COLOUR: Fixed = LazyLock::new(|| {
    let number = r"(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])";
    Regex::new(&format!(r"^rgb\(\s*{number}\s*,\s*{number}\s*,\s*{number}\s*\)$")).ok()
});
static DATE_TIME: Fixed =
    LazyLock::new(|| Regex::new(r"^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(\.\d+)?([Zz]|[+-]\d{2}:?\d{2})$").ok());
static GO_DURATION: Fixed = LazyLock::new(|| {
    Regex::new(r"^[-+]?(\d+(\.\d*)?|\.\d+)\s*(ns|us|µs|ms|s|m|h|d|w)(\s*(\d+(\.\d*)?|\.\d+)\s*(ns|us|µs|ms|s|m|h|d|w))*$").ok()
});

fn matched(pattern: &Fixed, text: &str) -> bool {
    pattern.as_ref().is_some_and(|p| p.is_match(text))
}

fn date_time(text: &str) -> bool {
    let Some(found) = DATE_TIME.as_ref().and_then(|p| p.captures(text)) else { return false };
    let part = |at: usize| found.get(at).map_or("", |m| m.as_str());
    part(1).parse::<jiff::civil::Date>().is_ok() && part(2).parse::<jiff::civil::Time>().is_ok()
}

fn duration(text: &str) -> bool {
    text == "0" || matched(&GO_DURATION, text)
}

fn cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let most = match address.parse::<std::net::IpAddr>() {
        Ok(address) if address.is_ipv4() => 32,
        Ok(_) => 128,
        Err(_) => return false,
    };
    bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}

fn uuid(text: &str, version: Option<char>) -> bool {
    let Some(found) = UUID.as_ref().and_then(|p| p.captures(text)) else { return false };
    version.is_none_or(|version| found.get(1).is_some_and(|m| m.as_str().starts_with(version)))
}

fn isbn(text: &str, length: usize) -> bool {
    let digits: Vec<u32> = text
        .chars()
        .filter(|c| *c != '-' && *c != ' ')
        .map(|c| if c == 'X' || c == 'x' { Some(10) } else { c.to_digit(10) })
        .collect::<Option<_>>()
        .unwrap_or_default();
    if digits.len() != length {
        return false;
    }
    match length {
        10 => digits.iter().enumerate().map(|(at, d)| d * (10 - at as u32)).sum::<u32>() % 11 == 0,
        _ => digits.iter().enumerate().map(|(at, d)| d * if at % 2 == 0 { 1 } else { 3 }).sum::<u32>() % 10 == 0,
    }
}

fn credit_card(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    if !(13..=19).contains(&digits.len()) {
        return false;
    }
    let doubled = |(at, d): (usize, &u32)| if at % 2 == 1 { (d * 2) / 10 + (d * 2) % 10 } else { *d };
    digits.iter().rev().enumerate().map(doubled).sum::<u32>() % 10 == 0
}
