//! Values as users read them: grouped thousands, money with its currency, unknown values in words.

use boxseat_schemas::Money;
use chrono::{DateTime, NaiveDate, Utc};

use crate::report::{Value, ValueKind};

/// The text for an unknown value.
pub(super) const UNKNOWN: &str = "not known";

/// A value in a cell; its column has the unit.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Unknown => UNKNOWN.to_owned(),
        Value::Text(text) => text.clone(),
        Value::Count(number) | Value::Days(number) => grouped(*number),
        Value::Percent(share) => format!("{share:.1} %"),
        Value::Money(amount, currency) => format!("{} {currency}", money(*amount)),
        Value::Bytes(bytes) => size(*bytes),
        Value::Date(date) => day(*date),
        Value::Time(time) => instant(*time),
        Value::Flag(yes) => if *yes { "yes" } else { "no" }.to_owned(),
    }
}

/// A value on its own: its number, and the unit for smaller type next to it.
pub(super) fn alone(value: &Value) -> (String, Option<String>) {
    match value {
        Value::Days(days) => (grouped(*days), Some(if *days == 1 { "day" } else { "days" }.to_owned())),
        Value::Percent(share) => (format!("{share:.1}"), Some("%".to_owned())),
        Value::Money(amount, currency) => (money(*amount), Some(currency.clone())),
        Value::Time(time) => (instant(*time), Some("UTC".to_owned())),
        other => (cell(other), None),
    }
}

/// A value as a point of a chart; `None` is a gap.
#[expect(clippy::cast_precision_loss, reason = "a pixel is coarser than 2^53")]
pub(super) fn point(value: &Value) -> Option<f64> {
    match value {
        Value::Count(number) | Value::Days(number) | Value::Bytes(number) => Some(*number as f64),
        Value::Percent(share) => Some(*share),
        Value::Money(amount, _) => Some(amount.ten_thousandths() as f64 / 10_000.0),
        _ => None,
    }
}

/// Whether the values of a column are right-aligned, so that digits are under digits.
pub(super) fn is_number(kind: ValueKind) -> bool {
    match kind {
        ValueKind::Count | ValueKind::Days | ValueKind::Percent | ValueKind::Money | ValueKind::Bytes => true,
        ValueKind::Text | ValueKind::Date | ValueKind::Time | ValueKind::Flag => false,
    }
}

/// `-1234567` is `-1,234,567`.
pub(super) fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        text.push('-');
    }
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Two decimals, or all four if cents are not exact. Figures on the page are never rounded.
fn money(amount: Money) -> String {
    let ten_thousandths = amount.ten_thousandths();
    let sign = if ten_thousandths < 0 { "-" } else { "" };
    let whole =
        grouped(i64::try_from(ten_thousandths.unsigned_abs() / 10_000).expect("a ten-thousandth of an i64"));
    let decimals = ten_thousandths.unsigned_abs() % 10_000;
    if decimals.is_multiple_of(100) {
        format!("{sign}{whole}.{:02}", decimals / 100)
    } else {
        format!("{sign}{whole}.{decimals:04}")
    }
}

#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
fn size(bytes: i64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes.unsigned_abs() < 1000 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1000.0;
    let mut unit = 0;
    while size.abs() >= 999.95 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

pub(super) fn day(date: NaiveDate) -> String {
    date.format("%Y-%m-%d").to_string()
}

pub(super) fn instant(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (-1_234_567, "-1,234,567"),
            (i64::MIN, "-9,223,372,036,854,775,808"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn money_is_exact() {
        let shown = |text: &str| cell(&Value::Money(text.parse().unwrap(), "USD".to_owned()));
        assert_eq!(shown("17500"), "17,500.00 USD");
        assert_eq!(shown("0.3125"), "0.3125 USD");
        assert_eq!(shown("99999999999999.9999"), "99,999,999,999,999.9999 USD");
    }

    #[test]
    fn sizes_have_a_fitting_unit() {
        for (bytes, text) in
            [(999, "999 B"), (1000, "1.0 kB"), (999_960, "1.0 MB"), (12_345_678_901, "12.3 GB")]
        {
            assert_eq!(cell(&Value::Bytes(bytes)), text);
        }
    }
}
