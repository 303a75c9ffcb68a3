//! Session descriptions (RFC 8866, RFC 8829): what callbox needs from those of the far end, what the WebRTC library is
//! given in their place, and what is sent in place of the library's own.

pub(super) mod candidate;
mod compose;
mod payload;
mod remote;
mod sections;

pub(crate) use compose::{Origin, offer_to_send, refuse_all};
pub(crate) use payload::{EVENT_RATE_HZ, Payload, PayloadMap, ReceiveMap, clock_rate_hz};
pub(crate) use remote::{Fingerprint, Remote};
pub use sections::DescriptionError;
pub(crate) use sections::wants_no_audio;

/// Direction of a media line, as its writer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SdpDirection {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl SdpDirection {
    fn parse(line: &str) -> Option<Self> {
        match line {
            "a=sendrecv" => Some(Self::SendRecv),
            "a=sendonly" => Some(Self::SendOnly),
            "a=recvonly" => Some(Self::RecvOnly),
            "a=inactive" => Some(Self::Inactive),
            _ => None,
        }
    }

    fn line(self) -> &'static str {
        match self {
            Self::SendRecv => "a=sendrecv",
            Self::SendOnly => "a=sendonly",
            Self::RecvOnly => "a=recvonly",
            Self::Inactive => "a=inactive",
        }
    }

    /// Whether the writer wants no sound from us, which means hold.
    pub(crate) fn is_hold(self) -> bool {
        matches!(self, Self::SendOnly | Self::Inactive)
    }
}

/// Who begins the DTLS handshake (RFC 4145, RFC 8842).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setup {
    /// The writer of the description.
    Active,
    /// Its reader.
    Passive,
    /// The reader may choose.
    ActPass,
}

impl Setup {
    fn parse(value: &str) -> Option<Self> {
        match value.to_ascii_lowercase().as_str() {
            "active" => Some(Self::Active),
            "passive" => Some(Self::Passive),
            "actpass" => Some(Self::ActPass),
            _ => None,
        }
    }

    fn line(self) -> &'static str {
        match self {
            Self::Active => "a=setup:active",
            Self::Passive => "a=setup:passive",
            Self::ActPass => "a=setup:actpass",
        }
    }

    /// The role of the other side. If it may choose, it waits for the handshake, which is faster with this library
    /// (docs/workarounds.md, "webrtc: an active answer stalls dtls").
    pub(crate) fn opposite(self) -> Self {
        match self {
            Self::Passive => Self::Active,
            Self::Active | Self::ActPass => Self::Passive,
        }
    }
}
