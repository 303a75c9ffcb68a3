//! `callbox login`: gets a session token with a password or a config token, and writes it to a file.

use std::path::{Path, PathBuf};

use super::output::say;
use clap::Args;
use url::Url;

use super::{Exit, complain};
use crate::signaling::{Endpoint, LoginRequest, SessionApi, SessionApiError, client_config, write_secret};
use crate::station::machine_identifier;

#[derive(Debug, Args)]
pub(super) struct LoginArgs {
    /// Address of the telephony server, like core.url
    #[arg(long)]
    url: Url,
    /// Tenant, like core.tenant
    #[arg(long)]
    tenant: Option<String>,
    /// User name
    #[arg(long, value_name = "NAME", requires = "password_file", required_unless_present = "config_token_file")]
    user: Option<String>,
    /// File with the password
    #[arg(long, value_name = "F", requires = "user")]
    password_file: Option<PathBuf>,
    /// File with a config token, in place of user and password
    #[arg(long, value_name = "F", conflicts_with_all = ["user", "password_file"])]
    config_token_file: Option<PathBuf>,
    /// Where to write the session token
    #[arg(long, value_name = "OUT")]
    token_file: PathBuf,
    /// CA of the server, like core.ca_file
    #[arg(long, value_name = "F")]
    ca_file: Option<PathBuf>,
    /// Device id, like core.identifier
    #[arg(long)]
    identifier: Option<String>,
    /// Allow http:// for a lab
    #[arg(long)]
    allow_insecure: bool,
}

pub(super) async fn login(args: LoginArgs) -> Exit {
    match obtain(args).await {
        Ok(file) => {
            say!("The token is in {}", file.display());
            Exit::Done
        }
        Err((exit, message)) => {
            complain(message);
            exit
        }
    }
}

/// Logs in and writes the token to its file; returns the file.
async fn obtain(args: LoginArgs) -> Result<PathBuf, (Exit, String)> {
    let mut url = args.url;
    if !args.allow_insecure && !is_private(&url) {
        let message = format!("{url} is not encrypted; write https://, or add --allow-insecure for a lab");
        return Err((Exit::Usage, message));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    let secret = |file: Option<PathBuf>| file.map(|file| read_secret(&file)).transpose();
    let usage = |message: String| (Exit::Usage, message);
    let request = LoginRequest {
        bundle_id: None,
        kind: "linux".into(),
        identifier: args.identifier.unwrap_or_else(machine_identifier),
        login: args.user,
        password: secret(args.password_file).map_err(usage)?,
        config_token: secret(args.config_token_file).map_err(usage)?,
    };
    let tls = client_config(args.ca_file.as_deref(), None).map_err(|error| usage(error.to_string()))?;
    let api = SessionApi::new(Endpoint::new(url, args.tenant), tls);
    let answer = api.login(&request).await.map_err(|error| {
        let exit = if matches!(error, SessionApiError::Refused(_)) { Exit::Refused } else { Exit::Failed };
        (exit, error.to_string())
    })?;
    let written = write_secret(&args.token_file, &answer.token).await;
    written.map_err(|error| (Exit::Failed, format!("{} cannot be written: {error}", args.token_file.display())))?;
    Ok(args.token_file)
}

/// The connection is encrypted, or does not leave the machine.
fn is_private(url: &Url) -> bool {
    let local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    local || matches!(url.scheme(), "https" | "wss")
}

pub(super) fn read_secret(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() { Err(format!("{} is empty", path.display())) } else { Ok(secret.to_owned()) }
}
