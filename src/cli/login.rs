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
    let mut url = args.url;
    let secure = matches!(url.scheme(), "https" | "wss");
    // A connection that does not leave the machine needs no encryption.
    let local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if !secure && !local && !args.allow_insecure {
        complain(format!("{url} is not encrypted; write https://, or add --allow-insecure for a lab"));
        return Exit::Usage;
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    let mut request = LoginRequest {
        bundle_id: None,
        kind: "linux".into(),
        identifier: args.identifier.unwrap_or_else(machine_identifier),
        login: args.user,
        password: None,
        config_token: None,
    };
    let secrets = [(&args.password_file, &mut request.password), (&args.config_token_file, &mut request.config_token)];
    for (file, secret) in secrets {
        if let Some(file) = file {
            match read_secret(file) {
                Ok(text) => *secret = Some(text),
                Err(error) => {
                    complain(error);
                    return Exit::Usage;
                }
            }
        }
    }
    let tls = match client_config(args.ca_file.as_deref(), None) {
        Ok(tls) => tls,
        Err(error) => {
            complain(error);
            return Exit::Usage;
        }
    };
    let api = SessionApi::new(Endpoint::new(url, args.tenant), tls);
    let token = match api.login(&request).await {
        Ok(response) => response.token,
        Err(error @ SessionApiError::Refused(_)) => {
            complain(error);
            return Exit::Refused;
        }
        Err(error) => {
            complain(error);
            return Exit::Failed;
        }
    };
    if let Err(error) = write_secret(&args.token_file, &token).await {
        complain(format!("{} cannot be written: {error}", args.token_file.display()));
        return Exit::Failed;
    }
    say!("The token is in {}", args.token_file.display());
    Exit::Done
}

fn read_secret(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() { Err(format!("{} is empty", path.display())) } else { Ok(secret.to_owned()) }
}
