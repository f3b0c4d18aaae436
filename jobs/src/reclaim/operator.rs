//! Who sits at the machine: the name that stands under plans, approvals and actions (R9).

use boxseat_schemas::reclaim::plan::Operator;
use nix::unistd::{Uid, User};

use crate::store::host;

/// The operating system's user of this process, by the system's own list of users, and the machine.
///
/// Not `USER` or `LOGNAME`: whoever runs the program sets those.
pub(crate) fn operator() -> Operator {
    let uid = Uid::effective();
    let name = User::from_uid(uid).ok().flatten().map(|user| user.name);
    Operator { os_user: name.unwrap_or_else(|| format!("uid {uid}")), host: host() }
}
