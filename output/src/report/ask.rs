//! The filters of a report, and whether the snapshot has them.

use chrono::{DateTime, NaiveDate, Utc};

use super::source::Source;
use crate::warehouse::literal;
use crate::{Error, Result};

/// A report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each variant is described in its module")]
pub enum Name {
    Licences,
    Idle,
    Suspended,
    Reclaimable,
    Access,
    Movers,
    Runs,
}

impl Name {
    /// All of them, in reading order.
    pub const ALL: [Self; 7] = [
        Self::Licences,
        Self::Idle,
        Self::Suspended,
        Self::Reclaimable,
        Self::Access,
        Self::Movers,
        Self::Runs,
    ];

    /// Its name on the command line and in file names.
    pub fn word(self) -> &'static str {
        match self {
            Self::Licences => "licences",
            Self::Idle => "idle",
            Self::Suspended => "suspended",
            Self::Reclaimable => "reclaimable",
            Self::Access => "access",
            Self::Movers => "movers",
            Self::Runs => "runs",
        }
    }

    fn honours(self, filter: Filter) -> bool {
        match filter {
            Filter::Days => matches!(self, Self::Idle | Self::Suspended | Self::Reclaimable),
            Filter::Group | Filter::TrackingCode | Filter::Role => self != Self::Runs,
            // All suspended users have the same status.
            Filter::Status => !matches!(self, Self::Runs | Self::Suspended),
            Filter::Since | Filter::Until => matches!(self, Self::Licences | Self::Movers | Self::Runs),
            Filter::By => self == Self::Licences,
        }
    }
}

/// The filters of a report. `None` does not restrict.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// The program's clock. The age of a snapshot is measured with it.
    pub now: DateTime<Utc>,
    /// Minimum number of days: proven idle, or suspended.
    pub days: Option<u32>,
    /// Only members of this group, by name or Box id.
    pub group: Option<String>,
    /// Only users with this tracking code: name and value. An empty value means a code that exists without a value.
    pub tracking_code: Option<(String, String)>,
    /// Only users with this role in the enterprise.
    pub role: Option<String>,
    /// Only accounts with this status: active, suspended, deprovisioned or unknown.
    pub status: Option<String>,
    /// Snapshots from this date on. For changes: those seen after the snapshot of this date.
    pub since: Option<NaiveDate>,
    /// Snapshots up to this date.
    pub until: Option<NaiveDate>,
    /// How seats are split: by `tracking_code:NAME`, `group` or `role`. A bare word may be the name of a tracking code.
    pub by: Option<String>,
}

/// How to handle a filter that the report does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Foreign {
    /// Refuse it.
    Refuse,
    /// Ignore it and add a notice. For a request of all reports, because other reports have the filter.
    LeaveOut,
}

/// How seats are split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum By {
    TrackingCode(String),
    Group,
    Role,
}

/// An [`Ask`] that the snapshot supports. `report_accounts` and `report_seats` contain the selected users.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    /// The requested filters, as names and values.
    pub(super) filters: Vec<(String, String)>,
    /// The requested filters that this report does not have.
    pub(super) left_out: Vec<&'static str>,
    /// Whether no user is excluded.
    pub(super) is_everybody: bool,
    pub(super) days: Option<i64>,
    pub(super) since: Option<NaiveDate>,
    pub(super) until: Option<NaiveDate>,
    pub(super) by: Option<By>,
}

impl Scope {
    /// Checks an [`Ask`] and creates the two views.
    ///
    /// # Errors
    /// `Input` naming the existing values.
    pub(super) fn of(source: &Source, name: Name, ask: &Ask, foreign: Foreign) -> Result<Self> {
        let given = given(ask);
        let (ours, others): (Vec<Filter>, Vec<Filter>) =
            given.into_iter().partition(|filter| name.honours(*filter));
        if let (Foreign::Refuse, Some(filter)) = (foreign, others.first()) {
            let able: Vec<&str> =
                Name::ALL.into_iter().filter(|name| name.honours(*filter)).map(Name::word).collect();
            return Err(Error::Ask {
                what: format!("report {} has no {}", name.word(), filter.flag()),
                hint: Some(format!("{} is for: {}", filter.flag(), able.join(", "))),
            });
        }
        let mut scope = Self {
            filters: Vec::new(),
            left_out: others.iter().map(|filter| filter.flag()).collect(),
            is_everybody: true,
            days: None,
            since: None,
            until: None,
            by: None,
        };
        let mut conditions = Vec::new();
        for filter in ours {
            scope.add(source, ask, filter, &mut conditions)?;
        }
        let (until, of) = match scope.until {
            Some(until) => (until, "--until"),
            None => (source.date(), "the snapshot"),
        };
        if let Some(since) = scope.since.filter(|since| *since > until) {
            return Err(Error::Ask { what: format!("--since {since} is after {of} {until}"), hint: None });
        }
        scope.is_everybody = conditions.is_empty();
        conditions.push("TRUE".to_owned());
        source.run(&format!(
            "CREATE OR REPLACE TEMP VIEW report_accounts AS SELECT * FROM accounts WHERE {};
             CREATE OR REPLACE TEMP VIEW report_seats AS SELECT * FROM report_accounts WHERE consumes_seat;",
            conditions.join(" AND ")
        ))?;
        Ok(scope)
    }

    fn add(
        &mut self,
        source: &Source,
        ask: &Ask,
        filter: Filter,
        conditions: &mut Vec<String>,
    ) -> Result<()> {
        let mut say = |name: &str, value: String| self.filters.push((name.to_owned(), value));
        match filter {
            Filter::Days => {
                self.days = ask.days.map(i64::from);
                say("days", ask.days.unwrap_or_default().to_string());
            }
            Filter::Group => {
                let (id, name) = group(source, ask.group.as_deref().unwrap_or_default())?;
                conditions.push(format!(
                    "user_id IN (SELECT user_id FROM memberships WHERE group_id = {})",
                    literal(&id)
                ));
                say("group", name);
            }
            Filter::TrackingCode => {
                let (name, value) = ask.tracking_code.clone().unwrap_or_default();
                let is_it = tracking_code(source, &name, &value)?;
                conditions.push(format!(
                    "user_id IN (SELECT user_id FROM account_tracking_codes WHERE name = {} AND {is_it})",
                    literal(&name)
                ));
                say("tracking_code", format!("{name}={value}"));
            }
            Filter::Role => {
                let asked = ask.role.as_deref().unwrap_or_default();
                let roles = source
                    .words("SELECT DISTINCT role FROM accounts WHERE role IS NOT NULL ORDER BY role")?;
                one_of("role", asked, &roles)?;
                conditions.push(format!("role = {}", literal(asked)));
                say("role", asked.to_owned());
            }
            Filter::Status => {
                let asked = ask.status.as_deref().unwrap_or_default();
                if asked == "inactive" {
                    return Err(Error::Ask {
                        what: "there is no status inactive".to_owned(),
                        hint: Some("Box's status inactive is `suspended` here; for users who do not use their seat: boxseat report idle".to_owned()),
                    });
                }
                one_of("status", asked, &STATUSES.map(str::to_owned))?;
                conditions.push(format!("account_status = {}", literal(asked)));
                say("status", asked.to_owned());
            }
            Filter::Since => {
                self.since = ask.since;
                say("since", ask.since.unwrap_or_default().to_string());
            }
            Filter::Until => {
                self.until = ask.until;
                say("until", ask.until.unwrap_or_default().to_string());
            }
            Filter::By => {
                let by = by(source, ask.by.as_deref().unwrap_or_default())?;
                say(
                    "by",
                    match &by {
                        By::TrackingCode(name) => format!("tracking_code:{name}"),
                        By::Group => "group".to_owned(),
                        By::Role => "role".to_owned(),
                    },
                );
                self.by = Some(by);
            }
        }
        Ok(())
    }

    /// Whether the filters exclude users who left. Such users have no groups and no tracking codes, and all have the same status.
    pub(super) fn misses_leavers(&self) -> bool {
        self.filters.iter().any(|(name, _)| ["group", "tracking_code", "status"].contains(&name.as_str()))
    }

    /// The condition on a date column for the requested dates. Without `--since` they begin with `least`.
    pub(super) fn dates(&self, column: &str, least: Option<NaiveDate>) -> String {
        let since = self.since.or(least).map(|date| format!("{column} >= DATE '{date}'"));
        let until = self.until.map(|date| format!("{column} <= DATE '{date}'"));
        let conditions: Vec<String> = since.into_iter().chain(until).collect();
        if conditions.is_empty() { "TRUE".to_owned() } else { conditions.join(" AND ") }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filter {
    Days,
    Group,
    TrackingCode,
    Role,
    Status,
    Since,
    Until,
    By,
}

impl Filter {
    fn flag(self) -> &'static str {
        match self {
            Self::Days => "--days",
            Self::Group => "--group",
            Self::TrackingCode => "--tracking-code",
            Self::Role => "--role",
            Self::Status => "--status",
            Self::Since => "--since",
            Self::Until => "--until",
            Self::By => "--by",
        }
    }
}

fn given(ask: &Ask) -> Vec<Filter> {
    [
        (Filter::Days, ask.days.is_some()),
        (Filter::Group, ask.group.is_some()),
        (Filter::TrackingCode, ask.tracking_code.is_some()),
        (Filter::Role, ask.role.is_some()),
        (Filter::Status, ask.status.is_some()),
        (Filter::Since, ask.since.is_some()),
        (Filter::Until, ask.until.is_some()),
        (Filter::By, ask.by.is_some()),
    ]
    .into_iter()
    .filter_map(|(filter, is_given)| is_given.then_some(filter))
    .collect()
}

/// Id and name of the selected group.
fn group(source: &Source, asked: &str) -> Result<(String, String)> {
    let wanted = literal(asked);
    let found = source.words(&format!(
        "SELECT group_id FROM groups WHERE group_id = {wanted} OR name = {wanted} ORDER BY group_id = {wanted} DESC, group_id"
    ))?;
    let id = match found.as_slice() {
        [] => {
            let names =
                source.words("SELECT DISTINCT name FROM groups WHERE name IS NOT NULL ORDER BY name")?;
            return Err(nothing("group", asked, &names));
        }
        [id] => id.clone(),
        [id, ..] if id == asked => id.clone(),
        several => {
            return Err(Error::Ask {
                what: format!("{} groups have the name {asked:?}", several.len()),
                hint: Some(format!("select one by its id: {}", several.join(", "))),
            });
        }
    };
    let of_everybody = format!(
        "SELECT count(*) FROM groups WHERE group_id = {} AND group_type = 'all_users_group'",
        literal(&id)
    );
    if source.count(&of_everybody)? == Some(1) {
        return Err(Error::Ask {
            what: format!("{asked:?} is the group of all users, whose members are not read"),
            hint: Some("omit --group".to_owned()),
        });
    }
    let name = source
        .words(&format!("SELECT coalesce(name, group_id) FROM groups WHERE group_id = {}", literal(&id)))?;
    Ok((id, name.into_iter().next().unwrap_or_default()))
}

/// The condition on the value of an existing code.
fn tracking_code(source: &Source, name: &str, value: &str) -> Result<String> {
    code_name(source, name)?;
    let code = literal(name);
    if value.is_empty() {
        return Ok("\"value\" IS NULL".to_owned());
    }
    let values = source.words(&format!(
        "SELECT DISTINCT \"value\" FROM account_tracking_codes WHERE name = {code} AND \"value\" IS NOT NULL ORDER BY 1"
    ))?;
    if values.iter().any(|known| known == value) {
        Ok(format!("\"value\" = {}", literal(value)))
    } else {
        Err(nothing(&format!("tracking code {name}"), value, &values))
    }
}

fn code_name(source: &Source, name: &str) -> Result<()> {
    let names = source
        .words("SELECT DISTINCT name FROM account_tracking_codes WHERE name IS NOT NULL ORDER BY name")?;
    if names.iter().any(|known| known == name) { Ok(()) } else { Err(nothing("tracking code", name, &names)) }
}

fn by(source: &Source, asked: &str) -> Result<By> {
    match asked.split_once(':') {
        Some(("tracking_code", name)) => {
            code_name(source, name)?;
            return Ok(By::TrackingCode(name.to_owned()));
        }
        _ if asked == "group" => return Ok(By::Group),
        _ if asked == "role" => return Ok(By::Role),
        _ => {}
    }
    code_name(source, asked).map_err(|e| match e {
        Error::Ask { hint, .. } => Error::Ask {
            what: format!("cannot split by {asked:?}: use group, role or the name of a tracking code"),
            hint,
        },
        other => other,
    })?;
    Ok(By::TrackingCode(asked.to_owned()))
}

fn one_of(what: &str, asked: &str, known: &[String]) -> Result<()> {
    if known.iter().any(|word| word == asked) { Ok(()) } else { Err(nothing(what, asked, known)) }
}

/// The error for a value that does not exist. It names similar values, or all values if there are few.
fn nothing(what: &str, asked: &str, known: &[String]) -> Error {
    const FEW: usize = 8;
    let lower = asked.to_lowercase();
    let mut near: Vec<(f64, &str)> = known
        .iter()
        .map(|word| {
            let other = word.to_lowercase();
            let likeness = strsim::jaro_winkler(&lower, &other);
            (
                if other.contains(&lower) && !lower.is_empty() { likeness.max(0.9) } else { likeness },
                word.as_str(),
            )
        })
        .filter(|(likeness, _)| *likeness > 0.75)
        .collect();
    near.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let quoted =
        |words: Vec<&str>| words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ");
    let hint = if !near.is_empty() {
        Some(format!("is it {}?", quoted(near.into_iter().take(3).map(|(_, word)| word).collect())))
    } else if known.is_empty() {
        Some(format!("this snapshot has no {what}"))
    } else if known.len() <= FEW {
        Some(format!("there is {}", quoted(known.iter().map(String::as_str).collect())))
    } else {
        Some(format!(
            "there are {}, for example {}",
            known.len(),
            quoted(known.iter().take(3).map(String::as_str).collect())
        ))
    };
    Error::Ask { what: format!("there is no {what} {asked:?}"), hint }
}

/// The values of `accounts.account_status`.
const STATUSES: [&str; 4] = ["active", "suspended", "deprovisioned", "unknown"];
