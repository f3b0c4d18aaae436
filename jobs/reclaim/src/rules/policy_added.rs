//! A policy that `--policy` names in addition to the configured one. It can only add restrictions (R9): where the two differ, the
//! stricter value counts. What is neither stricter nor looser (another receiver, other signers) is refused.

use std::collections::BTreeSet;

use boxseat_storage::digest::sha256_hex;

use super::policy::{Approval, Caps, Evidence, Policy, Protect, SharedContent, WhenRefused, Who};
use crate::error::Error;

impl Policy {
    /// The configured policy, restricted by `added`.
    ///
    /// # Errors
    /// `Usage` if `added` has another receiver or other signers, or if no user can satisfy both `[who]` sections.
    pub fn restricted_by(self, added: Self) -> Result<Self, Error> {
        if self == added {
            return Ok(self);
        }
        let refused = |what: &str| {
            Error::usage(format!("--policy: {what}"))
                .hint("[reclaim] policy of the configuration decides, and --policy can only add restrictions; change the \
                    configured policy, or omit --policy")
        };
        if added.receiver.is_some() && added.receiver != self.receiver {
            return Err(refused("[receiver] differs from the configured policy's"));
        }
        let allowed_signers = match (&self.approval.allowed_signers, &added.approval.allowed_signers) {
            (Some(ours), Some(other)) if ours != other => {
                return Err(refused("[approval] allowed_signers differs from the configured policy's"));
            }
            (ours, other) => ours.clone().or_else(|| other.clone()),
        };
        let who = Who {
            seat_states: common(&self.who.seat_states, &added.who.seat_states),
            groups: common(&self.who.groups, &added.who.groups),
            tracking_codes: common(&self.who.tracking_codes, &added.who.tracking_codes),
        };
        let is_lost = |ours: bool, other: bool, common: bool| ours && other && !common;
        if is_lost(
            !self.who.seat_states.is_empty(),
            !added.who.seat_states.is_empty(),
            !who.seat_states.is_empty(),
        ) || is_lost(!self.who.groups.is_empty(), !added.who.groups.is_empty(), !who.groups.is_empty())
            || is_lost(
                !self.who.tracking_codes.is_empty(),
                !added.who.tracking_codes.is_empty(),
                !who.tracking_codes.is_empty(),
            )
        {
            return Err(refused("[who] has nothing in common with the configured policy's"));
        }
        Ok(Self {
            digest: format!("sha256:{}", sha256_hex(format!("{} {}", self.digest, added.digest).as_bytes())),
            evidence: stricter(self.evidence, added.evidence),
            furthest_stage: self.furthest_stage.min(added.furthest_stage),
            suspend_after_idle_days: self.suspend_after_idle_days.max(added.suspend_after_idle_days),
            transfer_after_days: self.transfer_after_days.max(added.transfer_after_days),
            delete_after_days: self.delete_after_days.max(added.delete_after_days),
            shared_content: if self.shared_content == added.shared_content {
                self.shared_content
            } else {
                SharedContent::LeaveOut
            },
            when_refused: if self.when_refused == added.when_refused {
                self.when_refused
            } else {
                WhenRefused::Stop
            },
            plan_max_age: self.plan_max_age.min(added.plan_max_age),
            who,
            protect: Protect {
                ids: self.protect.ids.union(&added.protect.ids).cloned().collect(),
                logins: self.protect.logins.union(&added.protect.logins).cloned().collect(),
                groups: self.protect.groups.union(&added.protect.groups).cloned().collect(),
                tracking_codes: self
                    .protect
                    .tracking_codes
                    .union(&added.protect.tracking_codes)
                    .cloned()
                    .collect(),
            },
            caps: Caps {
                people: self.caps.people.min(added.caps.people),
                seats_percent: self.caps.seats_percent.min(added.caps.seats_percent),
            },
            approval: Approval {
                allowed_signers,
                is_two_person: self.approval.is_two_person || added.approval.is_two_person,
                approvers: self.approval.approvers.max(added.approval.approvers),
            },
            added: Some(Box::new(added)),
            ..self
        })
    }
}

/// What both sets allow; an empty set allows everything.
fn common<T: Ord + Clone>(ours: &BTreeSet<T>, other: &BTreeSet<T>) -> BTreeSet<T> {
    if ours.is_empty() {
        other.clone()
    } else if other.is_empty() {
        ours.clone()
    } else {
        ours.intersection(other).cloned().collect()
    }
}

fn stricter(ours: Evidence, other: Evidence) -> Evidence {
    match (ours, other) {
        (Evidence::LoginOnly { may_delete: ours }, Evidence::LoginOnly { may_delete: other }) => {
            Evidence::LoginOnly { may_delete: ours && other }
        }
        _ => Evidence::Activity,
    }
}

#[cfg(test)]
mod tests {
    use boxseat_schemas::reclaim::Stage;

    use super::*;
    use crate::error::ErrorKind;
    use crate::testing::policy;

    /// R9: whichever of the two policies is the configured one, the result is at least as strict as both.
    #[test]
    fn r9_another_policy_only_adds_restrictions() {
        let strict = "evidence = \"activity\"\nsuspend_after_idle_days = 120\nplan_max_age_hours = 24\n[protect]\nids = [\"7\"]\n[caps]\npeople = 3\n[approval]\ntwo_person = true\napprovers = 2\n";
        let loose = "evidence = \"login_only\"\nsuspend_after_idle_days = 30\nshared_content = \"suspend_anyway\"\n[who]\ngroups = [\"a\", \"b\"]\n[caps]\npeople = 1000\nseats_percent = 100.0\n";
        for (configured, added) in [(strict, loose), (loose, strict)] {
            let both = policy(configured).restricted_by(policy(added)).unwrap();
            assert_eq!((both.evidence, both.suspend_after_idle_days), (Evidence::Activity, 120));
            assert_eq!((both.shared_content, both.furthest_stage), (SharedContent::LeaveOut, Stage::Suspend));
            assert_eq!((both.caps.people, both.caps.seats_percent), (3, 2.0));
            assert_eq!((both.approval.is_two_person, both.approval.approvers), (true, 2));
            assert_eq!((both.plan_max_age.num_hours(), both.who.groups.len()), (24, 2));
            assert!(both.protect.ids.contains("7") && both.digest != policy(configured).digest);
        }
        let same = policy(strict).restricted_by(policy(strict)).unwrap();
        assert_eq!(same, policy(strict));
    }

    #[test]
    fn r9_what_is_not_stricter_is_refused() {
        let with = |text: &str| format!("evidence = \"login_only\"\n{text}");
        for (configured, added, told) in [
            ("[receiver]\naccount = \"1\"\n", "[receiver]\naccount = \"2\"\n", "[receiver]"),
            ("", "[receiver]\naccount = \"2\"\n", "[receiver]"),
            (
                "[approval]\nkind = \"signed\"\nallowed_signers = \"a\"\n",
                "[approval]\nkind = \"signed\"\nallowed_signers = \"b\"\n",
                "allowed_signers",
            ),
            ("[who]\ngroups = [\"a\"]\n", "[who]\ngroups = [\"b\"]\n", "[who]"),
        ] {
            let error = policy(&with(configured)).restricted_by(policy(&with(added))).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(error.lines()[0].contains(told), "{:?}", error.lines());
        }
    }
}
