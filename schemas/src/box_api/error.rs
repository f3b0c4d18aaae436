//! Box's two error bodies. Box guarantees neither of them: gateways respond with HTML.

use serde::Deserialize;

use super::lenient;

/// The error body of the API. Codes are open text: the enum of the spec is far from complete.
/// <https://developer.box.com/guides/api-calls/permissions-and-errors/common-errors/>
#[derive(Debug, Default, Deserialize)]
pub struct ApiError {
    /// Box's `type`: `error`.
    #[serde(rename = "type", default, deserialize_with = "lenient::text_or_nothing")]
    kind: Option<String>,
    /// The HTTP status.
    #[serde(default, deserialize_with = "lenient::text_or_nothing")]
    status: Option<String>,
    /// Machine-readable reason.
    #[serde(default, deserialize_with = "lenient::text_or_nothing")]
    pub code: Option<String>,
    /// Sentence for users.
    #[serde(default, deserialize_with = "lenient::text_or_nothing")]
    pub message: Option<String>,
    /// The id that Box's support requires. It differs from the `box-request-id` header.
    #[serde(default, deserialize_with = "lenient::text_or_nothing")]
    pub request_id: Option<String>,
}

impl ApiError {
    /// Reads the error body of the API; `None` for any other body. Only such a body proves that Box responded. A gateway between boxseat
    /// and Box responds with HTML, with an object of its own or without a body. Its status says nothing about a user or group.
    pub fn of(body: &[u8]) -> Option<Self> {
        let error: Self = serde_json::from_slice(body).ok()?;
        let is_error = error.kind.as_deref() == Some("error");
        (is_error || error.code.is_some() && error.status.is_some()).then_some(error)
    }

    /// Whether the body belongs to a response with this status. A gateway may forward the body of another error, such as a 503, as 404.
    pub fn agrees_with(&self, status: u16) -> bool {
        let is_same = self.status.as_ref().is_none_or(|own| *own == status.to_string());
        is_same && (status != 404 || self.code.as_ref().is_none_or(|code| code.contains("not_found")))
    }
}

/// The error body of the token endpoint.
#[derive(Debug, Default, Deserialize)]
pub struct OAuthError {
    /// Machine-readable reason, such as `invalid_grant`.
    #[serde(default, deserialize_with = "lenient::text_or_nothing")]
    pub error: Option<String>,
    /// Sentence for users.
    #[serde(default, deserialize_with = "lenient::text_or_nothing")]
    pub error_description: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_box_error_body_is_an_error() {
        for (body, code) in [
            (
                r#"{"type":"error","status":404,"code":"not_found","message":"Not Found","request_id":"r1"}"#,
                Some("not_found"),
            ),
            (r#"{"code":"not_found","status":"404"}"#, Some("not_found")),
            (r#"{"type":"error","code":"forbidden","message":{}}"#, Some("forbidden")),
            (r#"{"message":"no Route matched with those values"}"#, None),
            (r#"{"code":"1020"}"#, None),
            (r#"{"error":"invalid_grant","error_description":"no"}"#, None),
            ("<html><title>404 Not Found</title></html>", None),
            ("[]", None),
            ("", None),
        ] {
            assert_eq!(ApiError::of(body.as_bytes()).and_then(|error| error.code).as_deref(), code, "{body}");
        }
    }

    /// A 404 with the body of a 503 produced a false leaver.
    #[test]
    fn the_body_must_agree_with_the_status() {
        for (body, status, agrees) in [
            (r#"{"type":"error","status":404,"code":"not_found"}"#, 404, true),
            (r#"{"type":"error","code":"not_found"}"#, 404, true),
            (r#"{"type":"error","status":503,"code":"unavailable"}"#, 404, false),
            (r#"{"type":"error","code":"unavailable"}"#, 404, false),
            (r#"{"type":"error","status":500,"code":"not_found"}"#, 404, false),
            (r#"{"type":"error","status":403,"code":"forbidden"}"#, 403, true),
        ] {
            assert_eq!(ApiError::of(body.as_bytes()).unwrap().agrees_with(status), agrees, "{body}");
        }
    }
}
