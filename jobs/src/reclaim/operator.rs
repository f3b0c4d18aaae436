//! The operator: the name recorded in plans, approvals and actions (R9).

use boxseat_schemas::reclaim::plan::Operator;
use nix::unistd::{Uid, User};

use crate::store::host;

/// The operating system's user of this process, by the system's list of users, and the machine.
///
/// `USER` and `LOGNAME` are not read: the user who runs the program sets them.
pub(crate) fn operator() -> Operator {
    let uid = Uid::effective();
    let name = User::from_uid(uid).ok().flatten().map(|user| user.name);
    Operator { os_user: name.unwrap_or_else(|| format!("uid {uid}")), host: host() }
}
