//! Communication with the telephony server: the types of its messages (pure), the WebSocket, TLS and the session API.
//!
//! docs/protocol.md describes the protocol, which is the public WebTrit signaling protocol, version 1.

mod close;
#[cfg(feature = "daemon")]
mod connection;
#[cfg(feature = "daemon")]
mod connector;
#[cfg(feature = "daemon")]
mod endpoint;
mod event;
mod frame;
mod handshake;
#[cfg(feature = "daemon")]
mod ice_servers;
mod id;
mod jsep;
mod lenient;
mod message;
#[cfg(feature = "daemon")]
mod proxy;
#[cfg(feature = "daemon")]
mod redirect;
mod request;
mod response;
#[cfg(feature = "daemon")]
mod session_api;
pub mod sip_status;
mod socket_event;
#[cfg(feature = "daemon")]
mod stream;
#[cfg(feature = "daemon")]
mod tls;
#[cfg(feature = "daemon")]
mod token;
mod trickle;
#[cfg(feature = "daemon")]
mod trust;

pub use close::CloseCause;
#[cfg(feature = "daemon")]
pub use connection::{Socket, SocketReport, try_upgrade};
#[cfg(feature = "daemon")]
pub use connector::Connector;
#[cfg(feature = "daemon")]
pub use endpoint::Endpoint;
#[cfg(feature = "daemon")]
pub(crate) use endpoint::Target;
pub use event::{Event, EventBody, Invitation, SubscriptionState};
pub use frame::{FrameError, MAX_FRAME_BYTES};
pub(crate) use handshake::UNKNOWN_MESSAGE;
pub use handshake::{CallLogEntry, LineState, LogMessage, Registration, RegistrationStatus, StateHandshake};
#[cfg(feature = "daemon")]
pub use ice_servers::IceServerList;
pub use id::{CallId, LineNumber, ReferId, TransactionId};
pub use jsep::{Jsep, JsepKind};
pub use message::{ClientMessage, SUB_PROTOCOL, ServerMessage};
pub use request::{HoldDirection, Request, RequestBody, RequestKind};
pub use response::{Response, ResponseBody, response_code};
#[cfg(feature = "daemon")]
pub use session_api::{LoginRequest, LoginResponse, SessionApi, SessionApiError};
pub use socket_event::{ConnectFailure, ConnectFailureKind, SocketEvent};
#[cfg(feature = "daemon")]
pub(crate) use stream::Stream;
#[cfg(feature = "daemon")]
pub(crate) use tls::{ServerRole, certificates, private_key, provider as tls_provider, tls_message};
#[cfg(feature = "daemon")]
pub use tls::{TlsError, client_config, turn_client_config};
#[cfg(feature = "daemon")]
pub use token::{TokenStore, write_private, write_secret};
pub use trickle::{Candidate, Trickle};
#[cfg(feature = "daemon")]
pub use trust::PresentedCertificate;
