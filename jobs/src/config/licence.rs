//! `[[licence]]`: the licence terms. Contradictory terms are refused, because no later check would find a wrong price.

use boxseat_schemas::Money;
use boxseat_schemas::licence::{LicenceTerms, MatchRule};
use boxseat_storage::toml_file::Date;
use toml::Value;

use super::file::Licence;
use crate::error::CommandError;

/// The terms, in the order of the file. Their rules are applied in this order.
///
/// # Errors
/// Exit 2, naming the plan, the key and the allowed values.
pub(super) fn terms(licences: &[Licence]) -> Result<Vec<LicenceTerms>, CommandError> {
    let terms = licences.iter().map(one).collect::<Result<Vec<_>, _>>()?;
    for (index, later) in terms.iter().enumerate() {
        for earlier in terms[..index].iter().filter(|earlier| earlier.overlaps(later)) {
            check_overlap(earlier, later)?;
        }
    }
    Ok(terms)
}

fn one(licence: &Licence) -> Result<LicenceTerms, CommandError> {
    let plan = licence.plan_id.trim();
    if plan.is_empty() {
        return Err(CommandError::usage(
            "[[licence]] plan_id is empty: every table uses it as the name of the plan",
        ));
    }
    let wrong = |text: String| CommandError::usage(format!("[[licence]] {plan}: {text}"));
    let day = |date: Option<Date>| date.map(|date| date.0);
    let count = |key: &str, value: Option<u64>| {
        value
            .map(|count| i64::try_from(count).map_err(|_| wrong(format!("{key} = {count} is too many"))))
            .transpose()
    };
    let terms = LicenceTerms {
        plan_id: plan.to_owned(),
        valid_from: day(licence.valid_from),
        valid_to: day(licence.valid_to),
        seats_purchased: count("seats_purchased", licence.seats_purchased)?,
        cost_per_seat_monthly: licence
            .cost_per_seat_monthly
            .as_ref()
            .map(amount)
            .transpose()
            .map_err(wrong)?,
        currency: licence.currency.clone(),
        term_start: day(licence.term_start),
        renewal_date: day(licence.renewal_date),
        notice_by: day(licence.notice_by),
        box_plan: licence.box_plan.clone(),
        external_seats: count("external_seats", licence.external_seats)?,
        console_seats_used: count("console_seats_used", licence.console_seats_used)?,
        console_seen_at: licence.console_seen_at.map(|moment| moment.0),
        match_rule: match &licence.match_rule {
            Some(rule) => rule.parse().map_err(|e| wrong(format!("match_rule = {e}")))?,
            None => MatchRule::All,
        },
    };
    let order = |(first, from): (&str, _), (second, to): (&str, _)| match (from, to) {
        (Some(from), Some(to)) if to < from => {
            Err(wrong(format!("{second} = {to} is before {first} = {from}")))
        }
        _ => Ok(()),
    };
    order(("valid_from", terms.valid_from), ("valid_to", terms.valid_to))?;
    order(("term_start", terms.term_start), ("renewal_date", terms.renewal_date))?;
    order(("notice_by", terms.notice_by), ("renewal_date", terms.renewal_date))?;
    match (&terms.cost_per_seat_monthly, &terms.currency) {
        (_, Some(currency)) if currency.len() != 3 || !currency.bytes().all(|b| b.is_ascii_uppercase()) => {
            Err(wrong(format!("currency = {currency:?}: it must be three capital letters, such as \"EUR\"")))
        }
        (Some(cost), None) => Err(wrong(format!(
            "cost_per_seat_monthly = {cost} has no currency; add currency = \"EUR\" or another"
        ))),
        _ => Ok(terms),
    }
}

/// Checks two terms that are valid on the same day.
fn check_overlap(earlier: &LicenceTerms, later: &LicenceTerms) -> Result<(), CommandError> {
    if earlier.plan_id == later.plan_id {
        return Err(CommandError::usage(format!(
            "[[licence]] {} has two entries for the same days: {} and {}",
            later.plan_id,
            days(earlier),
            days(later)
        ))
        .hint("valid_to is the last day of the old terms, valid_from the first day of the new ones"));
    }
    if let (Some(one), Some(other)) = (&earlier.currency, &later.currency)
        && one != other
    {
        return Err(CommandError::usage(format!(
            "[[licence]] {} is in {one} and {} in {other}, and both are valid on the same days: their costs cannot be added",
            earlier.plan_id, later.plan_id
        ))
        .hint("write all prices in one currency"));
    }
    if earlier.match_rule == MatchRule::All && later.cost_per_seat_monthly.is_some() {
        tracing::warn!(
            "[[licence]] {}: no seat matches it, because {}, which is before it, matches all seats; put it first",
            later.plan_id,
            earlier.plan_id
        );
    }
    Ok(())
}

fn days(terms: &LicenceTerms) -> String {
    match (terms.valid_from, terms.valid_to) {
        (None, None) => "always".to_owned(),
        (Some(from), None) => format!("from {from}"),
        (None, Some(to)) => format!("to {to}"),
        (Some(from), Some(to)) => format!("{from} to {to}"),
    }
}

/// Text is parsed exactly. TOML reads a number with a point as a double. Its shortest form is the written number, if that has no
/// more digits than a double keeps.
fn amount(value: &Value) -> Result<Money, String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Integer(whole) => whole.to_string(),
        Value::Float(number) => number.to_string(),
        other => return Err(format!("cost_per_seat_monthly = {other} is not an amount such as \"35.00\"")),
    };
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if matches!(value, Value::Float(_)) && digits > DIGITS_OF_A_DOUBLE {
        return Err(format!(
            "cost_per_seat_monthly = {text} has too many digits for a number; put it in quotes"
        ));
    }
    text.parse().map_err(|e| format!("cost_per_seat_monthly = {e}"))
}

/// A decimal with this many digits is unchanged after the conversion to a double and back.
const DIGITS_OF_A_DOUBLE: usize = 15;

#[cfg(test)]
mod tests {
    use super::super::file::File;
    use super::*;

    fn read(text: &str) -> Result<Vec<LicenceTerms>, CommandError> {
        let file: File = toml::from_str(text).unwrap();
        terms(&file.licence)
    }

    fn licence(keys: &[&str]) -> String {
        format!("[[licence]]\n{}\n", keys.join("\n"))
    }

    const YEAR: &[&str] = &[
        "plan_id = \"enterprise\"",
        "valid_from = 2026-01-01",
        "valid_to = \"2026-12-31\"",
        "seats_purchased = 500",
        "cost_per_seat_monthly = \"35.00\"",
        "currency = \"EUR\"",
    ];

    #[test]
    fn amounts_are_read_exactly() {
        let mut keys = YEAR.to_vec();
        keys.extend([
            "term_start = 2025-01-01",
            "notice_by = 2026-09-30",
            "renewal_date = 2027-01-01",
            "box_plan = \"Enterprise Plus\"",
            "external_seats = 20",
            "console_seats_used = 480",
            "console_seen_at = 2026-02-01",
            "match_rule = \"tracking_code:Cost Centre=7\"",
        ]);
        let terms = read(&licence(&keys)).unwrap().remove(0);
        assert_eq!(
            (terms.valid_to, terms.seats_purchased, terms.external_seats, terms.console_seats_used),
            (Some("2026-12-31".parse().unwrap()), Some(500), Some(20), Some(480))
        );
        assert_eq!(terms.cost_per_seat_monthly.unwrap().to_string(), "35.0000");
        assert_eq!(terms.console_seen_at, Some("2026-02-01T00:00:00Z".parse().unwrap()));
        assert_eq!(terms.match_rule.to_string(), "tracking_code:Cost Centre=7");
        // Prices that a double cannot represent exactly.
        for (written, read_as) in
            [("0.1", "0.1000"), ("35", "35.0000"), ("1234.5678", "1234.5678"), ("1e2", "100.0000")]
        {
            let text = licence(&[
                "plan_id = \"p\"",
                "currency = \"EUR\"",
                &format!("cost_per_seat_monthly = {written}"),
            ]);
            assert_eq!(read(&text).unwrap()[0].cost_per_seat_monthly.unwrap().to_string(), read_as);
        }
        let bare = read("[[licence]]\nplan_id = \"p\"\n").unwrap().remove(0);
        assert_eq!((bare.valid_from, bare.match_rule, bare.seats_purchased), (None, MatchRule::All, None));
    }

    #[test]
    fn contradictory_terms_are_refused() {
        let year = licence(YEAR);
        let with = |key: &str| licence(&[YEAR, &[key]].concat());
        let of = |keys: &[&str]| format!("{year}{}", licence(keys));
        let cases = [
            (licence(&["plan_id = \" \""]), "plan_id is empty"),
            (
                licence(&["plan_id = \"p\"", "valid_from = 2026-02-01", "valid_to = 2026-01-31"]),
                "valid_to = 2026-01-31 is before valid_from",
            ),
            (with("match_rule = \"role:admin\""), "\"role:admin\" is not a match rule"),
            (licence(&["plan_id = \"p\"", "cost_per_seat_monthly = 35"]), "has no currency; add currency"),
            (licence(&["plan_id = \"p\"", "currency = \"euro\""]), "three capital letters"),
            (
                licence(&["plan_id = \"p\"", "currency = \"EUR\"", "cost_per_seat_monthly = -1"]),
                "is not an amount",
            ),
            (
                licence(&["plan_id = \"p\"", "currency = \"EUR\"", "cost_per_seat_monthly = 0.00001"]),
                "at most 4 decimals",
            ),
            (
                licence(&[
                    "plan_id = \"p\"",
                    "currency = \"EUR\"",
                    "cost_per_seat_monthly = 1234567890123.4567",
                ]),
                "put it in quotes",
            ),
            (
                licence(&["plan_id = \"p\"", "currency = \"EUR\"", "cost_per_seat_monthly = true"]),
                "is not an amount",
            ),
            (
                of(&["plan_id = \"enterprise\"", "valid_from = 2026-12-31"]),
                "has two entries for the same days: 2026-01-01 to 2026-12-31 and from 2026-12-31",
            ),
            (
                of(&["plan_id = \"other\"", "valid_from = 2026-06-01", "currency = \"USD\""]),
                "is in EUR and other in USD",
            ),
            (with("renewal_date = 2027-01-01\nnotice_by = 2027-01-02"), "is before notice_by"),
        ];
        for (text, part) in cases {
            let error = read(&text).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.lines()[0].contains(part), "{:?} lacks {part:?}", error.lines());
        }
        // Terms in another currency are accepted if they follow the first ones.
        assert_eq!(
            read(&of(&["plan_id = \"enterprise\"", "valid_from = 2027-01-01", "currency = \"USD\""]))
                .unwrap()
                .len(),
            2
        );
    }
}
