//! What happens in some worlds only: days of the admin log that were not read, policies that change under an approved plan,
//! journals from a backup, and content that stays in the trash. All of it is drawn from a separate random stream, so that a world
//! without these areas stays unchanged.

use boxseat_simulator::{Act, TrueUser};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::story::World;
use crate::{ONCE_BROKEN, life};

/// The areas of a world, and their chance.
pub(super) struct Areas {
    pub(super) rng: ChaCha8Rng,
    pub(super) has_gaps: bool,
    pub(super) has_edits: bool,
    pub(super) has_copies: bool,
    pub(super) has_trash: bool,
    /// How many operators confirm that content has moved.
    pub(super) operators_needed: u32,
}

impl Areas {
    /// The areas of a seed. The worlds that once broke stay unchanged.
    pub(super) fn of(seed: u64) -> Self {
        let mut areas = Self::none(seed);
        if !ONCE_BROKEN.contains(&seed) {
            areas.has_gaps = areas.rng.random_bool(0.35);
            areas.has_edits = areas.rng.random_bool(0.35);
            areas.has_copies = areas.rng.random_bool(0.25);
            areas.has_trash = areas.rng.random_bool(0.35);
            areas.operators_needed = areas.rng.random_range(1..3);
        }
        areas
    }

    pub(super) fn none(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(1);
        Areas {
            rng,
            has_gaps: false,
            has_edits: false,
            has_copies: false,
            has_trash: false,
            operators_needed: 1,
        }
    }
}

impl World {
    /// What the areas of this world add between two commands.
    pub(super) fn meanwhile(&mut self, share: f64) {
        if self.areas.has_edits && self.areas.rng.random_bool(share) {
            self.edit_policy();
        }
        if self.areas.has_trash && self.areas.rng.random_bool(share) {
            self.fill_or_empty_trash();
        }
    }

    /// An ordinary user, mostly one in a plan.
    pub(super) fn some_user(&mut self) -> Option<TrueUser> {
        let planned: Vec<&str> = self
            .plans
            .iter()
            .flat_map(|file| &file.plan.people)
            .map(|planned| planned.user_id.as_str())
            .collect();
        let mut users = life::ordinary(&self.simulator);
        if self.areas.rng.random_bool(0.8) && users.iter().any(|user| planned.contains(&&*user.user_id)) {
            users.retain(|user| planned.contains(&&*user.user_id));
        }
        let place = (!users.is_empty()).then(|| self.areas.rng.random_range(0..users.len()))?;
        Some(users.swap_remove(place))
    }

    /// Bytes without items: a transfer does not move them, and `space_used` counts them.
    pub(super) fn fill_or_empty_trash(&mut self) {
        let Some(user) = self.some_user() else { return };
        let bytes = [0, 40, 3_000][self.areas.rng.random_range(0..3)];
        self.simulator.act(&Act::SetTrash { user_id: user.user_id, bytes });
    }
}
