//! R9: which approvals of a plan count, and whether there are enough.
//!
//! A plan pins the terms of the policy it was made with. The configured policy of a later day has terms of its own. An approval
//! must satisfy both: a changed policy can demand more, never less. A stored signature is verified each time it is used.

use std::collections::BTreeSet;

use boxseat_schemas::reclaim::plan::Origin;
use boxseat_schemas::reclaim::{ApprovalTerms, Plan};
use chrono::{DateTime, Utc};

use super::operator::{OsUserCounts, identity, operators_needed};
use super::plans::PlanFile;
use super::signature::{entries, key_of, signer};
use super::state::{self, PlanState};
use crate::error::Error;
use crate::rules::policy::Approval;

/// What a policy demands of an approval, with the signers of its list.
///
/// # Errors
/// `Usage` if the list cannot be read, has a line that is no entry, or has no signer.
pub fn terms(approval: &Approval) -> Result<ApprovalTerms, Error> {
    let Approval { allowed_signers, is_two_person, approvers } = approval;
    let mut terms =
        ApprovalTerms { signers: Vec::new(), approvers: *approvers, is_two_person: *is_two_person };
    let Some(path) = allowed_signers else { return Ok(terms) };
    let named = |what: &str| {
        Error::usage(format!("the list of allowed signers {} {what}", path.display()))
            .hint("[approval] allowed_signers of the policy names it; each line is as in ssh-keygen(1)")
    };
    let text = std::fs::read_to_string(path).map_err(|e| named("cannot be read").because(e))?;
    terms.signers = entries(&text).map_err(|reason| {
        Error::usage(format!("the list of allowed signers {}: {reason}", path.display()))
            .hint("[approval] allowed_signers of the policy names it; each line is as in ssh-keygen(1)")
    })?;
    // Without a signer no plan could be approved, and an empty list would read as "no signature is needed".
    if terms.signers.is_empty() { Err(named("names no signer")) } else { Ok(terms) }
}

/// What the approvals of one plan must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Required {
    /// A signature must be by a key of each of these lists.
    lists: Vec<String>,
    is_signed: bool,
    is_two_person: bool,
    approvers: usize,
}

/// One approval, planned or given.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// The user of the operating system.
    pub os_user: &'a str,
    /// The signature as PEM text.
    pub signature: Option<&'a [u8]>,
    /// When: a key must have been valid then.
    pub at: DateTime<Utc>,
}

/// Who approved, once the approval counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approver {
    /// The principal, if the approval is signed.
    pub principal: Option<String>,
    /// What distinguishes two approvers: the key, or the user of the operating system.
    identity: String,
}

impl Required {
    /// The stricter of what the plan pins and what the configured policy demands.
    pub fn of(plan: &Plan, configured: Option<&ApprovalTerms>) -> Self {
        let first = match (&plan.approval, &plan.origin) {
            (Some(pinned), _) => Self::by(pinned),
            (None, Origin::Policy { is_signed, is_two_person, .. }) => Self {
                is_signed: *is_signed,
                is_two_person: *is_two_person,
                ..Self::by(&ApprovalTerms::os_user())
            },
            (None, Origin::Offboard { .. }) => Self::by(&ApprovalTerms::os_user()),
        };
        let Some(configured) = configured.map(Self::by) else { return first };
        Self {
            lists: first.lists.into_iter().chain(configured.lists).collect(),
            is_signed: first.is_signed || configured.is_signed,
            is_two_person: first.is_two_person || configured.is_two_person,
            approvers: first.approvers.max(configured.approvers),
        }
    }

    fn by(terms: &ApprovalTerms) -> Self {
        Self {
            lists: if terms.is_signed() { vec![terms.signers.join("\n")] } else { Vec::new() },
            is_signed: terms.is_signed(),
            is_two_person: terms.is_two_person,
            approvers: terms.approvers.max(1) as usize,
        }
    }

    /// Whether an approval must be signed.
    pub fn is_signed(&self) -> bool {
        self.is_signed
    }

    /// Whether the user who planned may not approve.
    pub fn is_two_person(&self) -> bool {
        self.is_two_person
    }

    /// How many approvers are needed.
    pub fn approvers(&self) -> usize {
        self.approvers
    }

    /// Whether the planner may approve alone and without a signature.
    pub fn is_given_by_planner(&self) -> bool {
        !self.is_signed && !self.is_two_person && self.approvers == 1
    }

    /// How approvals depend on the user of the operating system.
    pub fn os_user_counts(&self) -> OsUserCounts {
        let approvers = u32::try_from(self.approvers).unwrap_or(u32::MAX);
        OsUserCounts::of(operators_needed(self.is_two_person, approvers), self.is_signed)
    }

    /// Whether one approval of a plan counts, and whose it is.
    ///
    /// # Errors
    /// A sentence with the reason.
    pub fn check(&self, given: Given<'_>, planned_by: &str, plan: &[u8]) -> Result<Approver, String> {
        if self.is_two_person && identity(given.os_user) == identity(planned_by) {
            return Err(format!(
                "{planned_by} made the plan, and the policy requires another user to approve it"
            ));
        }
        if !self.is_signed {
            return Ok(Approver { principal: None, identity: user_of(given.os_user) });
        }
        let Some(signature) = given.signature else {
            return Err("the policy requires a signed approval, and there is no signature".to_owned());
        };
        if self.lists.is_empty() {
            return Err("the policy that the plan was made with requires a signature, and the configured policy does not say \
                who may sign".to_owned());
        }
        let mut principal = String::new();
        for list in &self.lists {
            principal = signer(list, signature, plan, given.at)?;
        }
        Ok(Approver { principal: Some(principal), identity: key_of(signature)? })
    }

    /// How many different approvers a plan has, and why the other approvals do not count. With `two_person`, signatures by one user of the
    /// operating system are one approver, and so are signatures by one key.
    pub fn count(&self, known: &PlanState, file: &PlanFile) -> (usize, Vec<String>) {
        self.approvers_of(known, &file.bytes)
    }

    fn approvers_of(&self, known: &PlanState, plan: &[u8]) -> (usize, Vec<String>) {
        let mut approvers: Vec<BTreeSet<String>> = Vec::new();
        let mut reasons = Vec::new();
        for approval in known.approvals() {
            match self.check(Given::from(approval), &known.by.os_user, plan) {
                Ok(approver) => {
                    let user = self.is_two_person.then(|| user_of(&approval.by.os_user));
                    let mut one: BTreeSet<String> = user.into_iter().chain([approver.identity]).collect();
                    let same = |other: &mut BTreeSet<String>| !other.is_disjoint(&one);
                    for other in approvers.extract_if(.., same).collect::<Vec<_>>() {
                        one.extend(other);
                    }
                    approvers.push(one);
                }
                Err(reason) => {
                    reasons.push(format!("the approval of {} does not count: {reason}", approval.by.os_user))
                }
            }
        }
        (approvers.len(), reasons)
    }

    /// Whether a plan has enough approvals that count.
    ///
    /// # Errors
    /// `Refused` with the reason and the remedy.
    pub(crate) fn admit(&self, known: &PlanState, file: &PlanFile) -> Result<(), Error> {
        let id = &file.plan.plan_id;
        let remedy = format!("read it with `boxseat reclaim show {id}`, then `{}`", self.command(id));
        let (found, reasons) = self.count(known, file);
        if found >= self.approvers {
            return Ok(());
        }
        let what = match (found, reasons.is_empty()) {
            (0, true) => format!("plan {id} is not approved"),
            (0, false) => format!("plan {id} is not approved: {}", reasons.join("; ")),
            _ => {
                format!(
                    "plan {id} is approved by {found} of {} users that the policy requires",
                    self.approvers
                )
            }
        };
        Err(Error::refused(what).hint(remedy))
    }

    /// How to approve a plan.
    pub fn command(&self, plan_id: &str) -> String {
        let signature = if self.is_signed { " --signature FILE" } else { "" };
        format!("boxseat reclaim approve {plan_id}{signature}")
    }
}

/// Distinguishes a user of the operating system from a key.
fn user_of(os_user: &str) -> String {
    format!("user {}", identity(os_user))
}

impl<'a> From<&'a state::Approval> for Given<'a> {
    fn from(approval: &'a state::Approval) -> Self {
        Self {
            os_user: &approval.by.os_user,
            signature: approval.signature.as_deref().map(str::as_bytes),
            at: approval.at,
        }
    }
}

#[cfg(test)]
mod tests {
    use boxseat_schemas::reclaim::{Record, Stage};
    use ssh_key::{HashAlg, LineEnding, PrivateKey, private::Ed25519Keypair};

    use super::super::signature::NAMESPACE;
    use super::*;
    use crate::testing::{created, day, operator, past};

    fn key(seed: u8) -> PrivateKey {
        PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
    }

    fn line(name: &str, key: &PrivateKey) -> String {
        format!("{name} {}", key.public_key().to_openssh().unwrap())
    }

    fn signed(key: &PrivateKey) -> String {
        key.sign(NAMESPACE, HashAlg::Sha512, b"plan").unwrap().to_pem(LineEnding::LF).unwrap()
    }

    fn required(pinned: &[String], configured: &[String]) -> Required {
        let terms =
            |signers: &[String]| ApprovalTerms { signers: signers.to_vec(), ..ApprovalTerms::os_user() };
        let (one, other) = (Required::by(&terms(pinned)), Required::by(&terms(configured)));
        Required {
            lists: one.lists.into_iter().chain(other.lists).collect(),
            is_signed: one.is_signed || other.is_signed,
            ..one
        }
    }

    /// Why: with two_person and signed, one operator signed with two keys, and one key signed under two names.
    #[test]
    fn r9_one_user_or_one_key_is_one_approver_where_two_persons_are_required() {
        let (chief, deputy) = (key(1), key(2));
        let signers = vec![line("chief", &chief), line("deputy", &deputy), line("other", &chief)];
        let bytes = b"plan".to_vec();
        let count = |is_two_person: bool, approvals: &[(&str, &PrivateKey)]| {
            let terms = ApprovalTerms { signers: signers.clone(), approvers: 2, is_two_person };
            let made = [(0, created("p", Stage::Suspend, &["1"], &[]))];
            let given = approvals.iter().map(|(os_user, key)| {
                let (by, signature) = (operator(os_user), Some(signed(key)));
                let (plan_id, digest, signed_by) = ("p".into(), "d1".into(), None);
                (1, Record::Approved { plan_id, digest, by, signed_by, signature })
            });
            let past = past(&made.into_iter().chain(given).collect::<Vec<_>>());
            Required::by(&terms).approvers_of(&past.plans["p"], &bytes).0
        };
        let two_keys = [("boss", &chief), ("Boss", &deputy)];
        assert_eq!((count(false, &two_keys), count(true, &two_keys)), (2, 1));
        assert_eq!(count(true, &[("boss", &chief), ("jo", &chief)]), 1);
        assert_eq!(count(true, &[("boss", &chief), ("jo", &deputy)]), 2);
        // The third approval shows that both are one.
        assert_eq!(count(true, &[("boss", &chief), ("jo", &deputy), ("jo", &chief)]), 1);
        assert_eq!(count(true, &[("planner", &chief), ("jo", &deputy)]), 1);
    }

    /// R9: a policy of a later day cannot bring signers of its own, and a signer it removed no longer counts.
    #[test]
    fn r9_a_signature_must_be_by_a_signer_of_the_plan_and_of_the_policy() {
        let (chief, other) = (key(1), key(2));
        let (chiefs, others) = (vec![line("chief", &chief)], vec![line("other", &other)]);
        let check = |required: &Required, key: Option<&PrivateKey>| {
            let signature = key.map(signed);
            let given =
                Given { os_user: "boss", signature: signature.as_deref().map(str::as_bytes), at: day(0) };
            required.check(given, "planner", b"plan")
        };
        let both = [chiefs[0].clone(), others[0].clone()];
        for (pinned, configured, key, counts) in [
            (&chiefs[..], &chiefs[..], Some(&chief), true),
            (&chiefs, &others, Some(&other), false),
            (&both, &chiefs, Some(&other), false),
            (&both, &chiefs, Some(&chief), true),
            (&[], &chiefs, None, false),
            (&chiefs, &[], None, false),
            (&[], &[], None, true),
        ] {
            let found = check(&required(pinned, configured), key);
            assert_eq!(found.is_ok(), counts, "{pinned:?} {configured:?} {found:?}");
        }
        let found = check(&required(&chiefs, &[]), Some(&chief)).unwrap();
        assert_eq!(found.principal.as_deref(), Some("chief"));
    }
}
