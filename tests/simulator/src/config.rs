//! What the stand-in looks like and how difficult it is. A plain struct: set the fields that matter, default the rest.

use std::net::{Ipv4Addr, SocketAddr};

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::apps::Scopes;
use crate::faults::Fault;

/// The whole configuration. It also reads from TOML or JSON; unknown keys are errors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to listen. Port 0 takes a free one. Loopback unless there is a reason: the control routes ask for no token.
    pub listen: SocketAddr,
    /// Everything generated follows from this number; same seed and sizes, same enterprise.
    pub seed: u64,
    /// The simulated now (UTC). Nobody and nothing is dated later; [`crate::Running::step_days`] moves it.
    pub now: DateTime<Utc>,

    /// Users that `GET /users?user_type=managed` lists, app users and the "Box Admin Reports" pseudo user included.
    pub users: u32,
    /// Groups that `GET /groups` lists, the all-users group included.
    pub groups: u32,
    /// LOGIN events over the last `login_days`, exactly; `None` lets habits decide (about 30 per user and year).
    pub logins: Option<u64>,
    /// How many days before `now` events reach back. Box keeps 365.
    pub login_days: u32,
    /// Share of people, besides those who stop by chance, who stopped coming 100 to 170 days ago: so that even a small
    /// enterprise has somebody to take a seat from.
    pub idle_share: f64,
    /// On every n-th stepped day half of all users get an EDIT_USER and a new `modified_at`, as an identity provider
    /// pushing attributes does. `None`: never.
    pub directory_push_every_days: Option<u32>,

    /// How much changes on a stepped day: 1.0 is the usual rate, 0.0 an enterprise at rest, where nobody joins, leaves, moves
    /// or changes, while logins, storage and directory pushes go on. [`crate::Act::SetChangeScale`] sets it later.
    pub change_scale: f64,
    /// Dates (UTC) on which nobody signs in and nobody changes anything; a stepped day that begins on one is quiet to its
    /// end. Directory pushes go on.
    pub holidays: Vec<NaiveDate>,

    /// The enterprise's id; also the only enterprise subject that gets a token.
    pub enterprise_id: String,
    /// The enterprise's name.
    pub enterprise_name: String,
    /// Domain of the generated logins.
    pub login_domain: String,
    /// Client id that gets tokens.
    pub client_id: String,
    /// Secret that belongs to `client_id`.
    pub client_secret: String,
    /// Client id of a second application, for acting on people; it has an account and an id of its own.
    pub actions_client_id: String,
    /// Secret that belongs to `actions_client_id`.
    pub actions_client_secret: String,
    /// What the application of `client_id` may do; [`crate::Act::SetScopes`] changes it later.
    pub scopes: Scopes,
    /// What the application of `actions_client_id` may do.
    pub actions_scopes: Scopes,
    /// What ids answer to an application that reaches its own users only. Not documented; 404 or 403.
    pub out_of_reach_status: u16,
    /// A token accepted without asking for it; it acts as the primary admin, as a developer token does. `None`: none.
    pub developer_token: Option<String>,
    /// `expires_in` of every token, and when it really stops working (seconds, system clock).
    pub token_lifetime_secs: u32,

    /// API calls per caller in any 60 seconds; the next one gets 429. `None` switches the limit off. Box: 1000.
    pub calls_per_minute: Option<u32>,
    /// How the limit is kept. [`crate::Running::set_rate_limit`] changes both later.
    pub rate_limit_style: RateLimitStyle,
    /// Wait before every API answer, in milliseconds.
    pub latency_ms: u64,
    /// Seconds added to the system clock in the `Date` header, to stand in for a client whose own clock is wrong.
    pub date_skew_secs: i64,
    /// Whether bodies over 1 KiB are compressed for clients that accept gzip.
    pub gzip: bool,
    /// How many of the newest requests to remember; 0 records nothing. The counts are always kept.
    pub record_requests: usize,
    /// Faults armed from the start; more can be added while running.
    pub faults: Vec<Fault>,

    /// Whether a small share of rows carries awkward but legal data (see the README). Off: plain rows everywhere.
    pub awkward: bool,
    /// Share of listing and event pages that come short (0.0 to 1.0); about a third of them come empty with more to follow.
    pub short_pages: f64,
    /// Share of pages whose first row repeats the last row of the page before.
    pub repeated_rows: f64,
    /// Share of pages whose `entries` is an object keyed by index, and of empty pages where it is null or missing.
    pub odd_envelopes: f64,
    /// How a marker listing says that it is over.
    pub end_marker: EndMarker,
    /// Seconds (system clock) after which a marker is refused with 400. `None`: never.
    pub marker_lifetime_secs: Option<u32>,
    /// Whether `fields` brings the mini fields (name, login) along, as the specification says; `false`: base fields only,
    /// as the guide says.
    pub mini_with_fields: bool,
    /// List only app users, as an app without "App + Enterprise" access would see.
    pub app_access_only: bool,
    /// Whether `GET /users/{id}/memberships` also names the all-users group.
    pub all_users_group_on_user_side: bool,
    /// Whether aliases that nobody confirmed are listed.
    pub list_unconfirmed_aliases: bool,

    /// Whether `is_collaborated_content_available_when_owner_inactive` in `fields` is answered with 400, as an older Box may do.
    pub refuses_content_available: bool,

    /// Whether `As-User` still works for users whose status is `inactive`. Box staff say that it does not
    /// (box/box-java-sdk#483), so it is off by default.
    pub as_user_when_inactive: bool,
    /// Status of the refusal to move content from an inactive account, 400 or 403; `None`: it is moved. Not documented.
    pub inactive_transfer_status: Option<u16>,
    /// Status of the refused `DELETE` of somebody who still owns content. Not documented.
    pub owned_content_status: u16,
    /// Status of a transfer from or to somebody who is locked ([`crate::Act::LockUser`]). Not documented.
    pub locked_status: u16,
    /// Whether a transfer that its receiver has no room for is refused. Not documented, and off by default, because many of
    /// the people made up here own more than their quota.
    pub keeps_to_quota: bool,
    /// Status of that refusal. Not documented.
    pub full_receiver_status: u16,
    /// Whether a hold on one person ([`crate::Act::HoldContent`]) refuses a deletion without force too. Box documents it
    /// of force only.
    pub holds_refuse_unforced: bool,
    /// Whether the enterprise has retention or legal-hold policies: owners of content are then not deleted even by force.
    pub has_retention_policies: bool,
    /// Users behind an information barrier: changing them and moving content from or to them is refused by policy.
    pub barred_user_ids: Vec<String>,
    /// How long a transfer of content takes, in milliseconds (system clock); until then the content is at its source.
    pub transfer_ms: u64,
    /// After how long a transfer still at work is answered with 200 all the same, in milliseconds. Box: ten minutes.
    pub transfer_answer_ms: u64,

    /// Simulated days until a transfer ends; it is answered at once, as after ten minutes. Zero leaves it to `transfer_ms`.
    pub transfer_days: u32,
    /// Share of the items that a transfer moves; the rest stays at its source, and nothing says so.
    pub transfer_share: f64,
    /// So many days after an application deleted somebody, the identity provider makes the account anew, with the same login
    /// and another id, as it does where nobody took the assignment away. `None`: never.
    pub directory_recreates_after_days: Option<u32>,

    /// How `next_stream_position` is written.
    pub positions: PositionForm,
    /// What an empty `admin_logs` page at the end of the feed answers as the next position.
    pub event_end: EventEnd,
    /// Share of events that reach `admin_logs` only 20 minutes to 10 hours after they happened.
    pub late_events: f64,
    /// Share of events that `admin_logs_streaming` delivers twice.
    pub repeated_events: f64,
    /// Event types whose mention in `event_type` is answered with 400.
    pub refused_event_types: Vec<String>,
}

/// How calls are limited. Box documents a number per minute, and not how it is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateLimitStyle {
    /// So many calls in any 60 seconds; `Retry-After` says when the oldest leaves the window.
    #[default]
    Sliding,
    /// A bucket that fills evenly, and always `Retry-After: 1`, however long it really takes.
    TokenBucket {
        /// Calls that a full bucket holds; at least one.
        burst: u32,
    },
}

/// How the last page of a marker listing looks; all three mean the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndMarker {
    /// Null, empty text and absence in turn.
    #[default]
    Varied,
    /// `"next_marker":null`
    Null,
    /// `"next_marker":""`
    Empty,
    /// No `next_marker` at all.
    Absent,
}

/// How stream positions are written in JSON. The specification allows both; the numbers exceed 2^53.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PositionForm {
    /// Sometimes text, sometimes a number.
    #[default]
    Varied,
    /// Always text.
    Text,
    /// Always a number.
    Number,
}

/// What `admin_logs` answers as the next position when asked again at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventEnd {
    /// The position that was sent.
    #[default]
    Same,
    /// Zero, which restarts the whole history for a client that adopts it.
    Zero,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed: 1,
            // Monday, 2 March 2026, 06:00 UTC: fixed, so that tests repeat. The programs pass their own.
            now: DateTime::from_timestamp(1_772_431_200, 0).expect("a date within chrono's range"),
            users: 500,
            groups: 50,
            logins: None,
            login_days: 365,
            idle_share: 0.0,
            directory_push_every_days: None,
            change_scale: 1.0,
            holidays: Vec::new(),
            enterprise_id: "900000001".to_owned(),
            enterprise_name: "Acme Simulated".to_owned(),
            login_domain: "acme.test".to_owned(),
            client_id: "simulated-client".to_owned(),
            client_secret: "simulated-secret".to_owned(),
            actions_client_id: "simulated-actions-client".to_owned(),
            actions_client_secret: "simulated-actions-secret".to_owned(),
            scopes: Scopes::default(),
            actions_scopes: Scopes::default(),
            out_of_reach_status: 404,
            developer_token: Some("simulated-developer-token".to_owned()),
            token_lifetime_secs: 3600,
            calls_per_minute: Some(1000),
            rate_limit_style: RateLimitStyle::Sliding,
            latency_ms: 0,
            date_skew_secs: 0,
            gzip: true,
            record_requests: 10_000,
            faults: Vec::new(),
            awkward: true,
            short_pages: 0.1,
            repeated_rows: 0.2,
            odd_envelopes: 0.0,
            end_marker: EndMarker::Varied,
            marker_lifetime_secs: None,
            mini_with_fields: true,
            app_access_only: false,
            all_users_group_on_user_side: false,
            list_unconfirmed_aliases: true,
            refuses_content_available: false,
            as_user_when_inactive: false,
            inactive_transfer_status: None,
            owned_content_status: 400,
            locked_status: 403,
            keeps_to_quota: false,
            full_receiver_status: 403,
            holds_refuse_unforced: false,
            has_retention_policies: false,
            barred_user_ids: Vec::new(),
            transfer_ms: 0,
            transfer_answer_ms: 600_000,
            transfer_days: 0,
            transfer_share: 1.0,
            directory_recreates_after_days: None,
            positions: PositionForm::Varied,
            event_end: EventEnd::Same,
            late_events: 0.002,
            repeated_events: 0.005,
            refused_event_types: Vec::new(),
        }
    }
}

impl Config {
    /// The default enterprise without any awkwardness: plain rows, full pages, one way to write an end.
    pub fn plain() -> Self {
        Config {
            awkward: false,
            short_pages: 0.0,
            repeated_rows: 0.0,
            end_marker: EndMarker::Null,
            positions: PositionForm::Text,
            late_events: 0.0,
            repeated_events: 0.0,
            ..Config::default()
        }
    }

    /// The simulated now in Unix seconds.
    pub(crate) fn now_secs(&self) -> i64 {
        self.now.timestamp()
    }
}
