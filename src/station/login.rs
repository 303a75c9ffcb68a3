//! A new token by the session API (docs/protocol.md, "Session API").

use std::path::PathBuf;

use crate::config::Credentials;
use crate::core::TokenError;
use crate::signaling::{LoginRequest, SessionApi, SessionApiError};

/// Logs in as the configuration says; returns the token.
pub(crate) async fn log_in(
    api: &SessionApi,
    credentials: Credentials,
    identifier: String,
) -> Result<String, TokenError> {
    let secret = async |path: PathBuf| {
        tokio::fs::read_to_string(&path)
            .await
            .map(|text| text.trim().to_owned())
            .map_err(|error| TokenError::Failed(format!("{}: {error}", path.display())))
    };
    let mut request = LoginRequest {
        bundle_id: None,
        kind: "linux".into(),
        identifier,
        login: None,
        password: None,
        config_token: None,
    };
    match credentials {
        Credentials::Login { login, password_file } => {
            request.login = Some(login.into());
            request.password = Some(secret(password_file).await?);
        }
        Credentials::ConfigTokenFile(path) => request.config_token = Some(secret(path).await?),
        Credentials::Token(_) | Credentials::TokenFile(_) => return Err(TokenError::NotConfigured),
    }
    api.login(&request).await.map(|response| response.token).map_err(|error| match error {
        SessionApiError::Refused(message) => TokenError::Refused(message),
        SessionApiError::Failed(message) => TokenError::Failed(message),
        SessionApiError::NotYetValid(message) => TokenError::NotYetValid(message),
    })
}
