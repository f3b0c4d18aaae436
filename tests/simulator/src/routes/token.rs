//! `/oauth2/token` and `/oauth2/revoke`.

use std::sync::Arc;

use axum::Form;
use axum::body::Body;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::http::Response;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;

use crate::auth::{Credentials, Session};
use crate::clock;
use crate::errors::{json_response, oauth_error};
use crate::jwt::Refused;
use crate::shared::Shared;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct TokenForm {
    grant_type: String,
    client_id: String,
    client_secret: String,
    box_subject_type: String,
    box_subject_id: String,
    assertion: String,
    token: String,
}

pub(super) async fn issue(
    State(shared): State<Arc<Shared>>,
    form: Result<Form<TokenForm>, FormRejection>,
) -> Response<Body> {
    let Ok(Form(form)) = form else {
        return oauth_error("invalid_request", "The request body is not a form");
    };
    let is_jwt = match form.grant_type.as_str() {
        "client_credentials" if shared.config.demands_jwt => {
            return oauth_error("invalid_request", "The grant type is unauthorized for this client_id.");
        }
        "client_credentials" => false,
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => true,
        "" => return oauth_error("invalid_request", "Invalid grant_type parameter or parameter missing"),
        _ => return oauth_error("unsupported_grant_type", "Unsupported grant type"),
    };
    let credentials = Credentials {
        client_id: &form.client_id,
        client_secret: &form.client_secret,
        subject_type: &form.box_subject_type,
        subject_id: &form.box_subject_id,
    };
    let session = if is_jwt {
        jwt_session(&shared, &credentials, &form.assertion)
    } else {
        credentials.session(&shared.world()).ok_or(("invalid_grant", "Grant credentials are invalid"))
    };
    let session = match session {
        Ok(session) => session,
        Err((error, description)) => return oauth_error(error, description),
    };
    let token = shared.tokens.issue(&shared.config, session, clock::instant());
    let body = json!({
        "access_token": token,
        "expires_in": shared.config.token_lifetime_secs,
        "restricted_to": [],
        "token_type": "bearer",
    });
    json_response(200, body.to_string().into_bytes())
}

/// The session of an assertion. Box's time is the one of the `Date` header.
fn jwt_session(shared: &Shared, credentials: &Credentials<'_>, assertion: &str) -> Result<Session, Refused> {
    let app =
        credentials.app(&shared.config).ok_or(("invalid_client", "The client credentials are invalid"))?;
    let now = DateTime::<Utc>::from(clock::wall()).timestamp() + shared.config.date_skew_secs;
    shared.assertions.session(assertion, app, &shared.world(), now)
}

pub(super) async fn revoke(
    State(shared): State<Arc<Shared>>,
    form: Result<Form<TokenForm>, FormRejection>,
) -> Response<Body> {
    let Ok(Form(form)) = form else {
        return oauth_error("invalid_request", "The request body is not a form");
    };
    let credentials = Credentials {
        client_id: &form.client_id,
        client_secret: &form.client_secret,
        subject_type: "",
        subject_id: "",
    };
    if credentials.app(&shared.config).is_none() {
        return oauth_error("invalid_client", "The client credentials are invalid");
    }
    shared.tokens.revoke(&form.token);
    Response::new(Body::empty())
}
