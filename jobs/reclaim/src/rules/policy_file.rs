//! The keys of a policy file, as they are written; [`super::policy`] defines what they mean together.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use boxseat_schemas::reclaim::Stage;
use boxseat_schemas::text::quoted;
use boxseat_storage::digest::sha256_hex;
use boxseat_storage::toml_file::Date;
use serde::{Deserialize, Serialize};

use super::policy::{
    Approval, Caps, Code, Evidence, Holds, Protect, Receiver, SharedContent, WhenRefused, Who, Wrong, wrong,
};

/// The file. Every optional key has its default here; units and reasons are in `boxseat.example-policy.toml`.
// The order of the fields is the order in the digest: a new one goes to the end, with a default that is not written.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    evidence: EvidenceWord,
    #[serde(default)]
    login_only_delete: bool,
    #[serde(default = "default_stage")]
    pub(super) furthest_stage: Stage,
    #[serde(default = "default_suspend_after_idle_days")]
    pub(super) suspend_after_idle_days: u32,
    #[serde(default = "default_transfer_after_days")]
    pub(super) transfer_after_days: u32,
    #[serde(default = "default_delete_after_days")]
    pub(super) delete_after_days: u32,
    #[serde(default)]
    pub(super) shared_content: SharedContentWord,
    #[serde(default = "default_plan_max_age_hours")]
    pub(super) plan_max_age_hours: u32,
    #[serde(default)]
    pub(super) notify: bool,
    #[serde(default)]
    who: WhoSection,
    #[serde(default)]
    protect: ProtectSection,
    #[serde(default)]
    holds: HoldsSection,
    #[serde(default)]
    pub(super) leave: LeaveSection,
    #[serde(default)]
    receiver: ReceiverSection,
    #[serde(default)]
    caps: CapsSection,
    #[serde(default)]
    approval: ApprovalSection,
    #[serde(default, skip_serializing_if = "TransferSection::is_default")]
    pub(super) transfer: TransferSection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum EvidenceWord {
    Activity,
    LoginOnly,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SharedContentWord {
    #[default]
    LeaveOut,
    TransferFirst,
    SuspendAnyway,
}

impl From<SharedContentWord> for SharedContent {
    fn from(word: SharedContentWord) -> Self {
        match word {
            SharedContentWord::LeaveOut => Self::LeaveOut,
            SharedContentWord::TransferFirst => Self::TransferFirst,
            SharedContentWord::SuspendAnyway => Self::SuspendAnyway,
        }
    }
}

/// `[who]`
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct WhoSection {
    seat_states: BTreeSet<String>,
    roles: BTreeSet<String>,
    groups: BTreeSet<String>,
    tracking_codes: BTreeSet<String>,
}

/// `[protect]`
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct ProtectSection {
    ids: BTreeSet<String>,
    logins: BTreeSet<String>,
    groups: BTreeSet<String>,
    tracking_codes: BTreeSet<String>,
}

/// `[holds]`
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct HoldsSection {
    file: Option<PathBuf>,
    none_stated_by: Option<String>,
    none_stated_on: Option<Date>,
}

/// `[leave]`
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LeaveSection {
    pub(super) file: Option<PathBuf>,
}

/// `[receiver]`
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct ReceiverSection {
    account: Option<String>,
    manager_tracking_code: Option<String>,
    file: Option<PathBuf>,
}

/// `[transfer]`
#[derive(Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TransferSection {
    pub(super) when_refused: WhenRefusedWord,
}

impl TransferSection {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WhenRefusedWord {
    #[default]
    Stop,
    Reactivate,
}

impl From<WhenRefusedWord> for WhenRefused {
    fn from(word: WhenRefusedWord) -> Self {
        match word {
            WhenRefusedWord::Stop => Self::Stop,
            WhenRefusedWord::Reactivate => Self::Reactivate,
        }
    }
}

/// `[caps]`
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct CapsSection {
    people: u64,
    seats_percent: f64,
}

impl Default for CapsSection {
    fn default() -> Self {
        Self { people: 100, seats_percent: 2.0 }
    }
}

/// `[approval]`
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct ApprovalSection {
    kind: ApprovalWord,
    allowed_signers: Option<PathBuf>,
    two_person: bool,
    // Not written if it is not set: digests of earlier policies stay the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    approvers: Option<u32>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum ApprovalWord {
    #[default]
    OsUser,
    Signed,
}

impl File {
    /// SHA-256 over every value, given or by default, in the order of the fields here; sets are sorted.
    pub(super) fn digest(&self) -> String {
        let canonical = serde_json::to_vec(self).expect("plain data");
        format!("sha256:{}", sha256_hex(&canonical))
    }

    pub(super) fn evidence(&self) -> Result<Evidence, Wrong> {
        match self.evidence {
            EvidenceWord::LoginOnly => Ok(Evidence::LoginOnly { may_delete: self.login_only_delete }),
            EvidenceWord::Activity if self.login_only_delete => Err(wrong(
                "",
                "login_only_delete",
                "it applies to evidence = \"login_only\", and evidence is \"activity\"",
            )),
            EvidenceWord::Activity => Ok(Evidence::Activity),
        }
    }

    pub(super) fn who(&self) -> Result<Who, Wrong> {
        let who = &self.who;
        if let Some(role) = who.roles.iter().find(|role| *role != "user") {
            return Err(wrong(
                "who",
                "roles",
                format!(
                    "{}: boxseat acts only on the role \"user\", never on admins and co-admins",
                    quoted(role)
                ),
            ));
        }
        if let Some(state) = who.seat_states.iter().find(|state| !SEAT_STATES.contains(&state.as_str())) {
            return Err(wrong(
                "who",
                "seat_states",
                format!("{} is none of {}", quoted(state), SEAT_STATES.join(", ")),
            ));
        }
        Ok(Who {
            seat_states: who.seat_states.clone(),
            groups: named("who", &who.groups)?,
            tracking_codes: codes("who", &who.tracking_codes)?,
        })
    }

    pub(super) fn protect(&self) -> Result<Protect, Wrong> {
        let protect = &self.protect;
        let is_id = |id: &&String| id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(id) = protect.ids.iter().find(is_id) {
            return Err(wrong(
                "protect",
                "ids",
                format!("{} is not a Box user id; addresses go into logins", quoted(id)),
            ));
        }
        if let Some(login) = protect.logins.iter().find(|login| !login.contains('@')) {
            return Err(wrong("protect", "logins", format!("{} is not an address", quoted(login))));
        }
        Ok(Protect {
            ids: protect.ids.clone(),
            logins: protect.logins.iter().map(|login| login.trim().to_lowercase()).collect(),
            groups: named("protect", &protect.groups)?,
            tracking_codes: codes("protect", &protect.tracking_codes)?,
        })
    }

    pub(super) fn holds(&self, directory: &Path) -> Result<Option<Holds>, Wrong> {
        let HoldsSection { file, none_stated_by, none_stated_on } = &self.holds;
        match (file, none_stated_by, none_stated_on) {
            (None, None, None) => Ok(None),
            (Some(path), None, None) => Ok(Some(Holds::File(directory.join(path)))),
            (None, Some(by), Some(on)) if !by.trim().is_empty() => {
                Ok(Some(Holds::NoneStated { by: by.clone(), on: on.0 }))
            }
            (None, Some(_), Some(_)) => Err(wrong("holds", "none_stated_by", "it is empty")),
            (None, Some(_), None) => {
                Err(wrong("holds", "none_stated_by", "none_stated_on is missing: the day of the statement"))
            }
            (None, None, Some(_)) => Err(wrong(
                "holds",
                "none_stated_on",
                "none_stated_by is missing: the name of the user who states it",
            )),
            (Some(_), ..) => {
                Err(wrong("holds", "file", "a list of holds, or the statement that there are none: not both"))
            }
        }
    }

    pub(super) fn receiver(&self, directory: &Path) -> Result<Option<Receiver>, Wrong> {
        let ReceiverSection { account, manager_tracking_code, file } = &self.receiver;
        match (account, manager_tracking_code, file) {
            (None, None, None) => Ok(None),
            (Some(account), None, None) if !account.trim().is_empty() => {
                Ok(Some(Receiver::Account(account.trim().to_lowercase())))
            }
            (None, Some(name), None) if !name.is_empty() => {
                Ok(Some(Receiver::ManagerTrackingCode(name.clone())))
            }
            (None, None, Some(path)) => Ok(Some(Receiver::File(directory.join(path)))),
            (Some(_), ..) => Err(wrong(
                "receiver",
                "account",
                "exactly one of account, manager_tracking_code and file, and not empty",
            )),
            (_, Some(_), _) => Err(wrong(
                "receiver",
                "manager_tracking_code",
                "exactly one of account, manager_tracking_code and file, and not empty",
            )),
        }
    }

    pub(super) fn caps(&self) -> Result<Caps, Wrong> {
        let CapsSection { people, seats_percent } = self.caps;
        if people == 0 {
            return Err(wrong("caps", "people", "0 allows no user, so the policy does nothing"));
        }
        if !(seats_percent > 0.0 && seats_percent <= 100.0) {
            return Err(wrong(
                "caps",
                "seats_percent",
                format!("{seats_percent} is not above 0 and at most 100 percent"),
            ));
        }
        Ok(Caps { people, seats_percent })
    }

    pub(super) fn approval(&self, directory: &Path) -> Result<Approval, Wrong> {
        let ApprovalSection { kind, allowed_signers, two_person, approvers } = &self.approval;
        let allowed_signers = match (kind, allowed_signers) {
            (ApprovalWord::OsUser, None) => None,
            (ApprovalWord::Signed, Some(path)) => Some(directory.join(path)),
            (ApprovalWord::Signed, None) => {
                return Err(wrong(
                    "approval",
                    "kind",
                    "\"signed\" needs allowed_signers: the file that says who may sign",
                ));
            }
            (ApprovalWord::OsUser, Some(_)) => {
                return Err(wrong("approval", "allowed_signers", "it is only used with kind = \"signed\""));
            }
        };
        let approvers = match approvers.unwrap_or(1) {
            approvers @ 1..=10 => approvers,
            approvers => {
                return Err(wrong("approval", "approvers", format!("{approvers} is not within 1 to 10")));
            }
        };
        Ok(Approval { allowed_signers, is_two_person: *two_person, approvers })
    }
}

/// The line of a key, counted from one; the line of a section's head if the key is missing.
pub(super) fn line_of(text: &str, section: &str, key: &str) -> Option<usize> {
    let (mut current, mut head) = (String::new(), None);
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            name.trim().clone_into(&mut current);
            if current == section {
                head = Some(index + 1);
            }
        } else if current == section {
            let name = line.split('=').next().unwrap_or_default().trim().trim_matches(['"', '\'']);
            if line.contains('=') && name == key {
                return Some(index + 1);
            }
        }
    }
    head
}

fn named(section: &'static str, groups: &BTreeSet<String>) -> Result<BTreeSet<String>, Wrong> {
    if groups.iter().any(|group| group.trim().is_empty()) {
        return Err(wrong(section, "groups", "a group has an id or a name"));
    }
    Ok(groups.clone())
}

fn codes(section: &'static str, texts: &BTreeSet<String>) -> Result<BTreeSet<Code>, Wrong> {
    let code = |text: &String| {
        let (name, value) =
            text.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty())?;
        Some(Code { name: name.to_owned(), value: value.to_owned() })
    };
    let refused = |text| wrong(section, "tracking_codes", format!("{} is not NAME=VALUE", quoted(text)));
    texts.iter().map(|text| code(text).ok_or_else(|| refused(text))).collect()
}

/// States of a seat whose owner may be idle; `used` if the policy requires fewer days than the reports.
const SEAT_STATES: [&str; 4] = ["idle", "never_since_created", "no_login_seen", "used"];

fn default_stage() -> Stage {
    Stage::Suspend
}

fn default_suspend_after_idle_days() -> u32 {
    90
}

fn default_transfer_after_days() -> u32 {
    14
}

fn default_delete_after_days() -> u32 {
    30
}

fn default_plan_max_age_hours() -> u32 {
    168
}
