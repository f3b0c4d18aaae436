//! Arithmetic for forecasts. The functions are pure, so tests check them with tables of cases.

use chrono::{Datelike, Days, NaiveDate};

/// With fewer snapshots there is no forecast.
pub(super) const LEAST_SNAPSHOTS: usize = 14;
/// The age limit in days for snapshots of a trend. Older ones describe a different enterprise.
pub(super) const TREND_DAYS: u64 = 90;
/// A date that is more years away is not shown.
const FAR_YEARS: i64 = 10;

/// The daily growth of assigned seats: the slope of the least-squares line through the snapshots. `None` with fewer than [`LEAST_SNAPSHOTS`].
pub(super) fn slope(snapshots: &[(NaiveDate, i64)]) -> Option<f64> {
    if snapshots.len() < LEAST_SNAPSHOTS {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "days and seats are far below 2^52")]
    let points: Vec<(f64, f64)> =
        snapshots.iter().map(|(date, seats)| (f64::from(date.num_days_from_ce()), *seats as f64)).collect();
    #[expect(clippy::cast_precision_loss, reason = "a count of snapshots")]
    let number = points.len() as f64;
    let (mean_x, mean_y) =
        points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / number, y + point.1 / number));
    let (mut along, mut across) = (0.0, 0.0);
    for (x, y) in points {
        across += (x - mean_x) * (y - mean_y);
        along += (x - mean_x) * (x - mean_x);
    }
    (along > 0.0).then(|| across / along)
}

/// The date when no free seat is left at this growth; `None` when that never happens, or not within ten years.
pub(super) fn runs_out(snapshot: NaiveDate, free: i64, slope: f64) -> Option<NaiveDate> {
    if free <= 0 {
        return Some(snapshot);
    }
    #[expect(clippy::cast_precision_loss, reason = "seats are far below 2^52")]
    let days = (free as f64 / slope).ceil();
    if slope <= 0.0 || days > (FAR_YEARS * 365) as f64 {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 3,650, by the line above"
    )]
    snapshot.checked_add_days(Days::new(days as u64))
}

/// Months from one day to another. A month that has started counts as a whole month. The result is zero when the day is reached.
pub(super) fn months_left(from: NaiveDate, to: NaiveDate) -> i64 {
    if to <= from {
        return 0;
    }
    let whole = i64::from(to.year() - from.year()) * 12 + i64::from(to.month()) - i64::from(from.month());
    if to.day() > from.day() { whole + 1 } else { whole.max(1) }
}

/// The cost of the seats above the purchased number, at a monthly price, for the remaining months.
pub(super) fn true_up(peak: i64, purchased: i64, price_ten_thousandths: i64, months: i64) -> Option<i64> {
    (peak - purchased).max(0).checked_mul(price_ten_thousandths)?.checked_mul(months)
}

/// Seats that `slope` adds by `renewal`, rounded up. A shrinking enterprise adds none.
pub(super) fn growth(snapshot: NaiveDate, renewal: NaiveDate, slope: f64) -> i64 {
    let days = (renewal - snapshot).num_days().max(0);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "seats and days are far below 2^52"
    )]
    let seats = (slope.max(0.0) * days as f64 - 1e-9).ceil().max(0.0) as i64;
    seats
}

/// How many of the seats that leavers freed were taken by joiners, snapshot by snapshot: `(left, joined)` in order.
pub(super) fn reused(snapshots: impl IntoIterator<Item = (i64, i64)>) -> (i64, i64) {
    let (mut freed, mut reused, mut open) = (0, 0, 0);
    for (left, joined) in snapshots {
        freed += left;
        open += left;
        let taken = open.min(joined);
        reused += taken;
        open -= taken;
    }
    (freed, reused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn snapshots(count: u64, seats: impl Fn(i64) -> i64) -> Vec<(NaiveDate, i64)> {
        (0..count).map(|n| (day("2026-03-01") + Days::new(n), seats(i64::try_from(n).unwrap()))).collect()
    }

    /// Why: a trend over a week of snapshots has led to bad contracts. With fewer than fourteen there is no forecast.
    #[test]
    fn trend_requires_fourteen_snapshots() {
        assert_eq!(slope(&snapshots(13, |n| 100 + n)), None);
        let close = |found: Option<f64>, wanted: f64| (found.unwrap() - wanted).abs() < 1e-9;
        assert!(close(slope(&snapshots(14, |n| 100 + n)), 1.0));
        assert!(close(slope(&snapshots(30, |n| 500 - 2 * n)), -2.0));
        assert!(close(slope(&snapshots(30, |_| 500)), 0.0));
        // A missing snapshot does not count as a snapshot without users.
        let mut gap = snapshots(40, |n| 100 + 3 * n);
        gap.drain(10..20);
        assert!(close(slope(&gap), 3.0));
        // One exceptional snapshot changes the line, but does not determine it.
        let peak = snapshots(30, |n| if n == 15 { 1_000 } else { 100 });
        assert!(slope(&peak).unwrap().abs() < 1.0);
    }

    #[test]
    fn seats_run_out_when_the_trend_uses_the_free_seats() {
        let snapshot = day("2026-03-30");
        for (free, slope, out) in [
            (10, 1.0, Some("2026-04-09")),
            (10, 3.0, Some("2026-04-03")),
            (1, 0.5, Some("2026-04-01")),
            (0, 1.0, Some("2026-03-30")),
            (-5, -1.0, Some("2026-03-30")),
            (10, 0.0, None),
            (10, -1.0, None),
            (10, 0.001, None),
        ] {
            assert_eq!(runs_out(snapshot, free, slope), out.map(day), "{free} free, {slope} a day");
        }
    }

    #[test]
    fn started_months_count() {
        for (from, to, months) in [
            ("2026-03-02", "2026-03-02", 0),
            ("2026-03-02", "2026-03-01", 0),
            ("2026-03-02", "2026-03-03", 1),
            ("2026-03-02", "2026-04-02", 1),
            ("2026-03-02", "2026-04-03", 2),
            ("2026-01-31", "2026-02-28", 1),
            ("2026-12-15", "2027-03-01", 3),
            ("2026-03-02", "2027-03-02", 12),
        ] {
            assert_eq!(months_left(day(from), day(to)), months, "{from} to {to}");
        }
    }

    #[test]
    fn true_up_costs_the_excess_at_the_peak_until_the_renewal() {
        for (peak, purchased, price, months, cost) in [
            (520, 500, 350_000, 4, 28_000_000),
            (500, 500, 350_000, 4, 0),
            (480, 500, 350_000, 4, 0),
            (520, 500, 350_000, 0, 0),
        ] {
            assert_eq!(true_up(peak, purchased, price, months), Some(cost), "{peak} over {purchased}");
        }
        assert_eq!(true_up(i64::MAX, 0, 350_000, 2), None, "an unknown value is not guessed");
    }

    #[test]
    fn growth_is_rounded_up_and_never_negative() {
        let snapshot = day("2026-03-02");
        for (renewal, slope, seats) in
            [("2026-03-12", 0.5, 5), ("2026-03-12", 0.51, 6), ("2026-03-12", -4.0, 0), ("2026-03-01", 9.0, 0)]
        {
            assert_eq!(growth(snapshot, day(renewal), slope), seats, "{renewal} at {slope}");
        }
    }

    /// Why: a joiner who arrives before any user has left takes a new seat, not a freed one.
    #[test]
    fn only_seats_freed_before_are_reused() {
        for (snapshots, counted) in [
            (vec![(0, 5), (3, 0)], (3, 0)),
            (vec![(3, 0), (0, 2), (0, 2)], (3, 3)),
            (vec![(2, 2)], (2, 2)),
            (vec![], (0, 0)),
        ] {
            assert_eq!(reused(snapshots.clone()), counted, "{snapshots:?}");
        }
    }
}
