//! How much happened, so that worlds in which nothing happens do not count as a proof.

use std::collections::BTreeMap;

use boxseat_schemas::reclaim::ReasonCode;

/// How much happened, over worlds.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) nights: usize,
    pub(super) plans: usize,
    pub(super) applies: usize,
    pub(super) crashes: usize,
    pub(super) stopped: usize,
    pub(super) suspended: usize,
    pub(super) transferred: usize,
    pub(super) deleted: usize,
    pub(super) restored: usize,
    pub(super) reactivated: usize,
    pub(super) refused_calls: usize,
    pub(super) offboarded: usize,
    /// Changes of a policy, and users of an approved plan that a changed policy excluded.
    pub(super) edits: usize,
    pub(super) kept_by_edit: usize,
    /// Snapshots that lack events, and those without a position in the live stream.
    pub(super) nights_with_gaps: usize,
    pub(super) nights_without_position: usize,
    /// Users excluded because days of the admin log are unknown, by reason code.
    pub(super) kept_by_gap: BTreeMap<&'static str, usize>,
    /// Snapshots on which no user is evaluated, because too few sign-ins are known.
    pub(super) refused_by_gap: usize,
    /// Journals from a backup that were adopted, and actions that only the lake knew.
    pub(super) adoptions: usize,
    pub(super) taken_in: usize,
    /// Accounts that hold bytes after their transfer and are reported to an operator.
    pub(super) told_of_bytes: usize,
    pub(super) confirmations: usize,
    /// Deletions of accounts with bytes in the trash.
    pub(super) deleted_with_trash: usize,
    /// Seats that became free, by the Box of a calm world.
    pub(super) freed_on: BTreeMap<&'static str, usize>,
}

impl Told {
    pub(super) fn add(&mut self, other: &Told) {
        self.nights += other.nights;
        self.plans += other.plans;
        self.applies += other.applies;
        self.crashes += other.crashes;
        self.stopped += other.stopped;
        self.suspended += other.suspended;
        self.transferred += other.transferred;
        self.deleted += other.deleted;
        self.restored += other.restored;
        self.reactivated += other.reactivated;
        self.refused_calls += other.refused_calls;
        self.offboarded += other.offboarded;
        self.edits += other.edits;
        self.kept_by_edit += other.kept_by_edit;
        self.nights_with_gaps += other.nights_with_gaps;
        self.nights_without_position += other.nights_without_position;
        for (word, users) in &other.kept_by_gap {
            *self.kept_by_gap.entry(word).or_default() += users;
        }
        self.refused_by_gap += other.refused_by_gap;
        self.adoptions += other.adoptions;
        self.taken_in += other.taken_in;
        self.told_of_bytes += other.told_of_bytes;
        self.confirmations += other.confirmations;
        self.deleted_with_trash += other.deleted_with_trash;
        for (of_box, seats) in &other.freed_on {
            *self.freed_on.entry(of_box).or_default() += seats;
        }
    }

    /// Counts the users that a gap excluded. `has_gap`: whether the snapshot lacks sign-ins.
    pub(super) fn count_words<'w>(&mut self, has_gap: bool, words: impl Iterator<Item = &'w str>) {
        for word in words.filter(|word| has_gap || *word != TOO_FEW.as_str()) {
            if let Some(known) = OF_GAPS.into_iter().find(|known| known.as_str() == word) {
                *self.kept_by_gap.entry(known.as_str()).or_default() += 1;
            }
        }
    }

    /// Counts the users of a plan that a policy changed since then excluded.
    pub(super) fn count_kept_by_edit<'w>(&mut self, words: impl Iterator<Item = &'w str>) {
        self.kept_by_edit +=
            words.filter(|word| OF_POLICY.iter().any(|known| known.as_str() == *word)).count();
    }

    /// Fails unless enough of everything happened for the worlds to prove anything.
    pub(super) fn assert_rich(&self, worlds: u64) {
        let least = |count: usize, per_hundred: u64| count as u64 * 100 >= worlds * per_hundred;
        assert!(least(self.suspended, 100), "too few suspensions");
        assert!(least(self.transferred, 20), "too few transfers");
        assert!(least(self.deleted, 5), "too few deletions");
        assert!(least(self.restored, 5), "too few restorations");
        assert!(least(self.reactivated, 5), "too few accounts that were active for a transfer");
        assert!(least(self.crashes, 50), "too few crashes");
        assert!(least(self.offboarded, 20), "too few leavers");
        assert!(least(self.edits, 20), "too few changes of a policy");
        assert!(least(self.kept_by_edit, 5), "too few users that a changed policy kept");
        assert!(least(self.nights_with_gaps, 50), "too few snapshots that lack events");
        assert!(least(self.nights_without_position, 5), "too few snapshots without a position");
        for word in OF_GAPS {
            assert!(self.kept_by_gap.contains_key(word.as_str()), "a gap kept no user: {word}");
        }
        assert!(least(self.refused_by_gap, 5), "too few snapshots without fresh sign-ins");
        assert!(least(self.adoptions, 5), "too few journals from a backup");
        assert!(least(self.taken_in, 5), "too few actions that the lake alone knew");
        assert!(least(self.told_of_bytes, 1), "too few accounts that hold bytes after their transfer");
        assert!(least(self.confirmations, 5), "too few confirmations");
        assert!(self.deleted_with_trash > 0, "no account with a trash was deleted");
    }
}

/// Reason codes caused by days of which nothing is known. Too few proven days have other causes, too.
const OF_GAPS: [ReasonCode; 3] = [TOO_FEW, ReasonCode::EditsNotWatched, ReasonCode::LateLoginsNotWatched];
const TOO_FEW: ReasonCode = ReasonCode::NotLongEnough;
/// Reason codes caused by a policy or a list.
const OF_POLICY: [ReasonCode; 9] = [
    ReasonCode::Protected,
    ReasonCode::OnHold,
    ReasonCode::OnLeave,
    ReasonCode::Receiver,
    ReasonCode::ReceiverChanged,
    ReasonCode::OtherStage,
    ReasonCode::NotAsked,
    ReasonCode::OwnsSharedContent,
    ReasonCode::OverCap,
];
