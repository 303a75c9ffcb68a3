//! Why a call ended, and which tone tells it to the person at the door.

use serde::{Deserialize, Serialize};

use crate::config::Sound;
use crate::signaling::sip_status;

/// Why a call ended: a SIP status and a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Cause {
    /// SIP status code (RFC 3261, section 21), or a code of the server (docs/protocol.md, "Responses"); 0 if there is
    /// none.
    pub code: i64,
    /// The message for people; it may be empty.
    pub text: String,
    /// If it is a call of ours that nobody took: why nobody took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<Unanswered>,
}

/// Why nobody took a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unanswered {
    /// It rang, and nobody answered.
    NoAnswer,
    /// It never rang: the far end is off, not registered, or cannot be reached.
    NotReachable,
    /// The far end has another call.
    Busy,
    /// The far end refused the call.
    Declined,
    /// There is no such number.
    NotFound,
    /// The service failed.
    Failed,
}

impl Unanswered {
    /// What a SIP status means for a call that nobody took (RFC 3261, section 21); `None` if the station gave it up.
    ///
    /// A phone that is off and a phone that rang in vain both lead to 480 or 408. Whether it rang tells them apart.
    fn of(code: i64, rang: bool) -> Option<Self> {
        use sip_status::*;
        match code {
            200..=299 | REQUEST_TERMINATED => None,
            REQUEST_TIMEOUT | FLOW_FAILED | TEMPORARILY_UNAVAILABLE if rang => Some(Self::NoAnswer),
            REQUEST_TIMEOUT | FLOW_FAILED | TEMPORARILY_UNAVAILABLE => Some(Self::NotReachable),
            BUSY_HERE | BUSY_EVERYWHERE => Some(Self::Busy),
            UNAUTHORIZED | FORBIDDEN | PROXY_AUTHENTICATION_REQUIRED => Some(Self::Declined),
            ANONYMITY_DISALLOWED | DECLINE | UNWANTED | REJECTED => Some(Self::Declined),
            NOT_FOUND | GONE | DOES_NOT_EXIST_ANYWHERE => Some(Self::NotFound),
            REQUEST_URI_TOO_LONG | UNSUPPORTED_URI_SCHEME | ADDRESS_INCOMPLETE | AMBIGUOUS => Some(Self::NotFound),
            _ => Some(Self::Failed),
        }
    }

    fn tone(self) -> Sound {
        match self {
            Self::NoAnswer => Sound::NoAnswer,
            Self::NotReachable => Sound::NotReachable,
            Self::Busy => Sound::Busy,
            Self::Declined => Sound::Refused,
            Self::NotFound => Sound::NotFound,
            Self::Failed => Sound::NoConnection,
        }
    }
}

impl std::fmt::Display for Unanswered {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::NoAnswer => "nobody answered",
            Self::NotReachable => "not reachable",
            Self::Busy => "busy",
            Self::Declined => "declined",
            Self::NotFound => "there is no such number",
            Self::Failed => "the call failed",
        })
    }
}

/// For example `480 Temporarily Unavailable`. What is missing is left out.
impl std::fmt::Display for Cause {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.code, self.text.as_str()) {
            (0, "") => formatter.write_str("without a reason"),
            (0, text) => formatter.write_str(text),
            (code, "") => write!(formatter, "{code}"),
            (code, text) => write!(formatter, "{code} {text}"),
        }
    }
}

impl Cause {
    pub(in crate::core) fn new(code: i64, text: impl Into<String>) -> Self {
        // Other numbers are not a SIP status.
        let code = if (100..=699).contains(&code) { code } else { 0 };
        Self { code, text: crate::plain_text::shortened(text.into().trim()), unanswered: None }
    }

    /// The same cause, for a call of ours that nobody took. `rang`: the far end rang.
    pub(in crate::core) fn of_unanswered(mut self, rang: bool) -> Self {
        self.unanswered = self.unanswered.or(Unanswered::of(self.code, rang));
        self
    }

    /// The server itself refused to call, so no far end was asked.
    pub(in crate::core) fn of_the_server(code: i64, text: impl Into<String>) -> Self {
        let mut cause = Self::new(code, text);
        // The codes of the server itself begin at 440; with 403 it refuses our session (docs/protocol.md, "Responses").
        cause.unanswered = (code == sip_status::FORBIDDEN || (440..=479).contains(&code)).then_some(Unanswered::Failed);
        cause
    }

    /// The tone that tells the person at the door why nobody answered.
    pub(in crate::core) fn tone(&self) -> Option<Sound> {
        self.unanswered.map(Unanswered::tone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_visitor_must_tell_apart_has_words_and_a_tone_of_its_own() {
        let told = |code, rang| Cause::new(code, "").of_unanswered(rang);
        let cases = [
            (480, true, Unanswered::NoAnswer),
            (408, true, Unanswered::NoAnswer),
            (480, false, Unanswered::NotReachable),
            (408, false, Unanswered::NotReachable),
            (486, true, Unanswered::Busy),
            (600, false, Unanswered::Busy),
            (603, true, Unanswered::Declined),
            (403, false, Unanswered::Declined),
            (404, false, Unanswered::NotFound),
            (484, false, Unanswered::NotFound),
            (503, false, Unanswered::Failed),
        ];
        for (code, rang, unanswered) in cases {
            assert_eq!(told(code, rang).unanswered, Some(unanswered), "{code}");
        }
        assert_eq!((told(200, true).tone(), told(487, true).tone()), (None, None), "given up here");
        let all = [0, 2, 4, 6, 8, 10].map(|index: usize| cases[index].2);
        for (index, one) in all.iter().enumerate() {
            assert!(
                all.iter().take(index).all(|other| other.tone() != one.tone() && other.to_string() != one.to_string())
            );
        }
    }
}
