//! How digits of the far end arrive: as telephone events (RFC 4733), as tones in its sound, or in both ways.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::time::Time;
use crate::secret::DtmfDigit;

/// A gateway may leave a digit in the sound and also send it as an event. Both arrive within this time
/// (docs/workarounds.md, "gateways: a digit comes as a tone and as an event").
const TONE_AND_EVENT: Duration = Duration::from_millis(500);

/// What is known of the way in which digits arrive in one call. Each digit must count once.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct FarEndDigits {
    /// The far end has sent a digit as a telephone event.
    has_sent_event: bool,
    /// Whether digits can arrive as telephone events; `None` until that is negotiated.
    telephone_events: Option<bool>,
    /// The last tone that counted, and when it was heard.
    last_tone: Option<(DtmfDigit, Time)>,
}

impl FarEndDigits {
    /// A digit arrived as a telephone event. From now on tones are ignored, because they may be the same digits.
    /// Returns whether the digit counts: it does not if its tone has counted already.
    pub(super) fn event(&mut self, digit: DtmfDigit, now: Time) -> bool {
        self.has_sent_event = true;
        !self.last_tone.take().is_some_and(|(tone, at)| tone == digit && now.since(at) < TONE_AND_EVENT)
    }

    /// Whether tones count.
    pub(super) fn tones_count(&self) -> bool {
        !self.has_sent_event
    }

    /// A tone has counted.
    pub(super) fn note_tone(&mut self, digit: DtmfDigit, now: Time) {
        self.last_tone = Some((digit, now));
    }

    /// The descriptions of both sides say whether there are telephone events. Returns what they said before.
    pub(super) fn negotiated(&mut self, telephone_events: bool) -> Option<bool> {
        self.telephone_events.replace(telephone_events)
    }

    pub(super) fn telephone_events(&self) -> Option<bool> {
        self.telephone_events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digit_that_comes_as_a_tone_and_as_an_event_counts_once() {
        let mut digits = FarEndDigits::default();
        digits.note_tone(DtmfDigit('5'), Time(0));
        assert!(!digits.event(DtmfDigit('5'), Time(499)));
        assert!(!digits.tones_count());
        assert!(digits.event(DtmfDigit('5'), Time(600)), "the next one is another digit");
    }
}
