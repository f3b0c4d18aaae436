//! Licence terms: what was bought, for which users, for which days.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};

use crate::Money;
use crate::table::{LICENCE_TERMS, Rows};

use arrow::array::RecordBatch;

/// One row of `licence_terms`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are the columns of the `licence_terms` table contract")]
pub struct LicenceTerms {
    pub plan_id: String,
    pub valid_from: Option<NaiveDate>,
    pub valid_to: Option<NaiveDate>,
    pub seats_purchased: Option<i64>,
    pub cost_per_seat_monthly: Option<Money>,
    pub currency: Option<String>,
    pub term_start: Option<NaiveDate>,
    pub renewal_date: Option<NaiveDate>,
    pub notice_by: Option<NaiveDate>,
    pub box_plan: Option<String>,
    pub external_seats: Option<i64>,
    pub console_seats_used: Option<i64>,
    pub console_seen_at: Option<DateTime<Utc>>,
    pub match_rule: MatchRule,
}

impl LicenceTerms {
    /// Whether the terms are valid on a day. The first and the last day are included.
    pub fn holds_on(&self, day: NaiveDate) -> bool {
        self.valid_from.is_none_or(|from| from <= day) && self.valid_to.is_none_or(|to| day <= to)
    }

    /// Whether there is a day on which both terms are valid.
    pub fn overlaps(&self, other: &Self) -> bool {
        let starts_in_time =
            |one: &Self, two: &Self| one.valid_from.zip(two.valid_to).is_none_or(|(from, to)| from <= to);
        starts_in_time(self, other) && starts_in_time(other, self)
    }

    /// Rows for the warehouse's `licence_terms`, in the given order.
    pub fn to_batch(terms: &[Self]) -> RecordBatch {
        let mut rows = Rows::new(LICENCE_TERMS.warehouse_schema());
        for term in terms {
            rows.text(Some(&term.plan_id))
                .date(term.valid_from)
                .date(term.valid_to)
                .big(term.seats_purchased)
                .money(term.cost_per_seat_monthly)
                .text(term.currency.as_deref())
                .date(term.term_start)
                .date(term.renewal_date)
                .date(term.notice_by)
                .text(term.box_plan.as_deref())
                .big(term.external_seats)
                .big(term.console_seats_used)
                .time(term.console_seen_at)
                .text(Some(&term.match_rule.to_string()))
                .end();
        }
        rows.take_batch()
    }
}

/// The users whose seats the terms cover.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum MatchRule {
    /// All users.
    #[default]
    All,
    /// Users with this tracking code.
    TrackingCode {
        /// Name of the code.
        name: String,
        /// Its value. The comparison is exact.
        value: String,
    },
    /// The members of a group, by its Box id.
    Group(String),
}

impl FromStr for MatchRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let given = |part: &str| (!part.is_empty()).then(|| part.to_owned());
        let rule = match text.split_once(':') {
            None if text == "all" => Some(Self::All),
            Some(("tracking_code", code)) => code.split_once('=').and_then(|(name, value)| {
                given(name).zip(given(value)).map(|(name, value)| Self::TrackingCode { name, value })
            }),
            Some(("group", id)) => given(id).map(Self::Group),
            _ => None,
        };
        rule.ok_or_else(|| {
            format!("{text:?} is not a match rule: use \"all\", \"tracking_code:NAME=VALUE\" or \"group:ID\"")
        })
    }
}

impl fmt::Display for MatchRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::TrackingCode { name, value } => write!(f, "tracking_code:{name}={value}"),
            Self::Group(id) => write!(f, "group:{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(from: Option<&str>, to: Option<&str>) -> LicenceTerms {
        LicenceTerms {
            plan_id: "enterprise".to_owned(),
            valid_from: from.map(|day| day.parse().unwrap()),
            valid_to: to.map(|day| day.parse().unwrap()),
            seats_purchased: None,
            cost_per_seat_monthly: None,
            currency: None,
            term_start: None,
            renewal_date: None,
            notice_by: None,
            box_plan: None,
            external_seats: None,
            console_seats_used: None,
            console_seen_at: None,
            match_rule: MatchRule::All,
        }
    }

    #[test]
    fn first_and_last_day_of_the_terms_are_included() {
        let year = terms(Some("2026-01-01"), Some("2026-12-31"));
        let holds = |day: &str| year.holds_on(day.parse().unwrap());
        assert_eq!(
            ["2025-12-31", "2026-01-01", "2026-12-31", "2027-01-01"].map(holds),
            [false, true, true, false]
        );
        assert!(terms(None, None).holds_on("1999-01-01".parse().unwrap()));
        for (from, to, overlaps) in [
            (Some("2027-01-01"), None, false),
            (Some("2026-12-31"), None, true),
            (None, Some("2025-12-31"), false),
            (None, Some("2026-01-01"), true),
            (None, None, true),
            (Some("2026-03-01"), Some("2026-03-01"), true),
        ] {
            let other = terms(from, to);
            assert_eq!(
                (year.overlaps(&other), other.overlaps(&year)),
                (overlaps, overlaps),
                "{from:?} {to:?}"
            );
        }
    }

    #[test]
    fn written_rules_parse_to_the_same_rule() {
        for text in ["all", "tracking_code:Cost Centre=A=7", "group:4711"] {
            assert_eq!(text.parse::<MatchRule>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "All",
            "group:",
            "group",
            "tracking_code:x",
            "tracking_code:=7",
            "tracking_code:x=",
            "role:admin",
        ] {
            assert!(text.parse::<MatchRule>().unwrap_err().contains("is not a match rule"), "{text}");
        }
    }
}
