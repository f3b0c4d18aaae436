//! The plan of a run: what is read, what is carried forward from the base run, the reasons, and the cost.
//!
//! The planner writes it as soon as the listings and the admin log are complete. It is stored in the spool, so that a resumed run continues
//! with the same decisions. `sync --plan` prints it.

use serde::{Deserialize, Serialize};

/// All decisions for a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunPlan {
    /// One line per stream, in the order they are read.
    pub streams: Vec<StreamPlan>,
    /// Notes for the operator, such as a reduced read or an ignored signal.
    pub notes: Vec<String>,
    /// Calls of the monthly allowance that were left before this run; `None` without `monthly_calls`.
    pub calls_left: Option<u64>,
    /// Number of these calls that this run may use.
    pub calls_tonight: Option<u64>,
    /// Number of users that the base run listed and that are missing without a DELETE_USER event. A guard checks this number.
    pub unannounced_departures: u64,
    /// Deletions and removals that the admin log announces.
    #[serde(default)]
    pub announced: Announced,
    /// What to request.
    pub reads: Reads,
}

/// Deletions and removals that events of the run's window announce. They do not count as shrinking.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// Users that a DELETE_USER names.
    pub users: Vec<String>,
    /// Groups that a GROUP_DELETION names.
    pub groups: Vec<String>,
    /// Group and user of each GROUP_REMOVE_USER.
    pub members: Vec<(String, String)>,
}

impl RunPlan {
    /// Calls of the whole run: the calls before planning, and the calls still to make.
    pub fn calls(&self) -> u64 {
        self.streams.iter().map(|stream| stream.calls).sum()
    }
}

/// The part of the plan for one stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamPlan {
    /// The stream.
    pub stream: Stream,
    /// How much of it is read.
    pub choice: Choice,
    /// The reason.
    pub reason: String,
    /// API calls that it costs in this run.
    pub calls: u64,
}

/// The streams that a run reads, and the other uses of calls.
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
    /// `GET /users/{id}` of users who are no longer listed, and of a few listed users.
    Confirmations,
    /// Memberships, from the group side and the user side.
    Memberships,
    /// `GET /users/{id}/email_aliases`.
    EmailAliases,
}

impl Stream {
    /// The name in texts for operators.
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
    /// Changed records, and records that are due for another read.
    ChangedOnly,
    /// Nothing: the rows of the base run are used.
    CarryForward,
}

impl Choice {
    /// The name in texts for operators.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::ChangedOnly => "changed only",
            Self::CarryForward => "carry forward",
        }
    }
}

/// What to request, in addition to the listings and the admin log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reads {
    /// Users whose aliases are read.
    pub aliases: Which,
    /// Groups whose members are read.
    pub groups: Which,
    /// Users whose memberships are read from the user side. [`Which::All`] means the users that groups past the offset cap hide.
    pub user_side: Which,
    /// Users of the base run who are no longer listed.
    pub confirm: Vec<String>,
    /// Groups of the base run that are no longer listed, and that no event announces as deleted.
    #[serde(default)]
    pub confirm_groups: Vec<String>,
    /// Users who are still listed. Box must return them; otherwise its responses about the missing users prove nothing.
    pub canaries: Vec<String>,
}

/// A selection of the listed ids.
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
