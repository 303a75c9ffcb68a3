//! `callbox login`: gets a session token with a password or a config token, and writes it to a file.

use std::path::{Path, PathBuf};

use super::output::say;
use clap::Args;
use url::Url;

use super::{Exit, complain, environment, trust};
use crate::config::{KeyPin, Proxy, ProxyAddress, ProxyAddressError, ProxyCredentials, ProxyScope, ServerTrust};
use crate::signaling::{Connector, Endpoint, LoginRequest, SessionApi, SessionApiError, client_config, write_secret};
use crate::station::machine_identifier;
use crate::url_host::is_loopback;

#[derive(Debug, Args)]
pub(super) struct LoginArgs {
    /// Address of the telephony server, like core.url
    #[arg(long)]
    url: Url,
    /// Tenant, like core.tenant
    #[arg(long)]
    tenant: Option<String>,
    /// User name
    #[arg(long, value_name = "NAME", requires = "password_file", required_unless_present_any = ["config_token_file", "trust"])]
    user: Option<String>,
    /// File with the password
    #[arg(long, value_name = "F", requires = "user")]
    password_file: Option<PathBuf>,
    /// File with a config token, in place of user and password
    #[arg(long, value_name = "F", conflicts_with_all = ["user", "password_file"])]
    config_token_file: Option<PathBuf>,
    /// Where to write the session token
    #[arg(long, value_name = "OUT", required_unless_present = "trust")]
    token_file: Option<PathBuf>,
    /// CA of the server, like core.ca_file
    #[arg(long, value_name = "F")]
    ca_file: Option<PathBuf>,
    /// Hash of the server's key, like core.pin; may be repeated
    #[arg(long, value_name = "sha256/BASE64")]
    pin: Vec<KeyPin>,
    /// HTTP proxy, like core.proxy; without it, the variable https_proxy counts
    #[arg(long, value_name = "http://HOST:PORT")]
    proxy: Option<ProxyAddress>,
    /// User name for the proxy
    #[arg(long, value_name = "NAME", requires_all = ["proxy", "proxy_password_file"])]
    proxy_user: Option<String>,
    /// File with the password for the proxy
    #[arg(long, value_name = "F", requires = "proxy_user")]
    proxy_password_file: Option<PathBuf>,
    /// Show the server's certificate, and save it to --ca-file after a yes; then log in, if a user is given
    #[arg(long)]
    trust: bool,
    /// Device id, like core.identifier
    #[arg(long)]
    identifier: Option<String>,
    /// Allow http:// for a lab
    #[arg(long)]
    allow_insecure: bool,
}

pub(super) async fn login(args: LoginArgs) -> Exit {
    match run(args).await {
        Ok(()) => Exit::Done,
        Err((exit, message)) => {
            complain(message);
            exit
        }
    }
}

async fn run(mut args: LoginArgs) -> Result<(), (Exit, String)> {
    if !args.allow_insecure && !is_private(&args.url) {
        let message = format!("{} is not encrypted; write https://, or add --allow-insecure for a lab", args.url);
        return Err((Exit::Usage, message));
    }
    let path = args.url.path().trim_end_matches('/').to_owned();
    args.url.set_path(&path);
    let endpoint = Endpoint::new(args.url.clone(), args.tenant.clone());
    if args.trust {
        // This certificate is not trusted yet, so nothing is taken from the other arguments.
        let connector = connector(&ServerTrust::default(), proxy(&args)?)?;
        trust::ask(&connector, &endpoint, args.ca_file.as_deref()).await?;
    }
    match args.token_file.take() {
        Some(token_file) => log_in(args, endpoint, &token_file).await,
        None => Ok(()),
    }
}

/// Logs in and writes the token to its file.
async fn log_in(args: LoginArgs, endpoint: Endpoint, token_file: &Path) -> Result<(), (Exit, String)> {
    let proxy = proxy(&args)?;
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
    let trust = ServerTrust { ca_file: args.ca_file, pins: args.pin };
    let connector = connector(&trust, proxy)?;
    let answer = SessionApi::new(endpoint, connector).login(&request).await.map_err(|error| {
        let exit = if matches!(error, SessionApiError::Refused(_)) { Exit::Refused } else { Exit::Failed };
        (exit, error.to_string())
    })?;
    let written = write_secret(token_file, &answer.token).await;
    written.map_err(|error| (Exit::Failed, format!("{} cannot be written: {error}", token_file.display())))?;
    say!("The token is in {}", token_file.display());
    Ok(())
}

fn connector(trust: &ServerTrust, proxy: Option<Proxy>) -> Result<Connector, (Exit, String)> {
    let tls = client_config(trust, None).map_err(|error| (Exit::Usage, error.to_string()))?;
    Ok(Connector::new(tls, proxy))
}

/// The proxy of the arguments, or of the environment.
fn proxy(args: &LoginArgs) -> Result<Option<Proxy>, (Exit, String)> {
    let Some(ProxyAddress { host, port, credentials }) = args.proxy.clone() else {
        let remedy = ProxyAddressError::REMEDY;
        let of_environment = Proxy::of_environment(&environment());
        return of_environment
            .map_err(|error| (Exit::Usage, format!("https_proxy of the environment: {error}; {remedy}")));
    };
    if credentials.is_some() {
        let message = "--proxy has a user or a password; use --proxy-user and --proxy-password-file".to_owned();
        return Err((Exit::Usage, message));
    }
    let of_arguments = args.proxy_user.clone().zip(args.proxy_password_file.clone());
    let credentials =
        of_arguments.map(|(user, password_file)| ProxyCredentials::File { user: user.into(), password_file });
    Ok(Some(Proxy { host, port, credentials, scope: ProxyScope::Everything }))
}

/// The connection is encrypted, or does not leave the machine.
fn is_private(url: &Url) -> bool {
    is_loopback(url) || matches!(url.scheme(), "https" | "wss")
}

pub(super) fn read_secret(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() { Err(format!("{} is empty", path.display())) } else { Ok(secret.to_owned()) }
}
