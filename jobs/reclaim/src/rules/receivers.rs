//! R4: who may receive a user's content. A transfer cannot be undone, so a receiver is accepted only without any doubt.

use std::collections::HashMap;

use boxseat_schemas::reclaim::ReasonCode;
use boxseat_schemas::text::quoted;

use super::evaluator::Denial;
use super::figures::size;
use super::policy::{Policy, Receiver};
use super::policy_inputs::PolicyInputs;
use super::protect::Addresses;
use super::snapshot::{Person, Snapshot};

/// How receivers are found.
pub(crate) struct Receivers<'a> {
    snapshot: &'a Snapshot,
    rule: Option<&'a Receiver>,
    addresses: Addresses<'a>,
    everybodys: Option<&'a Person>,
    /// For a list: the receiver's entry by the source's id.
    listed: HashMap<String, String>,
}

impl<'a> Receivers<'a> {
    /// Resolves the receivers of the policy.
    ///
    /// # Errors
    /// One sentence per entry that matches no user, and per pair that would receive from each other.
    pub(crate) fn resolve(
        policy: &'a Policy,
        snapshot: &'a Snapshot,
        inputs: &PolicyInputs,
        addresses: Addresses<'a>,
    ) -> (Self, Vec<String>) {
        let (mut listed, mut wrong) = (HashMap::new(), Vec::new());
        for (source, receiver) in &inputs.receivers {
            match (addresses.the_one(source, snapshot), addresses.the_one(receiver, snapshot)) {
                (Ok(from), Ok(to)) if listed.get(&to.user_id) == Some(&from.user_id) => {
                    wrong.push(format!(
                        "the list of receivers has {} and {} receive from each other",
                        from.called(),
                        to.called()
                    ));
                }
                (Ok(from), Ok(to)) => {
                    listed.insert(from.user_id.clone(), to.user_id.clone());
                }
                (Err(why), _) => wrong.push(format!("the list of receivers names {source}, which {why}")),
                (_, Err(why)) => wrong.push(format!("the list of receivers names {receiver}, which {why}")),
            }
        }
        let everybodys = match &policy.receiver {
            Some(Receiver::Account(account)) => {
                let found = addresses.the_one(account, snapshot);
                found.map_err(|why| wrong.push(format!("[receiver] account = {account:?} {why}"))).ok()
            }
            _ => None,
        };
        (Self { snapshot, rule: policy.receiver.as_ref(), addresses, everybodys, listed }, wrong)
    }

    /// The account that receives the content of all users, if there is one.
    pub(crate) fn everybodys(&self) -> Option<&'a Person> {
        self.everybodys
    }

    /// The receiver of a user's content.
    pub(crate) fn of(&self, source: &Person) -> Result<&'a Person, Denial> {
        let none = |detail: String| Denial::new(ReasonCode::NoReceiver, detail);
        let receiver = match self.rule {
            None => return Err(none("the policy names no receiver".to_owned())),
            // Without an account no policy is evaluated: `resolve` refuses it.
            Some(Receiver::Account(account)) => self.everybodys.ok_or_else(|| {
                none(format!("[receiver] account = {account:?} does not name exactly one user"))
            })?,
            Some(Receiver::File(_)) => match self.listed.get(&source.user_id) {
                Some(id) => self
                    .snapshot
                    .person(id)
                    .ok_or_else(|| none(format!("the latest snapshot does not have the receiver {id}")))?,
                None => return Err(none("the list of receivers does not name the user".to_owned())),
            },
            Some(Receiver::ManagerTrackingCode(name)) => {
                let values: Vec<&str> = source
                    .tracking_codes
                    .iter()
                    .filter(|(code, _)| code == name)
                    .map(|(_, value)| value.trim())
                    .collect();
                match values.as_slice() {
                    [value] => self.addresses.the_one(value, self.snapshot).map_err(|why| {
                        none(format!("the tracking code {name} is {}, which {why}", quoted(value)))
                    })?,
                    [] => return Err(none(format!("the user has no tracking code {name}"))),
                    _ => return Err(none(format!("the user has the tracking code {name} more than once"))),
                }
            }
        };
        match unfit(receiver, source) {
            None => Ok(receiver),
            Some(why) => Err(none(format!("{} cannot receive: {why}", receiver.called()))),
        }
    }
}

/// Why an account cannot receive a user's content, if there is a reason: managed, active, unrestricted, role `user`, with room.
pub(crate) fn unfit(receiver: &Person, source: &Person) -> Option<String> {
    if receiver.user_id == source.user_id {
        return Some("it is the same account".to_owned());
    }
    if let Some(why) = unfit_account(receiver) {
        return Some(why);
    }
    let Some(bytes) = source.space_used_bytes else {
        return Some("it is not known how many bytes would move".to_owned());
    };
    room(receiver)
        .is_none_or(|room| room < bytes)
        .then(|| format!("its quota has no room for {}", size(bytes)))
}

/// Why an account cannot receive any user's content, if there is a reason.
pub(crate) fn unfit_account(receiver: &Person) -> Option<String> {
    if receiver.seat_kind != "managed_user" || !receiver.consumes_seat {
        return Some(format!("it is not a managed user ({})", receiver.seat_kind));
    }
    if receiver.listing.as_deref() != Some("listed") {
        return Some("the latest listing does not have it".to_owned());
    }
    if receiver.box_status.as_deref() != Some("active") {
        return Some(format!("its status is {}", receiver.box_status.as_deref().unwrap_or("unknown")));
    }
    if receiver.role.as_deref() != Some("user") {
        return Some(format!("its role is {}", receiver.role.as_deref().unwrap_or("unknown")));
    }
    None
}

/// How many bytes still fit; `None`: unknown.
pub(crate) fn room(receiver: &Person) -> Option<i64> {
    if receiver.has_unlimited_space == Some(true) {
        return Some(i64::MAX);
    }
    Some(receiver.space_amount_bytes? - receiver.space_used_bytes?)
}
