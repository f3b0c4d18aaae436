//! Who is at the machine: the operating system's user, by id and not by a variable anybody can set.

use std::os::unix::fs::MetadataExt;

use boxseat_schemas::reclaim::plan::Operator;

use crate::store::host;

/// The person, or the cron job, that runs this.
pub(crate) fn operator() -> Operator {
    Operator { os_user: os_user(), host: host() }
}

fn os_user() -> String {
    let Ok(process) = std::fs::metadata("/proc/self") else {
        return crate::config::variable("USER").unwrap_or_else(|| "unknown".to_owned());
    };
    let uid = process.uid().to_string();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    // Users of a directory service are in no file: the number names them as well.
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, id) = (fields.next()?, fields.next()?, fields.next()?);
        (id == uid).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("uid {uid}"))
}
