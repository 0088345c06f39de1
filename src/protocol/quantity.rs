//! `resource.Quantity`: the fixed-point numbers of `cpu: 500m` and `memory: 1Gi`.
//!
//! Values are held in billionths (the smallest step upstream keeps), so no float is involved. What is finer is rounded
//! away from zero, as upstream does: who asks for something gets something.
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

const NANO: i128 = 1_000_000_000;
/// Numbers beyond this (10^29 units) are held as this.
const CAP: i128 = 10i128.pow(38);
/// Longest text looked at; upstream's longest sensible quantity is far shorter.
const MAX_TEXT: usize = 256;
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const BINARY: [(&str, u32); 6] = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];

/// Why a text is not a quantity, in upstream's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    #[error("unable to parse numeric part of quantity")]
    Numeric,
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

/// The family of suffixes that a quantity was written with, and will be written with again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `12e6`
    DecimalExponent,
    /// `12M`, `500m`
    DecimalSi,
    /// `12Mi`
    BinarySi,
}

/// A parsed quantity. Equality compares the number and the way of writing it; [`Quantity::compare`] only the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity {
    nano: i128,
    format: Format,
}

impl Default for Quantity {
    fn default() -> Self {
        Quantity { nano: 0, format: Format::DecimalSi }
    }
}

impl Quantity {
    /// A whole number of units.
    pub fn from_units(units: i64, format: Format) -> Self {
        Quantity { nano: i128::from(units) * NANO, format }
    }

    /// A number of thousandths (milli-CPUs).
    pub fn from_milli(milli: i64) -> Self {
        Quantity { nano: i128::from(milli) * (NANO / 1000), format: Format::DecimalSi }
    }

    pub fn format(&self) -> Format {
        self.format
    }

    pub fn is_zero(&self) -> bool {
        self.nano == 0
    }

    /// -1, 0 or 1.
    pub fn signum(&self) -> i32 {
        self.nano.signum() as i32
    }

    /// Whole units, rounded away from zero, held within `i64`.
    pub fn value(&self) -> i64 {
        to_i64(div_away(self.nano, NANO))
    }

    /// Thousandths, rounded away from zero, held within `i64`.
    pub fn milli_value(&self) -> i64 {
        to_i64(div_away(self.nano, NANO / 1000))
    }

    /// Order by number alone.
    pub fn compare(&self, other: &Quantity) -> Ordering {
        self.nano.cmp(&other.nano)
    }

    /// The sum, in this quantity's format (in the other's when this one is zero, as upstream does).
    pub fn add(&self, other: &Quantity) -> Quantity {
        let format = if self.is_zero() { other.format } else { self.format };
        Quantity { nano: self.nano.saturating_add(other.nano).clamp(-CAP, CAP), format }
    }

    /// The difference, with the same rule for the format.
    pub fn sub(&self, other: &Quantity) -> Quantity {
        self.add(&Quantity { nano: -other.nano, format: other.format })
    }

    /// This number without steps finer than a thousandth, rounded away from zero; `None` when it has none.
    pub fn rounded_to_milli(&self) -> Option<Quantity> {
        let step = NANO / 1000;
        (self.nano % step != 0).then(|| Quantity { nano: div_away(self.nano, step) * step, format: self.format })
    }

    /// Whether the number has no fraction.
    pub fn is_whole(&self) -> bool {
        self.nano % NANO == 0
    }
}

/// Parses and writes again canonically: `1024Mi` becomes `1Gi`.
pub fn canonical(text: &str) -> Result<String, QuantityError> {
    Ok(text.parse::<Quantity>()?.to_string())
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        if text.is_empty() || text.len() > MAX_TEXT {
            return Err(QuantityError::Format);
        }
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, text.get(1..).unwrap_or_default()),
            Some(b'+') => (false, text.get(1..).unwrap_or_default()),
            _ => (false, text),
        };
        let (whole, rest) = split_digits(rest);
        let (fraction, suffix) = match rest.strip_prefix('.') {
            Some(after) => split_digits(after),
            None => ("", rest),
        };
        if !suffix_shape(suffix) {
            return Err(QuantityError::Format);
        }
        if whole.is_empty() && fraction.is_empty() {
            return Err(QuantityError::Numeric);
        }
        let scale = Scale::parse(suffix)?;
        let nano = scale.apply(whole, fraction);
        let format = match scale {
            // Less than one byte can't be said with a binary suffix.
            Scale::Binary(_) if nano < NANO && nano > 0 => Format::DecimalSi,
            Scale::Binary(_) => Format::BinarySi,
            Scale::Decimal(_) => Format::DecimalSi,
            Scale::Exponent(_) => Format::DecimalExponent,
        };
        Ok(Quantity { nano: if negative { -nano } else { nano }, format })
    }
}

/// What the suffix multiplies with.
#[derive(Clone, Copy)]
enum Scale {
    Decimal(i32),
    Exponent(i32),
    Binary(u32),
}

impl Scale {
    fn parse(suffix: &str) -> Result<Scale, QuantityError> {
        if let Some((_, power)) = DECIMAL.iter().find(|(s, _)| *s == suffix) {
            return Ok(Scale::Decimal(*power));
        }
        if let Some((_, power)) = BINARY.iter().find(|(s, _)| *s == suffix) {
            return Ok(Scale::Binary(*power));
        }
        let exponent = suffix.strip_prefix(['e', 'E']).ok_or(QuantityError::Suffix)?;
        let exponent: i64 = exponent.parse().map_err(|_| QuantityError::Suffix)?;
        Ok(Scale::Exponent(exponent.clamp(-1000, 1000) as i32))
    }

    /// `whole.fraction` times this scale in billionths, rounded up, at most [`CAP`].
    fn apply(self, whole: &str, fraction: &str) -> i128 {
        let mut mantissa: i128 = 0;
        let mut places = 0i32;
        let mut lost = false;
        for digit in whole.bytes().map(|b| i128::from(b - b'0')) {
            mantissa = (mantissa * 10 + digit).min(CAP / 10);
        }
        for digit in fraction.bytes().map(|b| i128::from(b - b'0')) {
            if mantissa < CAP / 1000 {
                mantissa = mantissa * 10 + digit;
                places += 1;
            } else {
                lost |= digit != 0;
            }
        }
        let (power, factor) = match self {
            Scale::Decimal(p) | Scale::Exponent(p) => (9 + p - places, 1),
            Scale::Binary(bits) => (9 - places, 1i128 << bits),
        };
        let scaled = mantissa.checked_mul(factor).map_or(CAP, |v| v.min(CAP));
        let nano = if mantissa == 0 {
            0
        } else if power >= 0 {
            pow10(power as u32).and_then(|p| scaled.checked_mul(p)).map_or(CAP, |v| v.min(CAP))
        } else {
            pow10(power.unsigned_abs()).map_or(1, |p| div_away(scaled, p))
        };
        (nano + i128::from(lost)).min(CAP)
    }
}

impl fmt::Display for Quantity {
    /// Canonical form: no fraction, the largest suffix that loses nothing, no sign unless negative.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nano == 0 {
            return f.write_str("0");
        }
        let binary = self.format == Format::BinarySi && self.is_whole() && self.nano.abs() >= 1024 * NANO;
        if binary {
            return write_binary(self.nano / NANO, f);
        }
        let mut mantissa = self.nano;
        let mut exponent = -9;
        while mantissa % 1000 == 0 && (exponent < 18 || self.format == Format::DecimalExponent) {
            mantissa /= 1000;
            exponent += 3;
        }
        if self.format == Format::DecimalExponent {
            return if exponent == 0 { write!(f, "{mantissa}") } else { write!(f, "{mantissa}e{exponent}") };
        }
        let suffix = DECIMAL.iter().find(|(_, p)| *p == exponent).map_or("", |(s, _)| *s);
        write!(f, "{mantissa}{suffix}")
    }
}

fn write_binary(mut units: i128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut suffix = "";
    for (name, _) in BINARY {
        if units % 1024 != 0 {
            break;
        }
        units /= 1024;
        suffix = name;
    }
    write!(f, "{units}{suffix}")
}

/// The leading decimal digits, and what follows.
fn split_digits(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// Whether a text reads `[eEinumkKMGTP]*[-+]?[0-9]*`.
fn suffix_shape(suffix: &str) -> bool {
    let rest = suffix.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
    let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
    rest.bytes().all(|b| b.is_ascii_digit())
}

fn pow10(power: u32) -> Option<i128> {
    10i128.checked_pow(power)
}

/// Division that rounds away from zero. `by` is positive.
fn div_away(number: i128, by: i128) -> i128 {
    let quotient = number / by;
    if number % by == 0 { quotient } else { quotient + number.signum() }
}

fn to_i64(number: i128) -> i64 {
    number.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn huge_sums_stay_huge() {
        let most: Quantity = "9e99".parse().expect("a number");
        assert!(most.add(&most).compare(&most).is_ge());
        let least: Quantity = "-9e99".parse().expect("a number");
        assert!(least.sub(&most).compare(&least).is_le());
    }

    #[test]
    fn canonical_as_upstream() {
        let cases = [
            ("0.5", "500m"),
            ("1000m", "1"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("0", "0"),
            ("0Mi", "0"),
            ("100", "100"),
            ("15000", "15k"),
            ("512Ki", "512Ki"),
            ("1023Ki", "1023Ki"),
            ("1Ki", "1Ki"),
            ("0.5Ki", "512"),
            ("1e3", "1e3"),
            ("12E6", "12e6"),
            ("1E", "1E"),
            ("-1.5", "-1500m"),
            (".5", "500m"),
            ("5.", "5"),
            ("+2", "2"),
            ("0.1n", "1n"),
            ("1e-1", "100e-3"),
            ("1500Mi", "1500Mi"),
            ("0.0001Ki", "102400u"),
            ("100m", "100m"),
        ];
        for (text, want) in cases {
            assert_eq!(canonical(text).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn errors_in_upstreams_words() {
        for text in ["", "abc", "1 Gi", "1Gib"] {
            assert_eq!(canonical(text), Err(QuantityError::Format), "{text}");
        }
        for text in ["1mm", "1Kii", "1e", "1ki"] {
            assert_eq!(canonical(text), Err(QuantityError::Suffix), "{text}");
        }
        assert_eq!(canonical("--1"), Err(QuantityError::Numeric));
        assert_eq!(canonical("."), Err(QuantityError::Numeric));
    }

    #[test]
    fn values_round_up() {
        let q: Quantity = "1500m".parse().unwrap();
        assert_eq!((q.value(), q.milli_value()), (2, 1500));
        assert_eq!("0.1m".parse::<Quantity>().unwrap().milli_value(), 1);
        assert_eq!("1Gi".parse::<Quantity>().unwrap().value(), 1 << 30);
        assert_eq!("1e40".parse::<Quantity>().unwrap().value(), i64::MAX);
        let sum = Quantity::default().add(&"1Gi".parse().unwrap()).add(&"1Gi".parse().unwrap());
        assert_eq!(sum.to_string(), "2Gi");
    }

    proptest! {
        #[test]
        fn never_panics(text in "[-+]?[0-9.]{0,40}[eEinumkKMGTP]{0,2}[-+]?[0-9]{0,4}|\\PC{0,8}") {
            if let Ok(q) = text.parse::<Quantity>() {
                let again: Quantity = q.to_string().parse().unwrap();
                prop_assert_eq!(again.compare(&q), Ordering::Equal);
                prop_assert_eq!(again.to_string(), q.to_string());
            }
        }
    }
}
