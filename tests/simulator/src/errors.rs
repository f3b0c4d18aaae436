//! Box's two error bodies: one for the API, the other for the token endpoint.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use serde_json::json;

/// An error of the API. Boxed, because most responses have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError(Box<Refusal>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Refusal {
    status: u16,
    code: String,
    message: String,
    /// Parameter and reason, for `context_info.errors`.
    context: Option<(&'static str, String)>,
    retry_after: Option<String>,
    challenge: Option<&'static str>,
}

impl ApiError {
    pub(crate) fn new(status: u16, code: &str, message: &str) -> Self {
        let (code, message) = (code.to_owned(), message.to_owned());
        ApiError(Box::new(Refusal { status, code, message, ..Refusal::default() }))
    }

    /// 400 about one parameter.
    pub(crate) fn bad_parameter(code: &str, parameter: &'static str, reason: &str) -> Self {
        let mut error = ApiError::new(400, code, "Bad Request");
        error.0.context = Some((parameter, reason.to_owned()));
        error
    }

    pub(crate) fn bad_request(message: &str) -> Self {
        ApiError::new(400, "bad_request", message)
    }

    pub(crate) fn not_found() -> Self {
        ApiError::new(404, "not_found", "Not Found")
    }

    pub(crate) fn forbidden() -> Self {
        ApiError::new(
            403,
            "access_denied_insufficient_permissions",
            "Access denied - insufficient permission",
        )
    }

    /// 403: the application was not authorised for this kind of call.
    pub(crate) fn insufficient_scope() -> Self {
        let text = "The request requires higher privileges than provided by the access token.";
        let mut error = ApiError::new(403, "insufficient_scope", text);
        error.0.challenge = Some("Bearer realm=\"Service\", error=\"insufficient_scope\"");
        error
    }

    pub(crate) fn status(&self) -> u16 {
        self.0.status
    }

    pub(crate) fn code(&self) -> &str {
        &self.0.code
    }

    /// 401: no token, or an unknown or expired token.
    pub(crate) fn unauthorized(has_token: bool) -> Self {
        let mut error = ApiError::new(401, "unauthorized", "Unauthorized");
        error.0.challenge = Some(if has_token {
            "Bearer realm=\"Service\", error=\"invalid_token\", error_description=\"The access token provided is invalid.\""
        } else {
            "Bearer realm=\"Service\""
        });
        error
    }

    pub(crate) fn rate_limited(retry_after_secs: u64) -> Self {
        let mut error =
            ApiError::new(429, "rate_limit_exceeded", "Request rate limit exceeded, please try again later");
        error.0.retry_after = Some(retry_after_secs.to_string());
        error
    }

    /// An error requested by a fault or a setting. The default of `code` follows from the status.
    pub(crate) fn staged(status: u16, code: Option<&str>, retry_after: Option<String>) -> Self {
        let reason =
            StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Error");
        let usual = match status {
            429 => "rate_limit_exceeded".to_owned(),
            503 => "unavailable".to_owned(),
            500 => "internal_server_error".to_owned(),
            _ => reason.to_lowercase().replace(' ', "_"),
        };
        let mut error = ApiError::new(status, code.unwrap_or(&usual), reason);
        error.0.retry_after = retry_after;
        error
    }

    /// Replaces the message.
    pub(crate) fn saying(mut self, message: &str) -> Self {
        self.0.message = message.to_owned();
        self
    }

    /// The response. `request_id` is written into the body; it differs from the id in the `box-request-id` header.
    pub(crate) fn answer(&self, request_id: &str) -> Response<Body> {
        let refusal = &*self.0;
        let context = refusal.context.as_ref().map(|(name, reason)| {
            json!({"errors": [{"reason": "invalid_parameter", "name": name, "message": reason}]})
        });
        let body = json!({
            "type": "error",
            "status": refusal.status,
            "code": refusal.code,
            "message": refusal.message,
            "context_info": context,
            "help_url": "http://developers.box.com/docs/#errors",
            "request_id": request_id,
        });
        let mut response = json_response(refusal.status, body.to_string().into_bytes());
        if let Some(wait) = refusal.retry_after.as_deref().and_then(|text| HeaderValue::from_str(text).ok()) {
            response.headers_mut().insert(RETRY_AFTER, wait);
        }
        if let Some(challenge) = refusal.challenge {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

impl IntoResponse for ApiError {
    /// Stores the error as an extension. The gate, which has the request id, writes the body.
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status_code(self.0.status);
        response.extensions_mut().insert(self);
        response
    }
}

/// An error of the token endpoint, in the format of OAuth.
pub(crate) fn oauth_error(error: &str, description: &str) -> Response<Body> {
    json_response(400, json!({"error": error, "error_description": description}).to_string().into_bytes())
}

/// A response whose body is already JSON.
pub(crate) fn json_response(status: u16, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status_code(status);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(crate) fn status_code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
