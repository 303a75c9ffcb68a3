//! WebSocket close codes as causes (docs/protocol.md, "Close codes").

use serde::{Deserialize, Serialize};

/// Why the server, or the network, ended the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CloseCause {
    /// 1xxx: closed, going away, abnormal, server error.
    Standard(u16),
    /// 4101: the server could not read a frame of ours.
    SocketMessage,
    /// 4501: the server could not understand a signaling message of ours.
    SignalingMessage,
    /// 4201: the token is unknown or expired.
    SessionMissed,
    /// 4300 to 4302: the device was removed from the account.
    App(u16),
    /// 4400 to 4402: the server restarted or crashed.
    Controller(u16),
    /// 4410 to 4412: the account is not complete on the server.
    Subscriber(u16),
    /// 4420: the media side of the server is down.
    ControllerWebrtc,
    /// 4431: another connection holds the session.
    Attached,
    /// 4432: no connection holds the session.
    NotAttached,
    /// 4441: another client took the session over.
    ForceAttached,
    /// 4502: the link was dead.
    KeepaliveTimeout,
    /// 4600 to 4602: a request went wrong on the server.
    Request(u16),
    /// 4610: a request named a call that had ended.
    CallId,
    /// A code that docs/protocol.md does not list.
    Other(u16),
}

impl CloseCause {
    /// The cause that a close code stands for.
    pub fn from_code(code: u16) -> Self {
        match code {
            1000..=1999 => Self::Standard(code),
            4101 => Self::SocketMessage,
            4201 => Self::SessionMissed,
            4300..=4302 => Self::App(code),
            4400..=4402 => Self::Controller(code),
            4410..=4412 => Self::Subscriber(code),
            4420 => Self::ControllerWebrtc,
            4431 => Self::Attached,
            4432 => Self::NotAttached,
            4441 => Self::ForceAttached,
            4501 => Self::SignalingMessage,
            4502 => Self::KeepaliveTimeout,
            4600..=4602 => Self::Request(code),
            4610 => Self::CallId,
            other => Self::Other(other),
        }
    }

    /// The close code of this cause.
    pub fn code(self) -> u16 {
        match self {
            Self::Standard(code)
            | Self::App(code)
            | Self::Controller(code)
            | Self::Subscriber(code)
            | Self::Request(code)
            | Self::Other(code) => code,
            Self::SocketMessage => 4101,
            Self::SignalingMessage => 4501,
            Self::SessionMissed => 4201,
            Self::ControllerWebrtc => 4420,
            Self::Attached => 4431,
            Self::NotAttached => 4432,
            Self::ForceAttached => 4441,
            Self::KeepaliveTimeout => 4502,
            Self::CallId => 4610,
        }
    }

    /// What the cause means, as a message for people.
    pub fn message(self) -> &'static str {
        match self {
            Self::Standard(1000) => "closed by the server",
            Self::Standard(1001) => "the server is going away",
            Self::Standard(1006) => "the connection broke",
            Self::Standard(1012) => "the server restarts",
            Self::Standard(_) => "closed by the server or the network",
            Self::SocketMessage | Self::SignalingMessage => "the server could not read a message of ours",
            Self::SessionMissed => "the token is unknown or expired",
            Self::App(_) => "this device was removed from the account",
            Self::Controller(_) => "the server restarted",
            Self::Subscriber(_) => "the account is not complete on the server",
            Self::ControllerWebrtc => "the media side of the server is down",
            Self::Attached => "another connection holds this session",
            Self::NotAttached => "the server holds no connection of this session",
            Self::ForceAttached => "another client took this session over",
            Self::KeepaliveTimeout => "the link was dead",
            Self::Request(_) => "a request went wrong on the server",
            Self::CallId => "a request named a call that had ended",
            Self::Other(_) => "closed for a reason this version does not know",
        }
    }
}
