//! Losses of the base run that events announce.

use std::collections::HashSet;

use boxseat_schemas::table::MEMBERSHIPS;

use super::Normaliser;
use super::carry::base_error;
use super::snapshot::pair;
use crate::Error;
use crate::guard::Sizes;
use crate::ids::IdSet;
use crate::plan::text;

impl Normaliser<'_> {
    /// Users, groups and memberships of the base run that are lost according to events. Requires users and groups first.
    ///
    /// # Errors
    /// `Damaged` if the base run cannot be read.
    pub fn announced_losses(&self) -> Result<Sizes, Error> {
        let Some(base) = self.base else { return Ok(Sizes::default()) };
        let ids = |ids: &[String], still_there: &IdSet| {
            let mut gone = IdSet::default();
            ids.iter().filter(|id| !still_there.contains(id)).for_each(|id| _ = gone.insert(id));
            gone
        };
        let users = ids(&self.announced.users, &self.users);
        let groups = ids(&self.announced.groups, &self.groups);
        let members: HashSet<u128> =
            self.announced.members.iter().map(|(group_id, user_id)| pair(user_id, group_id)).collect();
        let mut memberships = 0;
        if !(users.is_empty() && groups.is_empty() && members.is_empty()) {
            for batch in base.rows(&MEMBERSHIPS).map_err(base_error)? {
                let batch = batch.map_err(base_error)?;
                let (user_ids, group_ids) = (text(&batch, "user_id"), text(&batch, "group_id"));
                for (user_id, group_id) in user_ids.iter().flatten().zip(group_ids.iter().flatten()) {
                    let is_announced = users.contains(user_id)
                        || groups.contains(group_id)
                        || members.contains(&pair(user_id, group_id));
                    memberships += u64::from(is_announced);
                }
            }
        }
        let base = base.night();
        let listed_then = base.users.iter().filter(|(id, user)| user.is_listed && users.contains(id)).count();
        let groups_then = base.groups.iter().filter(|(id, _)| groups.contains(id)).count();
        Ok(Sizes { users: listed_then as u64, groups: groups_then as u64, memberships })
    }
}
