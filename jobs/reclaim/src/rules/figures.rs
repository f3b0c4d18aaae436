//! Numbers in sentences: users, money, bytes and times.

use chrono::{DateTime, Utc};

/// `1 user`, `3 users`.
pub fn people(count: usize) -> String {
    if count == 1 { "1 user".to_owned() } else { format!("{count} users") }
}

/// Money with two decimals, or with four where that loses something.
pub fn amount(ten_thousandths: i64) -> String {
    let (whole, rest) = (ten_thousandths / 10_000, ten_thousandths % 10_000);
    if rest % 100 == 0 { format!("{whole}.{:02}", rest / 100) } else { format!("{whole}.{rest:04}") }
}

/// Bytes in the largest decimal unit, with one decimal.
pub fn size(bytes: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a figure to one decimal")]
    let mut figure = bytes as f64;
    for unit in ["B", "KB", "MB", "GB"] {
        if figure < 1000.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{figure:.1} {unit}") };
        }
        figure /= 1000.0;
    }
    format!("{figure:.1} TB")
}

/// Date and time to the minute, in UTC.
pub fn moment(at: DateTime<Utc>) -> String {
    at.format("%F %H:%M").to_string()
}
