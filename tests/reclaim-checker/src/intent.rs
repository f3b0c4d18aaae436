//! The policy of a test: the file that boxseat reads, and the values that the checker uses.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

/// A policy, with the keys of its file. The default includes the deletion, on sign-ins alone, for all users, without caps.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    /// `suspend`, `transfer` or `delete`.
    pub furthest_stage: &'static str,
    /// Proven idle days before the suspension.
    pub suspend_after_idle_days: i64,
    /// Days from the suspension to the transfer.
    pub transfer_after_days: i64,
    /// Days from the suspension to the deletion.
    pub delete_after_days: i64,
    /// What happens to users who own shared content.
    pub shared_content: &'static str,
    /// Whether receivers are told.
    pub notify: bool,
    /// What happens if Box moves no content of inactive accounts.
    pub when_refused: &'static str,
    /// Ids of protected users.
    pub protected_ids: BTreeSet<String>,
    /// Logins of protected users, in lower case.
    pub protected_logins: BTreeSet<String>,
    /// Ids of protected groups.
    pub protected_groups: BTreeSet<String>,
    /// Ids of users under legal hold.
    pub held: BTreeSet<String>,
    /// Users on leave, from and to.
    pub leaves: Vec<(String, String, String)>,
    /// Id of the account that receives all content.
    pub receiver: Option<String>,
    /// The most users in any 30 days.
    pub cap_people: u64,
    /// The same as a share of the seats.
    pub cap_seats_percent: f64,
    /// Days after the creation in which no user is evaluated.
    pub new_user_grace_days: i64,
    /// Days after a return in which no user is evaluated.
    pub returned_grace_days: i64,
    /// Lines before the first section of the file that the fields above do not cover.
    pub more: String,
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
    pub fn toml(&self) -> String {
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
    ///
    /// # Panics
    /// If the directory cannot be written.
    pub fn write(&self, directory: &Path) {
        let write = |name: &str, text: String| {
            std::fs::write(directory.join(name), text).expect("a directory of the test")
        };
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
