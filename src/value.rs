//! Pure: what a redemption is worth, exactly, and what a check said of it.
//!
//! Amounts are integers. No floating point comes near them.

use std::fmt;

/// Units of one.
const UNITS: i64 = 10_000;
/// Decimals of an amount.
const DECIMALS: usize = 4;

/// An amount of the store's one currency, in 1/10000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(pub i64);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many whole units of the currency.
    #[must_use]
    pub const fn whole(number: i64) -> Self {
        Self(number.saturating_mul(UNITS))
    }

    /// Reads a plain decimal number that is not negative: `120`, `120.5`, `.5`. More than four
    /// decimals round up. An amount beyond 900 billion counts as the most that there is. `None`: it
    /// is no such number.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && part.is_empty()) || !are_digits(whole) || !are_digits(part) {
            return None;
        }
        let (kept, rest) = part.split_at(part.len().min(DECIMALS));
        let up = i64::from(rest.bytes().any(|byte| byte != b'0'));
        let part = digits(kept).saturating_mul(TENS.get(kept.len()).copied().unwrap_or(1));
        let units = digits(whole).saturating_mul(UNITS).saturating_add(part).saturating_add(up);
        Some(Self(units))
    }

    /// The sum; the most that there is where it would be more.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference; nothing where it would be negative.
    #[must_use]
    pub const fn less(self, other: Self) -> Self {
        let left = self.0.saturating_sub(other.0);
        Self(if left < 0 { 0 } else { left })
    }
}

/// What makes units of so many decimals.
const TENS: [i64; DECIMALS + 1] = [10_000, 1_000, 100, 10, 1];

/// The number that these digits are; the largest there is where it would be larger.
fn digits(text: &str) -> i64 {
    text.bytes().fold(0, |sum: i64, byte| {
        sum.saturating_mul(10).saturating_add(i64::from(byte.wrapping_sub(b'0')))
    })
}

impl fmt::Display for Amount {
    /// At least two decimals: `120.00`, `0.1234`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let units = self.0.unsigned_abs();
        let (whole, part) = (units / UNITS.unsigned_abs(), units % UNITS.unsigned_abs());
        let part = format!("{part:04}");
        let kept = part.trim_end_matches('0');
        write!(f, "{sign}{whole}.{kept:0<2}")
    }
}

impl serde::Serialize for Amount {
    /// As it is shown: a number would lose its decimals in many a reader.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a valid check said of a code's worth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// The check's `type`; empty when it says none.
    pub kind: String,
    /// `discount_amount`; `None`: unreadable, or not said.
    pub amount: Option<Amount>,
    /// `is_percentage`.
    pub is_percentage: bool,
    /// `max_discount_amount`; zero is unlimited or not said, `None`: unreadable.
    pub max: Option<Amount>,
}

/// What a remembered check said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// The code is good for this.
    Valid(Terms),
    /// It is not.
    Refused {
        /// The refusal was strong evidence.
        strong: bool,
        /// The provider's words.
        message: String,
    },
}

/// A check that this gateway remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// What it said.
    pub checked: Checked,
    /// The gateway's elapsed time when it was asked, in seconds.
    pub at_s: i64,
}

impl Remembered {
    /// What it said of the code's worth; `None` where it refused.
    #[must_use]
    pub fn terms(&self) -> Option<&Terms> {
        match &self.checked {
            Checked::Valid(terms) => Some(terms),
            Checked::Refused { .. } => None,
        }
    }
}

/// What a redemption counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// A check said so.
    Known(Amount),
    /// A setting says so, because no check does.
    Assumed(Amount),
}

impl Worth {
    /// The amount, known or assumed.
    #[must_use]
    pub const fn amount(self) -> Amount {
        match self {
            Self::Known(amount) | Self::Assumed(amount) => amount,
        }
    }

    /// Whether a setting said it.
    #[must_use]
    pub const fn is_assumed(self) -> bool {
        matches!(self, Self::Assumed(_))
    }
}

/// What a redemption is worth. A percentage counts as its most. A percentage without a most counts
/// as `unbounded`. What no check said, or nobody can read, counts as `unknown`, and so does an
/// amount of zero: a reward that is a thing is worth something all the same.
#[must_use]
pub fn worth(terms: Option<&Terms>, unknown: Amount, unbounded: Amount) -> Worth {
    let said = terms.and_then(|terms| if terms.is_percentage { terms.max } else { terms.amount });
    match (said, terms.is_some_and(|terms| terms.is_percentage)) {
        (Some(Amount::ZERO), true) => Worth::Assumed(unbounded),
        (Some(Amount::ZERO) | None, _) => Worth::Assumed(unknown),
        (Some(amount), _) => Worth::Known(amount),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_exactly_and_rounds_up() {
        for (text, units) in [
            ("120.00", Some(1_200_000)),
            ("120", Some(1_200_000)),
            (" 0.1 ", Some(1000)),
            (".5", Some(5000)),
            ("5.", Some(50_000)),
            ("0.00009", Some(1)),
            ("0.00010", Some(1)),
            ("0.30000000000000004", Some(3001)),
            ("99999999999999999999999", Some(i64::MAX)),
            ("", None),
            (".", None),
            ("-1", None),
            ("+1", None),
            ("1e3", None),
            ("1,5", None),
            ("1.2.3", None),
            ("ten", None),
        ] {
            assert_eq!(Amount::parse(text).map(|amount| amount.0), units, "{text:?}");
        }
    }

    #[test]
    fn an_amount_is_shown_with_two_decimals_at_least_and_read_back_as_it_is() {
        for (units, shown) in [
            (0, "0.00"),
            (1, "0.0001"),
            (1_200_000, "120.00"),
            (15_000, "1.50"),
            (12_345, "1.2345"),
        ] {
            assert_eq!(Amount(units).to_string(), shown);
            assert_eq!(Amount::parse(shown), Some(Amount(units)));
        }
        assert_eq!(Amount(-15_000).to_string(), "-1.50");
    }

    #[test]
    fn a_redemption_counts_as_what_its_check_said_or_as_the_settings_assume() {
        let (unknown, unbounded) = (Amount::whole(25), Amount::whole(100));
        let terms = |is_percentage, amount: Option<i64>, max: Option<i64>| Terms {
            kind: "discount".to_owned(),
            amount: amount.map(Amount::whole),
            is_percentage,
            max: max.map(Amount::whole),
        };
        for (terms, expected) in [
            (terms(false, Some(7), Some(0)), Worth::Known(Amount::whole(7))),
            (terms(false, None, Some(9)), Worth::Assumed(unknown)),
            (terms(false, Some(0), Some(9)), Worth::Assumed(unknown)),
            (terms(true, Some(50), Some(9)), Worth::Known(Amount::whole(9))),
            (terms(true, Some(50), Some(0)), Worth::Assumed(unbounded)),
            (terms(true, Some(50), None), Worth::Assumed(unknown)),
        ] {
            assert_eq!(worth(Some(&terms), unknown, unbounded), expected, "{terms:?}");
        }
        assert_eq!(worth(None, unknown, unbounded), Worth::Assumed(unknown));
    }
}
