//! The rules for reading a report of the admin console, in one table with their sources.
//!
//! Box publishes the columns of its reports but not their exact text. Correct a wrong rule here. The tests below the table and in
//! `moment` read examples.

use chrono::FixedOffset;
use serde::Deserialize;

use crate::error::CommandError;

/// The content of a column of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// Box's id of the user.
    UserId,
    /// The user's address.
    Login,
    /// Managed, unmanaged or external.
    UserType,
    /// The last sign-in, in the local time of the admin who ran the report.
    LastLogin,
    /// The last activity of any kind, in UTC.
    LastActivity,
}

/// The meaning of a word or a pattern in a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// A heading without case, spaces and punctuation. The first matching word in the table wins.
    Heading(Column),
    /// An additional word in headings of times.
    HeadingFiller,
    /// A word in a heading whose times are UTC.
    HeadingUtc,
    /// A user type without a seat of this enterprise.
    Outsider,
    /// A cell that means no use.
    NoUse,
    /// A chrono pattern of a date whose order of parts is certain.
    Date,
    /// A separator of three numbers, of which the first two are day and month in either order.
    DateSeparator,
    /// A chrono pattern of a time of day.
    Clock,
    /// Letters of a time zone, with minutes east of UTC.
    Zone(i32),
    /// Letters that mean several time zones.
    AmbiguousZone,
}

/// One rule: the meaning of some words, and its source.
pub(super) struct Rule {
    pub(super) reads: Reads,
    pub(super) words: &'static [&'static str],
    /// A page of Box or a standard; [`ASSUMED`] if there is none.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "it is for the reader of the table, and a test checks it")
    )]
    pub(super) source: &'static str,
}

/// There is no public source. Verify the rule with a real report before you rely on it.
const ASSUMED: &str = "assumed, unverified";
/// Columns of the User Details report. The page names columns and the zone of the file name, not the form of times.
const DETAILS: &str = "https://docs.box.com/en/box-admin-tools/reporting-and-insights/user-details-report";
/// Columns of the User Engagement report. "The date, in UTC, of the user's most recent activity in Box."
const ENGAGEMENT: &str = "https://support.box.com/hc/en-us/articles/45632231751827-User-Engagement-Report";
/// Zone letters with the offsets that mail headers define.
const RFC_5322: &str = "https://www.rfc-editor.org/rfc/rfc5322#section-4.3";
/// Abbreviations of the zones of one region each.
const TZDB: &str = "https://www.iana.org/time-zones";

const fn rule(reads: Reads, words: &'static [&'static str], source: &'static str) -> Rule {
    Rule { reads, words, source }
}

#[rustfmt::skip]
pub(super) const RULES: &[Rule] = &[
    rule(Reads::Heading(Column::UserId), &["userid"], ENGAGEMENT),
    rule(Reads::Heading(Column::UserId), &["boxuserid", "id"], ASSUMED),
    rule(Reads::Heading(Column::Login), &["useremail"], ENGAGEMENT),
    rule(Reads::Heading(Column::Login), &["email", "emailaddress", "primaryemail", "userlogin", "login", "user"], ASSUMED),
    rule(Reads::Heading(Column::Login), &["メール", "メールアドレス"], ASSUMED),
    rule(Reads::Heading(Column::UserType), &["usertype"], ENGAGEMENT),
    rule(Reads::Heading(Column::UserType), &["type"], ASSUMED),
    rule(Reads::Heading(Column::LastLogin), &["lastlogin"], DETAILS),
    rule(Reads::Heading(Column::LastLogin), &["lastsignin", "mostrecentlogin", "mostrecentsignin"], ASSUMED),
    rule(Reads::Heading(Column::LastLogin), &["letzteanmeldung", "最終ログイン"], ASSUMED),
    rule(Reads::Heading(Column::LastActivity), &["lastactivity"], ENGAGEMENT),
    rule(Reads::Heading(Column::LastActivity), &["lastactive", "mostrecentactivity"], ASSUMED),
    rule(Reads::HeadingFiller, &["user", "date", "time", "timestamp", "of", "zone"], ASSUMED),
    rule(Reads::HeadingUtc, &["utc", "gmt"], ASSUMED),
    rule(Reads::Outsider, &["unmanaged", "unmanageduser", "external", "externaluser"], DETAILS),
    rule(Reads::Outsider, &["externalcollaborator"], ASSUMED),
    rule(Reads::NoUse, &["", "-", "--", "–", "—", "never", "never logged in", "no login", "no activity", "n/a", "na", "not available", "none", "null"], ASSUMED),
    rule(Reads::Date, &["%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d"], ASSUMED),
    rule(Reads::Date, &["%B %d %Y", "%d %B %Y", "%d-%B-%Y", "%Y-%B-%d", "%d-%B-%y"], ASSUMED),
    rule(Reads::DateSeparator, &["/", ".", "-"], ASSUMED),
    rule(Reads::Clock, &["%H:%M:%S%.f", "%H:%M", "%I:%M:%S%.f %p", "%I:%M %p"], ASSUMED),
    rule(Reads::Zone(0), &["UTC", "Z"], "https://www.rfc-editor.org/rfc/rfc3339#section-4"),
    rule(Reads::Zone(0), &["UT", "GMT"], RFC_5322),
    rule(Reads::Zone(-240), &["EDT"], RFC_5322),
    rule(Reads::Zone(-300), &["EST", "CDT"], RFC_5322),
    rule(Reads::Zone(-360), &["CST", "MDT"], RFC_5322),
    rule(Reads::Zone(-420), &["MST", "PDT"], RFC_5322),
    rule(Reads::Zone(-480), &["PST"], RFC_5322),
    rule(Reads::Zone(-480), &["AKDT"], TZDB),
    rule(Reads::Zone(-540), &["AKST"], TZDB),
    rule(Reads::Zone(-600), &["HST"], TZDB),
    rule(Reads::Zone(0), &["WET"], TZDB),
    rule(Reads::Zone(60), &["CET", "MEZ", "WEST"], TZDB),
    rule(Reads::Zone(120), &["CEST", "MESZ", "EET"], TZDB),
    rule(Reads::Zone(180), &["EEST", "MSK"], TZDB),
    rule(Reads::Zone(480), &["HKT", "AWST"], TZDB),
    rule(Reads::Zone(540), &["JST", "KST"], TZDB),
    rule(Reads::Zone(570), &["ACST"], TZDB),
    rule(Reads::Zone(600), &["AEST"], TZDB),
    rule(Reads::Zone(630), &["ACDT"], TZDB),
    rule(Reads::Zone(660), &["AEDT"], TZDB),
    rule(Reads::Zone(720), &["NZST"], TZDB),
    rule(Reads::Zone(780), &["NZDT"], TZDB),
    rule(Reads::AmbiguousZone, &["IST", "BST", "AST", "ADT", "SST", "GST", "ECT", "AMT", "PT", "ET", "CT", "MT"], TZDB),
];

/// All words with this meaning, in the order of the table.
pub(super) fn words(reads: Reads) -> impl Iterator<Item = &'static str> {
    RULES.iter().filter(move |rule| rule.reads == reads).flat_map(|rule| rule.words.iter().copied())
}

/// The meaning of the letters after a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ZoneLetters {
    Fixed(FixedOffset),
    Ambiguous,
    Unknown,
}

pub(super) fn zone(letters: &str) -> ZoneLetters {
    let rule = RULES.iter().find(|rule| {
        matches!(rule.reads, Reads::Zone(_) | Reads::AmbiguousZone)
            && rule.words.iter().any(|word| word.eq_ignore_ascii_case(letters))
    });
    match rule.map(|rule| rule.reads) {
        Some(Reads::Zone(minutes)) => ZoneLetters::Fixed(
            FixedOffset::east_opt(minutes * 60).expect("the table has no zone beyond a day"),
        ),
        Some(_) => ZoneLetters::Ambiguous,
        None => ZoneLetters::Unknown,
    }
}

/// The headings of `[imports.columns]`. They have priority over those of the table.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Headings {
    user_id: Vec<String>,
    login: Vec<String>,
    user_type: Vec<String>,
    last_login: Vec<String>,
    last_activity: Vec<String>,
}

impl Headings {
    fn all(&self) -> [(Column, &'static str, &[String]); 5] {
        [
            (Column::UserId, "user_id", &self.user_id),
            (Column::Login, "login", &self.login),
            (Column::UserType, "user_type", &self.user_type),
            (Column::LastLogin, "last_login", &self.last_login),
            (Column::LastActivity, "last_activity", &self.last_activity),
        ]
    }

    /// Refuses invalid or duplicate headings.
    ///
    /// # Errors
    /// Exit 2 for a heading without a letter or digit, and for a heading of two columns.
    pub(crate) fn check(&self) -> Result<(), CommandError> {
        let mut seen: Vec<(String, &str)> = Vec::new();
        for (_, name, headings) in self.all() {
            for heading in headings {
                let plain = plain(heading);
                if plain.is_empty() {
                    return Err(CommandError::usage(format!(
                        "[imports.columns] {name}: {heading:?} has no letter and no digit"
                    )));
                }
                if let Some((_, other)) = seen.iter().find(|(found, other)| *found == plain && *other != name)
                {
                    return Err(CommandError::usage(format!(
                        "[imports.columns] {name} and {other} both name the heading {heading:?}"
                    )));
                }
                seen.push((plain, name));
            }
        }
        Ok(())
    }

    /// Whether a row has the heading of any column.
    pub(super) fn knows_any(&self, row: &[String]) -> bool {
        self.all().iter().any(|(column, ..)| !self.places(*column, row).is_empty())
    }

    /// The positions of a column in a heading row, the best match first.
    pub(super) fn places(&self, column: Column, heading: &[String]) -> Vec<usize> {
        let configured = self.all().into_iter().find(|(known, ..)| *known == column);
        let configured = configured.into_iter().flat_map(|(.., headings)| headings).map(|text| plain(text));
        let claimed = |name: &str| {
            self.all().iter().any(|(other, _, headings)| {
                *other != column && headings.iter().any(|heading| plain(heading) == name)
            })
        };
        let is_time = matches!(column, Column::LastLogin | Column::LastActivity);
        let known = words(Reads::Heading(column)).map(str::to_owned);
        let mut places = Vec::new();
        for word in configured.chain(known) {
            for (place, name) in heading.iter().enumerate() {
                let whole = plain(name);
                let is_match = whole == word || is_time && without_filler(name) == word;
                if is_match && !claimed(&whole) && !places.contains(&place) {
                    places.push(place);
                }
            }
        }
        places
    }
}

/// Whether a heading states that its times are UTC, as in `Last Activity (UTC)`.
pub(super) fn is_utc(heading: &str) -> bool {
    words_of(heading).iter().any(|word| words(Reads::HeadingUtc).any(|utc| utc == word))
}

/// A heading without case, spaces and punctuation: `(User) Email` and `User Email*` are the same.
pub(super) fn plain(heading: &str) -> String {
    heading.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// As [`plain`], without words such as `Date of` and `(UTC)`.
fn without_filler(heading: &str) -> String {
    let is_filler = |word: &String| {
        words(Reads::HeadingFiller).chain(words(Reads::HeadingUtc)).any(|filler| filler == word)
    };
    words_of(heading).into_iter().filter(|word| !is_filler(word)).collect()
}

/// The words of a heading in lower case. A capital after a small letter begins a word.
fn words_of(heading: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in heading.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && before.is_lowercase()) {
            words.push(String::new());
        }
        if c.is_alphanumeric() {
            words.last_mut().expect("it begins with one").extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_a_source_and_every_word_one_meaning() {
        let mut seen: Vec<(&str, &str)> = Vec::new();
        for rule in RULES {
            assert!(rule.source == ASSUMED || rule.source.starts_with("https://"), "{:?}", rule.reads);
            let kind = match rule.reads {
                Reads::Zone(_) | Reads::AmbiguousZone => "zone",
                Reads::Heading(_) => "heading",
                _ => continue,
            };
            for word in rule.words {
                assert!(!seen.contains(&(kind, word)), "{word} is read in two ways");
                seen.push((kind, word));
            }
        }
    }

    #[test]
    fn headings_are_found_by_name_and_configured_ones_have_priority() {
        let places = |headings: &Headings, column, row: &[&str]| {
            headings.places(column, &row.iter().map(|&text| text.to_owned()).collect::<Vec<_>>())
        };
        let known = Headings::default();
        for (heading, column, is_found) in [
            ("(User) Email", Column::Login, true),
            ("E-Mail", Column::Login, true),
            ("Email*", Column::Login, true),
            ("User Name", Column::Login, false),
            ("Login Date", Column::Login, false),
            ("Secondary Emails", Column::Login, false),
            ("Last Login (UTC)", Column::LastLogin, true),
            ("Last login time", Column::LastLogin, true),
            ("Date of Last Login", Column::LastLogin, true),
            ("User Last Login", Column::LastLogin, true),
            ("LastLoginDate", Column::LastLogin, true),
            ("Last Login (date, time, zone)", Column::LastLogin, true),
            ("最終ログイン", Column::LastLogin, true),
            // Why: an IP address is not a time, so every row would be rejected.
            ("Last Login IP", Column::LastLogin, false),
            ("Last Password Change", Column::LastLogin, false),
            ("Last Activity Date", Column::LastActivity, true),
        ] {
            assert_eq!(!places(&known, column, &[heading]).is_empty(), is_found, "{heading}");
        }
        let own: Headings = toml::from_str("login = [\"Correo\"]\nlast_login = [\"E-Mail\"]").expect("keys");
        assert_eq!(places(&own, Column::Login, &["Email", "Correo"]), [1]);
        assert_eq!(places(&own, Column::LastLogin, &["E-MAIL"]), [0]);
        assert!(is_utc("Last Activity (UTC)") && !is_utc("Last Login"));
    }

    #[test]
    fn invalid_and_duplicate_configured_headings_are_refused() {
        for (text, reason) in [
            ("login = [\"??\"]", "no letter"),
            ("login = [\"Correo\"]\nuser_id = [\"(correo)\"]", "both name the heading"),
        ] {
            let headings: Headings = toml::from_str(text).expect("known keys");
            assert!(headings.check().expect_err(text).lines()[0].contains(reason), "{text}");
        }
        assert!(toml::from_str::<Headings>("mail = [\"Correo\"]").is_err(), "an unknown column is refused");
    }
}
