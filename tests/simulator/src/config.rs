//! The configuration of the simulator: the enterprise, its faults and its quirks. Set the fields that matter and default the
//! rest.

use std::net::{Ipv4Addr, SocketAddr};

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::apps::Scopes;
use crate::faults::Fault;

/// The whole configuration. It can be read from TOML or JSON; unknown keys are errors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address to listen on. Port 0 takes a free port. Use loopback unless there is a reason not to: the control routes need no
    /// token.
    pub listen: SocketAddr,
    /// All generated data follows from this number: the same seed and sizes give the same enterprise.
    pub seed: u64,
    /// The simulated now (UTC). No generated time is later. [`crate::Running::step_days`] moves it.
    pub now: DateTime<Utc>,

    /// Users that `GET /users?user_type=managed` lists, including app users and the "Box Admin Reports" pseudo user.
    pub users: u32,
    /// Groups that `GET /groups` lists, including the all-users group.
    pub groups: u32,
    /// LOGIN events over the last `login_days`, exactly. `None`: habits decide (about 30 per user and year).
    pub logins: Option<u64>,
    /// Number of days before `now` with events. Box keeps 365.
    pub login_days: u32,
    /// Share of users who stopped signing in 100 to 170 days ago, in addition to those who stop by chance. So even a small
    /// enterprise has users whose seat can be reclaimed.
    pub idle_share: f64,
    /// On every n-th stepped day, half of all users get an EDIT_USER and a new `modified_at`, as when an identity provider
    /// pushes attributes. `None`: never.
    pub directory_push_every_days: Option<u32>,

    /// Rate of changes per stepped day: 1.0 is the usual rate. With 0.0, no user joins, leaves, moves or changes, while logins,
    /// storage and directory pushes continue. [`crate::Act::SetChangeScale`] sets it later.
    pub change_scale: f64,
    /// Dates (UTC) without sign-ins and changes. A stepped day that begins on one is quiet until its end. Directory pushes
    /// continue.
    pub holidays: Vec<NaiveDate>,

    /// Id of the enterprise. No other enterprise subject gets a token.
    pub enterprise_id: String,
    /// Name of the enterprise.
    pub enterprise_name: String,
    /// Domain of the generated logins.
    pub login_domain: String,
    /// Client id that gets tokens.
    pub client_id: String,
    /// Secret that belongs to `client_id`.
    pub client_secret: String,
    /// Client id of a second application, which changes users. It has its own account and account id.
    pub actions_client_id: String,
    /// Secret that belongs to `actions_client_id`.
    pub actions_client_secret: String,
    /// Whether the applications sign in with JWT only ([`Config::jwt_config`]). Otherwise they sign in with JWT or with client
    /// credentials. At Box an application has one of both.
    pub demands_jwt: bool,
    /// Scopes of the application of `client_id`; [`crate::Act::SetScopes`] changes them later.
    pub scopes: Scopes,
    /// Scopes of the application of `actions_client_id`.
    pub actions_scopes: Scopes,
    /// Status for ids of other users, if an application reaches only its own users. Not documented; 404 or 403.
    pub out_of_reach_status: u16,
    /// A token that is accepted without a token request. It acts as the primary admin, as a developer token does. `None`: no
    /// token.
    pub developer_token: Option<String>,
    /// `expires_in` of every token, and the time after which it expires (seconds, system clock).
    pub token_lifetime_secs: u32,

    /// API calls per caller in any 60 seconds; the next call gets 429. `None`: no limit. Box: 1000.
    pub calls_per_minute: Option<u32>,
    /// How the limit is counted. [`crate::Running::set_rate_limit`] changes both later.
    pub rate_limit_style: RateLimitStyle,
    /// Delay before every API response, in milliseconds.
    pub latency_ms: u64,
    /// Seconds added to the system clock in the `Date` header and in the check of assertions. It simulates a client with a wrong
    /// clock.
    pub date_skew_secs: i64,
    /// Whether bodies over 1 KiB are compressed for clients that accept gzip.
    pub gzip: bool,
    /// Number of newest requests to keep; 0 keeps none. Calls are always counted.
    pub record_requests: usize,
    /// Faults that are active from the start. More can be added later.
    pub faults: Vec<Fault>,

    /// Whether a small share of rows has unusual but legal data (see the README). `false`: plain rows everywhere.
    pub awkward: bool,
    /// Share of listing and event pages that are short (0.0 to 1.0). About a third of them are empty although more rows follow.
    pub short_pages: f64,
    /// Share of pages whose first row repeats the last row of the previous page.
    pub repeated_rows: f64,
    /// Share of pages whose `entries` is an object keyed by index, and of empty pages whose `entries` is null or missing.
    pub odd_envelopes: f64,
    /// How a marker listing marks its end.
    pub end_marker: EndMarker,
    /// Seconds (system clock) after which a marker gets 400. `None`: never.
    pub marker_lifetime_secs: Option<u32>,
    /// Whether `fields` always includes the mini fields (name, login), as the specification says. `false`: base fields only, as
    /// the guide says.
    pub mini_with_fields: bool,
    /// List only app users, as for an app without "App + Enterprise" access.
    pub app_access_only: bool,
    /// Whether `GET /users/{id}/memberships` includes the all-users group.
    pub all_users_group_on_user_side: bool,
    /// Whether unconfirmed aliases are listed.
    pub list_unconfirmed_aliases: bool,

    /// Whether `is_collaborated_content_available_when_owner_inactive` in `fields` gets 400, as an older Box may do.
    pub refuses_content_available: bool,

    /// Whether `As-User` works for users whose status is `inactive`. Box staff say that it does not (box/box-java-sdk#483), so
    /// it is off by default.
    pub as_user_when_inactive: bool,
    /// Status of a refused transfer from an inactive account, 400 or 403. `None`: the content is moved. Not documented.
    pub inactive_transfer_status: Option<u16>,
    /// Status of a refused `DELETE` of a user who still owns content. Not documented.
    pub owned_content_status: u16,
    /// Status of a transfer from or to a locked user ([`crate::Act::LockUser`]). Not documented.
    pub locked_status: u16,
    /// Whether a transfer is refused if it exceeds the quota of its receiver. Not documented, and off by default because many
    /// generated users own more than their quota.
    pub keeps_to_quota: bool,
    /// Status of this refusal. Not documented.
    pub full_receiver_status: u16,
    /// Whether a hold on one user ([`crate::Act::HoldContent`]) also refuses a deletion without force. Box documents the
    /// refusal only for deletions by force.
    pub holds_refuse_unforced: bool,
    /// Whether the enterprise has retention or legal-hold policies. Then owners of content cannot be deleted even by force.
    pub has_retention_policies: bool,
    /// Users behind an information barrier. Changes of these users and transfers from or to them are refused by policy.
    pub barred_user_ids: Vec<String>,
    /// Duration of a transfer, in milliseconds (system clock). Until it ends, the content is at its source.
    pub transfer_ms: u64,
    /// Milliseconds after which a transfer that still runs is answered with 200. Box: ten minutes.
    pub transfer_answer_ms: u64,

    /// Simulated days until a transfer ends. Its response comes at once, as after ten minutes. Zero: `transfer_ms` applies.
    pub transfer_days: u32,
    /// Share of the items that a transfer moves. The rest stays at its source, and no response or event says so.
    pub transfer_share: f64,
    /// Days after which the identity provider creates an account again that an application deleted, with the same login and
    /// another id. This happens at Box if the assignment of the user was not removed. `None`: never.
    pub directory_recreates_after_days: Option<u32>,

    /// How `next_stream_position` is written.
    pub positions: PositionForm,
    /// The next position on an empty `admin_logs` page at the end of the feed.
    pub event_end: EventEnd,
    /// Share of events that `admin_logs` shows only 20 minutes to 10 hours after they happened.
    pub late_events: f64,
    /// Share of events that `admin_logs_streaming` delivers twice.
    pub repeated_events: f64,
    /// Event types that get 400 when `event_type` names them.
    pub refused_event_types: Vec<String>,
}

/// How calls are limited. Box documents the number per minute, but not how it is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateLimitStyle {
    /// Limits the calls in any 60 seconds. `Retry-After` is the time until the oldest call leaves the window.
    #[default]
    Sliding,
    /// A bucket that fills evenly. `Retry-After` is always 1, however long the wait really is.
    TokenBucket {
        /// Calls in a full bucket; at least one.
        burst: u32,
    },
}

/// How the last page of a marker listing looks. All forms have the same meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndMarker {
    /// In turn: null, empty text and no key.
    #[default]
    Varied,
    /// `"next_marker":null`
    Null,
    /// `"next_marker":""`
    Empty,
    /// No `next_marker` key.
    Absent,
}

/// How stream positions are written in JSON. The specification allows both forms. The numbers exceed 2^53.
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

/// The next position that `admin_logs` returns for a request at the end of the feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventEnd {
    /// The position that was sent.
    #[default]
    Same,
    /// Zero. A client that adopts it reads the whole history again.
    Zero,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed: 1,
            // Monday, 2 March 2026, 06:00 UTC. The value is fixed so that tests are repeatable. The programs set their own.
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
            demands_jwt: false,
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
    /// The default enterprise without unusual data: plain rows, full pages, one form of the end.
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
