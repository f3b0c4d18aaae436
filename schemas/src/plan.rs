//! The plan of a night: what is read, what is carried forward from the base run, why, and what it costs.
//!
//! A planner writes it once the listings and the admin log are in; it lies in the spool, so that a resumed run goes on with the
//! same decisions, and `sync --plan` prints it.

use serde::{Deserialize, Serialize};

/// Everything decided about a night.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NightPlan {
    /// One line per stream, in the order they are read.
    pub streams: Vec<StreamPlan>,
    /// What a person should know: what was cut, which signal was not believed.
    pub notes: Vec<String>,
    /// Calls a month the contract allows, left before this night; `None` without `monthly_calls`.
    pub calls_left: Option<u64>,
    /// What of them this night may spend.
    pub calls_tonight: Option<u64>,
    /// People the base run listed who are gone without a DELETE_USER event: what a guard looks at.
    pub unannounced_departures: u64,
    /// What the admin log announces as gone.
    #[serde(default)]
    pub announced: Announced,
    /// What to ask.
    pub reads: Reads,
}

/// Losses that events of the run's window announce: they do not count as shrinking.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// Users that a DELETE_USER names.
    pub users: Vec<String>,
    /// Groups that a GROUP_DELETION names.
    pub groups: Vec<String>,
    /// Group and user of each GROUP_REMOVE_USER.
    pub members: Vec<(String, String)>,
}

impl NightPlan {
    /// Calls of the whole night: those made before planning, and those still to make.
    pub fn calls(&self) -> u64 {
        self.streams.iter().map(|stream| stream.calls).sum()
    }
}

/// One stream's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamPlan {
    /// Which stream.
    pub stream: Stream,
    /// How much of it is read.
    pub choice: Choice,
    /// Why.
    pub reason: String,
    /// API calls it costs tonight.
    pub calls: u64,
}

/// What a run reads, and what reading costs calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Token requests and `GET /users/me`.
    SignIn,
    /// `GET /users`.
    Users,
    /// `GET /groups`.
    Groups,
    /// `GET /events`.
    Events,
    /// `GET /users/{id}` of people who are no longer listed, and of a few who are.
    Confirmations,
    /// Memberships, from both sides.
    Memberships,
    /// `GET /users/{id}/email_aliases`.
    EmailAliases,
}

impl Stream {
    /// The word people read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Users => "users",
            Self::Groups => "groups",
            Self::Events => "events",
            Self::Confirmations => "confirmations",
            Self::Memberships => "memberships",
            Self::EmailAliases => "email_aliases",
        }
    }
}

/// How much of a stream is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// Everything.
    Full,
    /// What changed, and what is due to be looked at again.
    ChangedOnly,
    /// Nothing: the base run's rows stand.
    CarryForward,
}

impl Choice {
    /// The word people read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::ChangedOnly => "changed only",
            Self::CarryForward => "carry forward",
        }
    }
}

/// What to ask, beyond the listings and the admin log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reads {
    /// Users whose aliases are read.
    pub aliases: Which,
    /// Groups whose members are read.
    pub groups: Which,
    /// Users whose memberships are read from the user side; [`Which::All`] means those that groups past the offset cap hide.
    pub user_side: Which,
    /// People of the base night who are no longer listed.
    pub confirm: Vec<String>,
    /// Groups of the base run that are no longer listed, and that no event announces as deleted.
    #[serde(default)]
    pub confirm_groups: Vec<String>,
    /// People who are still listed and must answer, or the answers about the others mean nothing.
    pub canaries: Vec<String>,
}

/// Which of the ids listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// All of them.
    All,
    /// These.
    Only(Vec<String>),
}

impl Default for Which {
    fn default() -> Self {
        Self::Only(Vec::new())
    }
}
