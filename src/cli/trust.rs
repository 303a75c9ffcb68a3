//! `callbox login --trust`: shows a server's certificate, and saves it after a yes.

use std::path::Path;

use super::Exit;
use super::output::{self, say};
use crate::files;
use crate::signaling::{Connector, Endpoint, PresentedCertificate};

/// Shows the certificate of the server. With a file, asks whether to save it there.
pub(super) async fn ask(connector: &Connector, endpoint: &Endpoint, file: Option<&Path>) -> Result<(), (Exit, String)> {
    if !endpoint.is_secure() {
        return Err((Exit::Usage, format!("{} has no certificate: write https://", endpoint.shown())));
    }
    let shown = connector.presented_certificate(endpoint).await;
    let shown = shown.map_err(|problem| (Exit::Failed, format!("{}: {problem}", endpoint.shown())))?;
    show(&shown);
    let Some(file) = file else {
        say!("It can be saved: add --ca-file FILE. Or trust its key:  pin = \"{}\"", shown.pin);
        return Ok(());
    };
    say!("Compare the fingerprint with that of the server itself: whoever is between you and the server could show");
    say!("another certificate.");
    output::bytes(format!("Save it to {}? Type yes: ", file.display()).as_bytes());
    // An end of the input is no yes.
    let answer = tokio::task::spawn_blocking(|| std::io::stdin().lines().next()).await;
    let is_yes = |answer: &str| ["y", "yes"].iter().any(|yes| answer.trim().eq_ignore_ascii_case(yes));
    if !matches!(answer, Ok(Some(Ok(answer))) if is_yes(&answer)) {
        return Err((Exit::Failed, "nothing was saved".into()));
    }
    files::replace(file, shown.pem.as_bytes(), 0o644)
        .map_err(|error| (Exit::Failed, format!("{} cannot be written: {error}", file.display())))?;
    // A relative path would start at the folder of the configuration.
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    say!("Saved. The station trusts it with this line in [core]:  ca_file = \"{}\"", file.display());
    Ok(())
}

fn show(certificate: &PresentedCertificate) {
    let PresentedCertificate { subject, issuer, names, not_before, not_after, fingerprint, pin, .. } = certificate;
    let made_by = if certificate.is_self_signed() { " (the server made it itself)" } else { "" };
    let names =
        if names.is_empty() { "none: a station cannot trust it by its name".to_owned() } else { names.join(", ") };
    say!("subject      {subject}");
    say!("issuer       {issuer}{made_by}");
    say!("names        {names}");
    say!("valid        from {not_before} to {not_after}");
    say!("SHA-256      {fingerprint}");
    say!("key          {pin}");
}
