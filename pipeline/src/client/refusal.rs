//! Why Box refused an action, according to its error.
//!
//! Box's codes are free text, and several refusals share one code, so the message is checked, too. A refusal that is not recognised is
//! [`RefusalKind::Other`].

use boxseat_schemas::box_api::ApiError;

use super::transport::Reply;

/// A refusal: Box changed nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status, 400 to 499.
    pub status: u16,
    /// Box's error code, or the content type of a body that is not from Box.
    pub code: String,
    /// Box's message.
    pub message: String,
    /// The id that Box's support requires.
    pub request_id: Option<String>,
    /// The meaning.
    pub kind: RefusalKind,
}

/// The meaning of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// A retention policy or a legal hold protects the account or its content.
    Retention,
    /// The other account has a higher rank than the acting account.
    Privileged,
    /// An information barrier or another policy of the enterprise forbids the action.
    Policy,
    /// Another operation has locked the account. A later attempt may succeed.
    Locked,
    /// The user was active or joined a short time ago. A later attempt may succeed.
    RecentlyActive,
    /// The application lacks a scope, or its authorisation was removed.
    Scope,
    /// The account does not exist, or is not in the enterprise.
    NotFound,
    /// The receiver has not enough storage.
    Quota,
    /// Something else.
    Other,
}

impl Refusal {
    pub(super) fn of(reply: &Reply) -> Self {
        let body: ApiError = serde_json::from_slice(&reply.body).unwrap_or_default();
        let code = body.code.unwrap_or_else(|| format!("without a code ({})", reply.content_type));
        let message = body.message.unwrap_or_default();
        let kind = kind(reply.status, &code, &message);
        Self { status: reply.status, code, message, request_id: body.request_id, kind }
    }

    /// Whether the refusal applies to every action, and not only to this one.
    pub fn is_about_us(&self) -> bool {
        self.status == 401 || self.kind == RefusalKind::Scope
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let why = match self.kind {
            RefusalKind::Retention => "a retention policy or legal hold protects it: ",
            RefusalKind::Privileged => "the account has a higher rank than ours: ",
            RefusalKind::Policy => "a policy of the enterprise forbids it: ",
            RefusalKind::Locked => "another operation has locked the account: ",
            RefusalKind::RecentlyActive => "the user was active or joined a short time ago: ",
            RefusalKind::Scope => "the application lacks the permission: ",
            RefusalKind::NotFound => "the account does not exist: ",
            RefusalKind::Quota => "the receiver has not enough storage: ",
            RefusalKind::Other => "",
        };
        write!(f, "{why}Box responded with {} {}", self.status, self.code)?;
        if !self.message.is_empty() {
            write!(f, " ({})", self.message)?;
        }
        if let Some(id) = &self.request_id {
            write!(f, ", request id {id}")?;
        }
        Ok(())
    }
}

fn kind(status: u16, code: &str, message: &str) -> RefusalKind {
    let text = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    match (status, code) {
        (404, _) => RefusalKind::NotFound,
        (401, _) | (_, "insufficient_scope" | "unauthorized") => RefusalKind::Scope,
        _ if says(&["retention", "legal hold"]) => RefusalKind::Retention,
        _ if says(&["recently active", "recently joined"]) => RefusalKind::RecentlyActive,
        _ if says(&["higher privileged"]) => RefusalKind::Privileged,
        (_, "forbidden_by_policy" | "denied_by_policy") => RefusalKind::Policy,
        (409, _) | (_, "operation_blocked_temporary" | "locked") => RefusalKind::Locked,
        _ if says(&["is locked", "locked by"]) => RefusalKind::Locked,
        (507, _) => RefusalKind::Quota,
        _ if says(&["quota", "storage limit", "insufficient storage"]) => RefusalKind::Quota,
        _ => RefusalKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R16: refusals that need an operator are distinguished from those that only need time.
    #[test]
    fn r16_refusals_are_recognised() {
        use RefusalKind::{
            Locked, NotFound, Other, Policy, Privileged, Quota, RecentlyActive, Retention, Scope,
        };
        for (status, code, message, expected) in [
            (
                403,
                "forbidden",
                "User cannot be deleted due to retention policies in your enterprise",
                Retention,
            ),
            (403, "forbidden", "User is under a Legal Hold", Retention),
            (403, "forbidden", "Cannot transfer files from/to higher privileged accounts", Privileged),
            (400, "bad_request", "The user was Recently Active", RecentlyActive),
            (403, "forbidden", "User recently joined from a free account; use force", RecentlyActive),
            (403, "forbidden_by_policy", "information barrier", Policy),
            (403, "denied_by_policy", "", Policy),
            (409, "operation_blocked_temporary", "", Locked),
            (403, "forbidden", "User is locked", Locked),
            (403, "insufficient_scope", "", Scope),
            (401, "unauthorized", "", Scope),
            (404, "not_found", "", NotFound),
            (403, "storage_limit_exceeded", "Account storage limit reached", Quota),
            (403, "access_denied_insufficient_permissions", "Access denied - insufficient permission", Other),
            (400, "bad_request", "", Other),
        ] {
            assert_eq!(kind(status, code, message), expected, "{status} {code} {message}");
        }
    }
}
