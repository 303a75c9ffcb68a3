//! callbox turns a board with a button, a microphone and a loudspeaker into an intercom station.
//!
//! The library is the whole station. Its heart is [`core`]: a station as a function of state, input and time, without
//! sockets, clocks or threads. Whoever drives it hands in what happens as an [`Input`](core::Input) and carries out what
//! comes back as an [`Effect`](core::Effect). The daemon drives it with real adapters (`station`), the simulator with a
//! simulated world, and `callbox replay` with a recording.
//!
//! This is a whole call in virtual time: a press, the far end rings, and somebody answers.
//!
//! ```
//! use std::sync::Arc;
//!
//! use callbox::config;
//! use callbox::core::*;
//! use callbox::signaling::*;
//!
//! let text = r#"
//! [core]
//! url = "https://server.example.com"
//! token = "secret"
//!
//! [[button]]
//! name = "bell"
//! pin = 17
//! press = { call = "100" }
//! "#;
//! let config = Arc::new(config::parse("callbox.toml", text, &Default::default()).unwrap());
//! let at = |ms| Now { at: Time(ms), local: None };
//! let mut station = Station::new(config, 1, 1, at(0));
//!
//! /// Hands an input in, and drains the effects.
//! fn feed(station: &mut Station, now: Now, input: Input) -> Vec<Effect> {
//!     station.handle(now, input);
//!     std::iter::from_fn(|| station.poll_effect()).collect()
//! }
//! let from_server = |frame: &str| {
//!     Input::Socket(SocketEvent::Message(Box::new(ServerMessage::parse(frame).unwrap())))
//! };
//!
//! // The station connects at its first tick. The socket opens, and the server says its state.
//! let effects = feed(&mut station, at(0), Input::Tick);
//! assert!(effects.contains(&Effect::Connect { server: ServerIndex(0), force: true }));
//! feed(&mut station, at(40), Input::Socket(SocketEvent::Opened { local: None }));
//! let state = r#"{"handshake":"state","keepalive_interval":30000,"timestamp":0,
//!     "registration":{"status":"registered"},"lines":[null,null]}"#;
//! let effects = feed(&mut station, at(50), from_server(state));
//! // It keeps a peer connection ready for the first press.
//! let media = effects.iter().find_map(|effect| match effect {
//!     Effect::Media(media, MediaCommand::Offer) => Some(*media),
//!     _ => None,
//! });
//! feed(&mut station, at(60), Input::Media(media.unwrap(), MediaEvent::LocalOffer { sdp: "v=0 our offer".into() }));
//!
//! // A finger on the bell. An edge counts once it has lasted as long as the pin bounces.
//! feed(&mut station, at(1000), Input::Edge { pin: Pin::Button(ButtonIndex(0)), active: true });
//! let deadline = station.next_deadline().unwrap();
//! assert_eq!(deadline.reason, DeadlineReason::Debounce);
//! let effects = feed(&mut station, Now { at: deadline.at, local: None }, Input::Tick);
//! let request = effects.iter().find_map(|effect| match effect {
//!     Effect::Send(ClientMessage::Request(request)) => Some(request.clone()),
//!     _ => None,
//! });
//! let request = request.unwrap();
//! assert_eq!(request.body.kind(), RequestKind::OutgoingCall);
//!
//! // The far end rings, then somebody answers.
//! let event = |body| {
//!     let (transaction, line, call_id) = (Some(request.transaction.clone()), request.line, request.call_id.clone());
//!     Input::Socket(SocketEvent::Message(Box::new(ServerMessage::Event(Box::new(Event {
//!         transaction,
//!         line,
//!         call_id,
//!         body,
//!     })))))
//! };
//! feed(&mut station, at(1300), event(EventBody::Ringing {}));
//! assert_eq!(station.status().lines[0].state, CallState::Alerting);
//! let answer = Some(Jsep::answer("v=0 their answer"));
//! feed(&mut station, at(4000), event(EventBody::Accepted { jsep: answer, callee: None, is_focus: None }));
//! assert_eq!(station.status().lines[0].state, CallState::Established);
//! ```

#[cfg(feature = "daemon")]
pub mod audio;
pub mod blackbox;
#[cfg(feature = "daemon")]
pub mod cli;
pub mod code_hash;
pub mod config;
#[cfg(feature = "daemon")]
pub mod control;
pub mod core;
#[cfg(feature = "daemon")]
mod files;
#[cfg(feature = "daemon")]
pub mod gpio;
#[cfg(feature = "daemon")]
pub mod hooks;
#[cfg(feature = "daemon")]
pub mod http;
#[cfg(feature = "daemon")]
pub mod media;
#[cfg(feature = "daemon")]
pub mod mqtt;
pub mod mutant;
#[cfg(feature = "daemon")]
pub mod network;
mod plain_text;
#[cfg(feature = "daemon")]
mod random_waits;
#[cfg(feature = "daemon")]
pub mod reader;
mod regular_file;
#[cfg(feature = "daemon")]
mod running_tasks;
#[cfg(feature = "daemon")]
pub mod sandbox;
pub mod secret;
pub mod signaling;
mod sip_address;
#[cfg(feature = "daemon")]
pub mod sound;
#[cfg(feature = "daemon")]
pub mod station;
mod url_host;
pub mod wav;
#[cfg(feature = "daemon")]
pub mod web;
