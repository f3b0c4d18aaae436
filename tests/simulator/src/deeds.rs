//! The record of actions: every writing call that reached the simulator, applied or refused, and every act on one user.
//!
//! A deed contains the state just before and just after, not what the request claimed. A transfer that continues after its
//! response is two deeds. Calls that a fault stopped before execution are not here; the recorder has them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::acts::Act;
use crate::apps::App;
use crate::auth::Caller;
use crate::clock;
use crate::errors::ApiError;
use crate::groups::group_id_of;
use crate::people::{Person, Standing};
use crate::truth::utc;
use crate::world::World;

/// One deed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Deed {
    /// 1 for the first deed.
    pub sequence: u64,
    /// The simulated time, RFC 3339 in UTC.
    pub at: String,
    /// The time of the system clock, in the same format.
    pub happened_at: String,
    /// The kind of actor.
    pub by: Doer,
    /// Id of the acting account; empty for acts.
    pub actor_id: String,
    /// The kind of action.
    pub verb: Verb,
    /// Id of the changed user, as sent.
    pub user_id: String,
    /// Id of the receiver of a transfer.
    pub receiver_user_id: Option<String>,
    /// Id of the destination folder of a transfer.
    pub destination_folder_id: Option<String>,
    /// The status of the response; 0 for acts and for the end of a transfer.
    pub http_status: u16,
    /// The error code of a refused call.
    pub code: Option<String>,
    /// Whether the action was applied.
    pub is_applied: bool,
    /// The sent body, or the act.
    pub body: Value,
    /// `force` as sent.
    pub force: Option<bool>,
    /// `notify` as sent, in the query or in the body.
    pub notify: Option<bool>,
    /// The account just before; `None` if the simulator has no account with this id.
    pub before: Option<Account>,
    /// The account just after.
    pub after: Option<Account>,
    /// The receiver's account just before.
    pub receiver_before: Option<Account>,
    /// The receiver's account just after.
    pub receiver_after: Option<Account>,
    /// Items of the root folder that were lost with the deletion of their owner.
    pub lost_items: usize,
    /// Bytes that were lost with it.
    pub lost_bytes: i64,
}

/// The actor of a deed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doer {
    /// One of the applications.
    App(App),
    /// A user with a token, or a user named by `As-User`.
    Person,
    /// A call without a valid token.
    Unauthenticated,
    /// No caller: an [`Act`].
    #[default]
    Stage,
}

/// The kind of action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// `POST /users`.
    Create,
    /// `PUT /users/{id}`: suspending is an edit whose `before` and `after` differ in their status.
    Edit,
    /// `POST /users/terminate_sessions`, once for each user.
    EndSessions,
    /// `PUT /users/{id}/folders/0`, when the request arrives.
    BeginTransfer,
    /// The same transfer, when the content has moved.
    FinishTransfer,
    /// `DELETE /users/{id}`.
    Delete,
    /// Aliases and avatars.
    Other,
    /// An [`Act`].
    #[default]
    Act,
}

/// The state of an account at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are those of `TrueUser` and `TrueContent`")]
pub struct Account {
    pub user_id: String,
    pub login: String,
    pub status: String,
    pub role: String,
    /// Whether the account belongs to the enterprise.
    pub is_managed: bool,
    pub is_platform_access_only: bool,
    pub is_collaborated_content_available_when_owner_inactive: bool,
    pub created_at: String,
    pub modified_at: String,
    /// The newest LOGIN, whether or not a stream shows it yet.
    pub last_login_at: Option<String>,
    pub tracking_codes: Vec<(String, String)>,
    /// Without the all-users group.
    pub group_ids: Vec<String>,
    /// Addresses of the aliases.
    pub aliases: Vec<String>,
    pub space_amount_bytes: Option<i64>,
    pub owned_items: usize,
    /// Number of `owned_items` that are shared with other users.
    pub shared_items: usize,
    pub owned_bytes: i64,
    pub trash_bytes: i64,
    pub is_moving: bool,
}

impl Deed {
    /// Whether the deed changed the status of the user to `inactive`.
    pub fn suspends(&self) -> bool {
        self.turns_to(|status| status == "inactive")
    }

    /// Whether the deed changed the status of the user from `inactive` to another one.
    pub fn reactivates(&self) -> bool {
        let was = self.before.as_ref().is_some_and(|account| account.status == "inactive");
        was && self.turns_to(|status| status != "inactive")
    }

    fn is_transfer_of(&self, user_id: &str) -> bool {
        self.verb == Verb::BeginTransfer && self.is_applied && self.user_id == user_id
    }

    fn turns_to(&self, is_it: impl Fn(&str) -> bool) -> bool {
        let (Some(before), Some(after)) = (&self.before, &self.after) else { return false };
        self.is_applied && before.status != after.status && is_it(&after.status)
    }

    /// The deed of a request path; `None` for reading requests.
    pub(crate) fn of_path(method: &str, path: &str) -> Option<Deed> {
        let mut parts = path.strip_prefix("/2.0/users")?.trim_matches('/').split('/');
        let (id, rest) = (parts.next().unwrap_or_default(), parts.next());
        let verb = match (method, id, rest) {
            ("GET" | "OPTIONS" | "HEAD", ..) => return None,
            ("POST", "", _) => Verb::Create,
            ("POST", "terminate_sessions", _) => Verb::EndSessions,
            ("PUT", _, None) => Verb::Edit,
            ("PUT", _, Some("folders")) => Verb::BeginTransfer,
            ("DELETE", _, None) => Verb::Delete,
            _ => Verb::Other,
        };
        let user_id = id.parse::<u64>().map(|id| id.to_string()).unwrap_or_default();
        Some(Deed { verb, user_id, ..Deed::default() })
    }
}

impl World {
    /// The record of an action, before it is executed.
    pub(crate) fn deed(&self, caller: Caller, verb: Verb, user_id: &str) -> Deed {
        let by = match caller {
            Caller::App(app) => Doer::App(app),
            Caller::Person(_) => Doer::Person,
        };
        Deed {
            by,
            actor_id: self.person(caller).id.to_string(),
            verb,
            user_id: user_id.to_owned(),
            before: self.account(user_id),
            ..Deed::default()
        }
    }

    /// Completes a record with its result and the status of the response, and stores it.
    pub(crate) fn note_deed(&mut self, deed: Deed, outcome: Result<u16, &ApiError>) {
        let (http_status, code) = match outcome {
            Ok(status) => (status, None),
            Err(error) => (error.status(), Some(error.code().to_owned())),
        };
        let is_applied = outcome.is_ok();
        let after = self.account(&deed.user_id);
        let receiver_after = deed.receiver_user_id.as_deref().and_then(|id| self.account(id));
        // A user who is rolled out by an edit keeps the content. Only a deletion destroys it.
        let is_gone = |account: &Account| !account.is_managed && self.is_deleted(&account.user_id);
        let lost = deed
            .before
            .as_ref()
            .filter(|before| is_applied && before.is_managed && after.as_ref().is_some_and(is_gone));
        let (lost_items, lost_bytes) = lost.map_or((0, 0), |lost| (lost.owned_items, lost.owned_bytes));
        let sequence = self.deeds.len() as u64 + 1;
        let at = utc(self.now);
        self.deeds.push(Deed {
            sequence,
            at,
            happened_at: clock::wall_text(),
            http_status,
            code,
            is_applied,
            after,
            receiver_after,
            lost_items,
            lost_bytes,
            ..deed
        });
    }

    /// Ends a transfer and records it.
    pub(crate) fn end_transfer(&mut self, number: usize) {
        let (from, to) = self.parties(number);
        let [from, to] = [from, to].map(|party| self.person(party).id.to_string());
        let begun = self.deeds.iter().rev().find(|deed| deed.is_transfer_of(&from));
        let (by, actor_id) = begun.map(|deed| (deed.by, deed.actor_id.clone())).unwrap_or_default();
        let deed = Deed {
            by,
            actor_id,
            verb: Verb::FinishTransfer,
            destination_folder_id: Some(self.destination(number).id.to_string()),
            before: self.account(&from),
            receiver_before: self.account(&to),
            user_id: from,
            receiver_user_id: Some(to),
            ..Deed::default()
        };
        self.finish_transfer(number);
        self.note_deed(deed, Ok(0));
    }

    /// Ends the transfers whose simulated end has come.
    pub(crate) fn finish_due_transfers(&mut self) {
        for number in self.due_transfers() {
            self.end_transfer(number);
        }
    }

    /// Slots of the users that an application deleted up to a moment.
    pub(crate) fn deleted_by_applications(&self, until: i64) -> Vec<usize> {
        let until = utc(until);
        let is_meant = |deed: &&Deed| {
            deed.is_applied
                && deed.verb == Verb::Delete
                && matches!(deed.by, Doer::App(_))
                && deed.at <= until
        };
        let slot = |deed: &Deed| self.slot_by_id(deed.user_id.parse().ok()?);
        self.deeds.iter().filter(is_meant).filter_map(slot).collect()
    }

    fn is_deleted(&self, user_id: &str) -> bool {
        let person = self.person_by_id(user_id);
        person.is_some_and(|person| matches!(person.standing, Standing::Deleted { .. }))
    }

    /// The record of an act on one user, before it is played.
    pub(crate) fn staged_deed(&self, act: &Act) -> Option<Deed> {
        let user_id = act.subject()?;
        let body = serde_json::to_value(act).unwrap_or_default();
        Some(Deed { user_id: user_id.to_owned(), before: self.account(user_id), body, ..Deed::default() })
    }

    /// The account with this id, including deleted and rolled-out ones.
    pub(crate) fn account(&self, user_id: &str) -> Option<Account> {
        let person = self.person_by_id(user_id)?;
        let owner = match self.slot_by_id(person.id) {
            Some(slot) => Caller::Person(slot as u32),
            None => Caller::App(self.apps.by_account(person.id)?),
        };
        let (owned_items, shared_items) = self.owned_and_shared_items(owner);
        let last_login = match owner {
            Caller::Person(slot) => self.log.last_login(slot),
            Caller::App(_) => None,
        };
        Some(Account {
            user_id: user_id.to_owned(),
            login: person.login.to_string(),
            status: person.status.to_string(),
            role: person.role.as_str().to_owned(),
            is_managed: person.is_managed(),
            is_platform_access_only: person.is_platform_access_only,
            is_collaborated_content_available_when_owner_inactive: person.is_content_available_when_inactive
                && !self.config.refuses_content_available,
            created_at: utc(person.created_at),
            modified_at: utc(person.modified_at),
            last_login_at: last_login.map(|at| utc(at.into())),
            tracking_codes: person.tracking_codes.iter().map(code).collect(),
            group_ids: self.group_ids(person),
            aliases: person.aliases.iter().map(|alias| alias.email.to_string()).collect(),
            space_amount_bytes: person.space_amount,
            owned_items,
            shared_items,
            owned_bytes: person.space_used - self.trash_bytes(owner),
            trash_bytes: self.trash_bytes(owner),
            is_moving: self.is_moving(owner),
        })
    }

    fn group_ids(&self, person: &Person) -> Vec<String> {
        let all = person.memberships.iter().map(|index| &self.memberships[*index as usize]);
        let live = all.filter(|membership| !membership.is_removed);
        live.map(|membership| group_id_of(membership.group as usize).to_string()).collect()
    }
}

fn code((name, value): &(crate::people::Words, Box<str>)) -> (String, String) {
    (name.to_string(), value.to_string())
}
