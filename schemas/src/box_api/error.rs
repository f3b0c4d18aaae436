//! Box's two error bodies. Neither is promised: gateways answer with HTML.

use serde::Deserialize;

use super::lenient;

/// The error body of the API. Codes are open text: the enum of the spec is far from complete.
/// <https://developer.box.com/guides/api-calls/permissions-and-errors/common-errors/>
#[derive(Debug, Default, Deserialize)]
pub struct ApiError {
    /// Machine-readable reason.
    #[serde(default, deserialize_with = "lenient::text")]
    pub code: Option<String>,
    /// Sentence for people.
    #[serde(default, deserialize_with = "lenient::text")]
    pub message: Option<String>,
    /// What Box's support asks for; differs from the `box-request-id` header.
    #[serde(default, deserialize_with = "lenient::text")]
    pub request_id: Option<String>,
}

/// The error body of the token endpoint.
#[derive(Debug, Default, Deserialize)]
pub struct OAuthError {
    /// Machine-readable reason, such as `invalid_grant`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub error: Option<String>,
    /// Sentence for people.
    #[serde(default, deserialize_with = "lenient::text")]
    pub error_description: Option<String>,
}
