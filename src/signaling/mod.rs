//! The core server's side of the house: wire types (pure), the WebSocket, TLS and the session API.
//!
//! Source: `protocol.md`, which is the public WebTrit signaling protocol, version 1.

mod close;
mod connection;
mod endpoint;
mod event;
mod message;
mod request;
mod session_api;
mod stream;
mod tls;
mod token;

pub use close::CloseCause;
pub use connection::{Socket, SocketReport};
pub use endpoint::Endpoint;
pub use event::{Event, EventBody, Invitation, SubscriptionState};
pub use message::*;
pub use request::{HoldDirection, Request, RequestBody};
pub use session_api::{LoginRequest, LoginResponse, SessionApi, SessionApiError};
pub use tls::{TlsError, client_config};
pub(crate) use tls::{certificates, private_key, provider as tls_provider};
pub use token::{TokenStore, write_secret};
