//! Amounts of money: exact decimals, never floating point.

use std::fmt;
use std::str::FromStr;

/// An amount in ten-thousandths of its currency's unit, as in DECIMAL(18,4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(i64);

impl Money {
    /// An amount from ten-thousandths, as in DECIMAL(18,4).
    pub fn from_ten_thousandths(amount: i64) -> Self {
        Self(amount)
    }

    /// The amount in ten-thousandths.
    pub fn ten_thousandths(self) -> i64 {
        self.0
    }
}

impl FromStr for Money {
    type Err = String;

    /// Parses `35`, `35.00` or `0.3125`: digits, a point, at most four decimals. Signs, thousands separators and exponents are rejected,
    /// because their meaning would be a guess.
    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("{text:?} is not an amount such as 35.00, with at most {DECIMALS} decimals");
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(whole) || !is_digits(decimals) || decimals.len() > DECIMALS {
            return Err(refused());
        }
        let scaled: i64 = format!("{whole}{decimals:0<DECIMALS$}").parse().map_err(|_| refused())?;
        // DECIMAL(18,4) has fourteen digits before the point.
        if scaled >= 1_000_000_000_000_000_000 { Err(refused()) } else { Ok(Self(scaled)) }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, amount) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        write!(f, "{sign}{}.{:0DECIMALS$}", amount / 10_000, amount % 10_000)
    }
}

const DECIMALS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        for (text, shown) in [
            ("35", "35.0000"),
            ("35.00", "35.0000"),
            ("0.3125", "0.3125"),
            ("00012.5", "12.5000"),
            // A double would change it to 99999999999999.98.
            ("99999999999999.9999", "99999999999999.9999"),
        ] {
            assert_eq!(text.parse::<Money>().unwrap().to_string(), shown);
        }
        for text in
            ["", "-1", "+1", "1e3", "1,50", "1.", ".5", "0.00001", "1.2.3", "100000000000000", "NaN", "３"]
        {
            assert!(text.parse::<Money>().unwrap_err().contains("is not an amount"), "{text}");
        }
        assert_eq!(Money::from_ten_thousandths(-5).to_string(), "-0.0005");
    }
}
