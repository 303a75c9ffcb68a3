//! Responses, server to client (docs/protocol.md, "Responses").

use serde::{Deserialize, Serialize};

use super::id::{CallId, LineNumber, TransactionId};
use super::sip_status;

/// The one reply to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The transaction of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<TransactionId>,
    /// The line of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: LineNumber,
    /// The call of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<CallId>,
    #[serde(flatten)]
    pub body: ResponseBody,
}

/// Whether the server accepted the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "response", rename_all = "snake_case")]
pub enum ResponseBody {
    /// The request is in progress.
    Ack,
    /// The request was refused.
    Error {
        /// 403 to 490, see [`response_code`].
        #[serde(default = "unsaid_code")]
        code: i64,
        #[serde(default)]
        reason: String,
    },
}

/// The code of an error that has none: the server failed (RFC 3261, section 21.5.1).
fn unsaid_code() -> i64 {
    sip_status::SERVER_INTERNAL_ERROR
}

/// The codes of `error` responses and events that callbox acts on or sends.
pub mod response_code {
    /// The request lacks a field.
    pub const MISSING_ELEMENT: i64 = 456;
    /// There is no request of this name.
    pub const UNKNOWN_REQUEST: i64 = 453;
    /// The frame is not a JSON object.
    pub const INVALID_JSON_OBJECT: i64 = 455;
    /// The call is in a state that does not allow this request.
    pub const WRONG_STATE: i64 = 447;
    /// There is no such call, or it has ended.
    pub const NO_SUCH_CALL: i64 = 454;
    /// The caller hung up while we answered (docs/workarounds.md, "janus: an accept that crosses a cancel is error
    /// 469").
    pub const UNEXPECTED_ANSWER: i64 = 469;
    /// The WebRTC side is not in the right state.
    pub const WRONG_WEBRTC_STATE: i64 = 471;
    /// Anything else, for example that the line is still being cleaned up.
    pub const UNKNOWN: i64 = 490;
}
