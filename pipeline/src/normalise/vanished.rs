//! What Box responds about users of the base run who are no longer listed.

use boxseat_schemas::DepartureReason;
use boxseat_schemas::box_api::Enterprise;
use boxseat_schemas::spool::Frame;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::Index;
use crate::Error;
use crate::ids::IdMap;
use crate::spool::SpoolReader;

/// Box's response for a user that is not listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The user is gone: deleted, or a free account outside the enterprise.
    Gone(DepartureReason),
    /// The user belongs to the enterprise: the listing was incomplete.
    Ours,
    /// Unknown.
    Unconfirmed,
}

/// Box's responses about single users.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    /// Whether Box responded with 200, and the meaning of the response.
    answers: IdMap<(bool, Verdict)>,
    /// Listed users that are requested as well, to prove that Box returns users.
    canaries: Vec<String>,
}

impl Verdicts {
    pub(super) fn read(
        spool: &SpoolReader,
        index: &Index,
        canaries: &[String],
        enterprise_id: &str,
    ) -> Result<Self, Error> {
        let mut verdicts = Self { canaries: canaries.to_vec(), ..Self::default() };
        let mut frames = spool.frames()?;
        for (user_id, offset) in index.asked().iter() {
            let (frame, body) = frames.frame_at(*offset)?;
            if let Frame::Page { status, .. } = frame {
                verdicts.answers.insert(&user_id, (status == 200, judge(status, &body, enterprise_id)));
            }
        }
        Ok(verdicts)
    }

    /// Whether all listed users that were requested were returned. If not, or if none was requested, no absence proves anything.
    pub(super) fn can_be_trusted(&self) -> bool {
        let answers = |id: &String| {
            self.answers
                .get(id)
                .is_some_and(|(answered, verdict)| *answered && !matches!(verdict, Verdict::Gone(_)))
        };
        !self.canaries.is_empty() && self.canaries.iter().all(answers)
    }

    pub(super) fn of(&self, user_id: &str) -> Verdict {
        self.answers.get(user_id).map_or(Verdict::Unconfirmed, |(_, verdict)| *verdict)
    }
}

/// Why an account is gone, by Box's response to `GET /users/{id}`; `None` if it belongs to the enterprise or if the response proves
/// nothing.
pub fn departure(status: u16, body: &[u8], enterprise_id: &str) -> Option<DepartureReason> {
    match judge(status, body, enterprise_id) {
        Verdict::Gone(reason) => Some(reason),
        Verdict::Ours | Verdict::Unconfirmed => None,
    }
}

/// `enterprise` was requested, so a response without it proves nothing about the user's enterprise.
fn judge(status: u16, body: &[u8], enterprise_id: &str) -> Verdict {
    #[derive(Deserialize)]
    struct User<'a> {
        #[serde(borrow, default, deserialize_with = "present")]
        enterprise: Option<&'a RawValue>,
    }
    /// Distinguishes null from missing.
    fn present<'de, D: Deserializer<'de>>(d: D) -> Result<Option<&'de RawValue>, D::Error> {
        <&RawValue>::deserialize(d).map(Some)
    }
    match status {
        // A response that is not from Box is never stored as 404.
        404 => return Verdict::Gone(DepartureReason::Deleted),
        200 => {}
        _ => return Verdict::Unconfirmed,
    }
    let Ok(user) = serde_json::from_slice::<User<'_>>(body) else { return Verdict::Unconfirmed };
    match user.enterprise.map(RawValue::get) {
        None => Verdict::Unconfirmed,
        Some("null") => Verdict::Gone(DepartureReason::LeftEnterprise),
        Some(raw) => {
            match serde_json::from_str::<Enterprise>(raw).ok().and_then(|enterprise| enterprise.id) {
                Some(id) if id == enterprise_id => Verdict::Ours,
                Some(_) => Verdict::Gone(DepartureReason::LeftEnterprise),
                None => Verdict::Unconfirmed,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_response_reports_a_user_as_gone() {
        use DepartureReason::{Deleted, LeftEnterprise};
        for (status, body, verdict) in [
            (404, r#"{"type":"error"}"#, Verdict::Gone(Deleted)),
            (200, r#"{"id":"7","enterprise":null}"#, Verdict::Gone(LeftEnterprise)),
            (200, r#"{"id":"7","enterprise":{"id":"901"}}"#, Verdict::Gone(LeftEnterprise)),
            (200, r#"{"id":"7","enterprise":{"id":"900"}}"#, Verdict::Ours),
            (200, r#"{"id":"7","enterprise":{"id":900}}"#, Verdict::Ours),
            // Responses that prove nothing.
            (200, r#"{"id":"7"}"#, Verdict::Unconfirmed),
            (200, r#"{"id":"7","enterprise":{}}"#, Verdict::Unconfirmed),
            (200, r#"{"id":"7","enterprise":[]}"#, Verdict::Unconfirmed),
            (200, "<html>", Verdict::Unconfirmed),
            (403, r#"{"type":"error"}"#, Verdict::Unconfirmed),
        ] {
            assert_eq!(judge(status, body.as_bytes(), "900"), verdict, "{status} {body}");
        }
    }
}
