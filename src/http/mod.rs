//! An HTTP server for hostile networks, which the sandbox and the status page share: TLS, places, deadlines, and the check
//! of every request's host and origin.

mod attempts;
mod certificate;
mod guard;
mod listen;
mod own_names;
mod peer;
mod places;
mod refused;
mod serve;

pub(crate) use attempts::Attempts;
pub use certificate::{CertificateError, ServerCertificate};
pub use listen::ListenError;
pub(crate) use listen::{Listener, TlsConfig};
pub(crate) use own_names::{machine_names, own_addresses};
pub(crate) use peer::PeerAddresses;
pub use places::ConnectionLimits;
pub(crate) use places::Places;
pub(crate) use refused::Refused;
pub(crate) use serve::{Policy, serve};
