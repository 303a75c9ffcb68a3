//! Session descriptions as they travel in requests and events.

use crate::secret::Sdp;
use serde::{Deserialize, Serialize};

/// A session description with its role in the offer/answer exchange (RFC 8829).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jsep {
    #[serde(rename = "type")]
    pub kind: JsepKind,
    /// The SDP text (RFC 8866).
    pub sdp: Sdp,
}

impl Jsep {
    /// An offer with this SDP.
    pub fn offer(sdp: impl Into<Sdp>) -> Self {
        Self { kind: JsepKind::Offer, sdp: sdp.into() }
    }

    /// An answer with this SDP.
    pub fn answer(sdp: impl Into<Sdp>) -> Self {
        Self { kind: JsepKind::Answer, sdp: sdp.into() }
    }
}

/// The role of a session description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JsepKind {
    Offer,
    Answer,
}
