//! How a reason code ends: by itself, in the same plan or in a later one, or only by an operator.

/// What ends a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Ends by itself. The plan tries the user again.
    Passes,
    /// Ends by itself once the next run has read what is missing. The plan tries the user again. A plan that meets it for days reports it.
    NextRead,
    /// Ends by itself, and a later plan takes the user.
    LaterPlan,
    /// Ends when an operator changes something. The plan tries the user again.
    OperatorSamePlan,
    /// Ends when an operator changes something, and a later plan takes the user.
    OperatorLaterPlan,
}

impl Ending {
    pub(crate) fn of(word: &str) -> Self {
        match word {
            "waiting"
            | "not_verified"
            | "reactivated"
            | "over_cap"
            | "late_logins_not_watched"
            | "expired"
            | "night_too_old"
            | "admin_log_unread"
            | "reading_outdated"
            | "locked" => Self::Passes,
            "unfinished" | "groups_unknown" | "aliases_unknown" => Self::NextRead,
            "in_open_plan"
            | "suspended_since"
            | "not_long_enough"
            | "offboarded"
            | "unproven"
            | "activity_not_watched"
            | "young"
            | "returned"
            | "undone" => Self::LaterPlan,
            "no_receiver" => Self::OperatorSamePlan,
            _ => Self::OperatorLaterPlan,
        }
    }

    /// Whether the user waits and is not stuck.
    pub(crate) fn is_waiting(self) -> bool {
        matches!(self, Self::Passes | Self::NextRead | Self::LaterPlan)
    }

    /// Whether the plan that met the reason does nothing more for the user.
    pub(crate) fn is_final_for_plan(self) -> bool {
        matches!(self, Self::LaterPlan | Self::OperatorLaterPlan)
    }
}

#[cfg(test)]
mod tests {
    use super::Ending;

    /// Why: `reactivated` was not final for the plan and still reported as stuck, because two lists had to agree.
    #[test]
    fn r14_an_account_that_is_active_for_its_transfer_waits() {
        let of = |word| (Ending::of(word).is_waiting(), Ending::of(word).is_final_for_plan());
        assert_eq!(of("reactivated"), (true, false));
        assert_eq!(of("no_receiver"), (false, false));
        assert_eq!(of("young"), (true, true));
        assert_eq!(of("protected"), (false, true));
        assert_eq!(of("a code of another version"), (false, true));
    }
}
