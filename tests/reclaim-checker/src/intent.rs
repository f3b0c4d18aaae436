//! The policy of a test: the file that boxseat reads, and the values that the checker uses.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

/// A policy, with the keys of its file. The default includes the deletion, on sign-ins alone, for all users, without caps.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Intent {
    pub(crate) furthest_stage: &'static str,
    pub(crate) suspend_after_idle_days: i64,
    pub(crate) transfer_after_days: i64,
    pub(crate) delete_after_days: i64,
    pub(crate) shared_content: &'static str,
    pub(crate) notify: bool,
    pub(crate) when_refused: &'static str,
    pub(crate) protected_ids: BTreeSet<String>,
    /// In lower case.
    pub(crate) protected_logins: BTreeSet<String>,
    /// Ids.
    pub(crate) protected_groups: BTreeSet<String>,
    /// Ids of users under legal hold.
    pub(crate) held: BTreeSet<String>,
    /// Users on leave, from and to.
    pub(crate) leaves: Vec<(String, String, String)>,
    /// Id of the account that receives all content.
    pub(crate) receiver: Option<String>,
    pub(crate) cap_people: u64,
    pub(crate) cap_seats_percent: f64,
    pub(crate) new_user_grace_days: i64,
    pub(crate) returned_grace_days: i64,
    /// Lines before the first section of the file that the fields above do not cover.
    pub(crate) more: String,
}

impl Default for Intent {
    fn default() -> Self {
        Intent {
            furthest_stage: "delete",
            suspend_after_idle_days: 90,
            transfer_after_days: 14,
            delete_after_days: 30,
            shared_content: "leave_out",
            notify: false,
            when_refused: "stop",
            protected_ids: BTreeSet::new(),
            protected_logins: BTreeSet::new(),
            protected_groups: BTreeSet::new(),
            held: BTreeSet::new(),
            leaves: Vec::new(),
            receiver: None,
            cap_people: 1_000,
            cap_seats_percent: 100.0,
            new_user_grace_days: 45,
            returned_grace_days: 60,
            more: String::new(),
        }
    }
}

impl Intent {
    /// The policy file; [`Intent::write`] writes the lists it names.
    pub(crate) fn toml(&self) -> String {
        let mut text = format!(
            "evidence = \"login_only\"\nlogin_only_delete = true\nfurthest_stage = {:?}\n\
             suspend_after_idle_days = {}\ntransfer_after_days = {}\ndelete_after_days = {}\n\
             shared_content = {:?}\nnotify = {}\n{}\n\
             [transfer]\nwhen_refused = {:?}\n\
             [protect]\nids = {:?}\nlogins = {:?}\ngroups = {:?}\n\
             [caps]\npeople = {}\nseats_percent = {:?}\n",
            self.furthest_stage,
            self.suspend_after_idle_days,
            self.transfer_after_days,
            self.delete_after_days,
            self.shared_content,
            self.notify,
            self.more,
            self.when_refused,
            list(&self.protected_ids),
            list(&self.protected_logins),
            list(&self.protected_groups),
            self.cap_people,
            self.cap_seats_percent,
        );
        let mut put = |section: String| _ = write!(text, "{section}");
        let moves = self.furthest_stage != "suspend" || self.shared_content == "transfer_first";
        if moves || !self.held.is_empty() {
            put("[holds]\nfile = \"holds.csv\"\n".to_owned());
        }
        if !self.leaves.is_empty() {
            put("[leave]\nfile = \"leave.csv\"\n".to_owned());
        }
        if let Some(receiver) = &self.receiver {
            put(format!("[receiver]\naccount = {receiver:?}\n"));
        }
        text
    }

    /// Writes the policy and its lists into a directory.
    pub(crate) fn write(&self, directory: &Path) {
        let write = |name: &str, text: String| std::fs::write(directory.join(name), text).unwrap();
        write("policy.toml", self.toml());
        let held = self.held.iter().map(|id| format!("{id},litigation\n")).collect::<String>();
        write("holds.csv", format!("user_id,reason\n{held}"));
        let leaves = self.leaves.iter().map(|(id, from, to)| format!("{id},{from},{to}\n"));
        write("leave.csv", format!("user_id,from,to\n{}", leaves.collect::<String>()));
    }
}

fn list(all: &BTreeSet<String>) -> Vec<&String> {
    all.iter().collect()
}
