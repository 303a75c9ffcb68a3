//! RTP payload types: what each number stands for, in each direction of a call.

use crate::config::Codec;

/// What a payload type carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payload {
    Speech(Codec),
    /// DTMF as telephone events (RFC 4733). Their durations count ticks of `rate_hz`.
    TelephoneEvent {
        rate_hz: u32,
    },
}

/// The clock of telephone events that accompany G.711. Most senders use it with Opus as well.
pub(crate) const EVENT_RATE_HZ: u32 = 8_000;

impl Payload {
    /// Reads the value of an `rtpmap` attribute: encoding name, clock rate and channels (RFC 8866, section 6.6).
    ///
    /// Names are compared without regard to case. Opus is accepted with any number of channels or none: RFC 7587
    /// requires `opus/48000/2`, but not every sender follows it.
    pub(super) fn parse(encoding: &str) -> Option<Self> {
        let mut parts = encoding.split('/').map(str::trim);
        let name = parts.next()?.to_ascii_lowercase();
        let rate_hz: Option<u32> = match parts.next() {
            Some(rate) => Some(rate.parse().ok()?),
            None => None,
        };
        let channels = parts.next().unwrap_or("1");
        match (name.as_str(), rate_hz) {
            ("opus", None | Some(48_000)) => Some(Self::Speech(Codec::Opus)),
            ("pcmu", None | Some(8_000)) if channels == "1" => Some(Self::Speech(Codec::Pcmu)),
            ("pcma", None | Some(8_000)) if channels == "1" => Some(Self::Speech(Codec::Pcma)),
            ("telephone-event", None) => Some(Self::TelephoneEvent { rate_hz: EVENT_RATE_HZ }),
            ("telephone-event", Some(rate_hz @ 1_000..=192_000)) => Some(Self::TelephoneEvent { rate_hz }),
            _ => None,
        }
    }

    /// Returns the value of its `rtpmap` attribute.
    pub(super) fn encoding(self) -> String {
        match self {
            Self::Speech(Codec::Opus) => "opus/48000/2".into(),
            Self::Speech(Codec::Pcmu) => "PCMU/8000".into(),
            Self::Speech(Codec::Pcma) => "PCMA/8000".into(),
            Self::TelephoneEvent { rate_hz } => format!("telephone-event/{rate_hz}"),
        }
    }

    fn is_event(self) -> bool {
        matches!(self, Self::TelephoneEvent { .. })
    }
}

/// Ticks per second of a codec's RTP clock.
pub(crate) fn clock_rate_hz(codec: Codec) -> u32 {
    if codec == Codec::Opus { 48_000 } else { 8_000 }
}

/// The payload types of a description, in its order of preference.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PayloadMap(Vec<(u8, Payload)>);

impl PayloadMap {
    pub(crate) fn new(entries: Vec<(u8, Payload)>) -> Self {
        Self(entries)
    }

    pub(crate) fn entries(&self) -> &[(u8, Payload)] {
        &self.0
    }

    pub(crate) fn payload(&self, payload_type: u8) -> Option<Payload> {
        self.0.iter().find(|(number, _)| *number == payload_type).map(|(_, payload)| *payload)
    }

    fn lists(&self, payload_type: u8) -> bool {
        self.payload(payload_type).is_some()
    }

    pub(crate) fn speech_type(&self, codec: Codec) -> Option<u8> {
        self.0.iter().find(|(_, payload)| *payload == Payload::Speech(codec)).map(|(number, _)| *number)
    }

    /// Returns the payload type and the clock of the telephone events that accompany a codec: those with the clock of
    /// the codec if there are any (RFC 4733, section 2.1), otherwise those at 8000 Hz, otherwise the first ones.
    pub(crate) fn event_type(&self, codec: Codec) -> Option<(u8, u32)> {
        let rank = |rate_hz: u32| match rate_hz {
            rate_hz if rate_hz == clock_rate_hz(codec) => 0,
            EVENT_RATE_HZ => 1,
            _ => 2,
        };
        let events = self.0.iter().filter_map(|(number, payload)| match payload {
            Payload::TelephoneEvent { rate_hz } => Some((*number, *rate_hz)),
            Payload::Speech(_) => None,
        });
        events.min_by_key(|(_, rate_hz)| rank(*rate_hz))
    }

    /// Whether the description has telephone events.
    pub(crate) fn has_events(&self) -> bool {
        self.0.iter().any(|(_, payload)| payload.is_event())
    }

    /// Returns the first codec of the description that is also one of ours.
    pub(crate) fn preferred(&self, ours: &[Codec]) -> Option<Codec> {
        self.0.iter().find_map(|(_, payload)| match payload {
            Payload::Speech(codec) if ours.contains(codec) => Some(*codec),
            _ => None,
        })
    }

    /// Returns what we accept of an offer: our codecs, and the telephone events with the clock of such a codec. If no
    /// clock matches, all telephone events are accepted.
    pub(crate) fn accepted(&self, ours: &[Codec]) -> Self {
        let speech = |payload: &Payload| matches!(payload, Payload::Speech(codec) if ours.contains(codec));
        let clock = |rate_hz: u32| {
            ours.iter().any(|codec| self.speech_type(*codec).is_some() && clock_rate_hz(*codec) == rate_hz)
        };
        let fits = |payload: &Payload| matches!(payload, Payload::TelephoneEvent { rate_hz } if clock(*rate_hz));
        let any_fits = self.0.iter().any(|(_, payload)| fits(payload));
        let taken = |payload: &Payload| speech(payload) || payload.is_event() && (!any_fits || fits(payload));
        Self(self.0.iter().filter(|(_, payload)| taken(payload)).copied().collect())
    }

    /// Returns the entries of this map and those of `ours` that it lacks, under numbers that are still free. An entry
    /// of `ours` keeps its number if it can.
    pub(crate) fn completed(&self, ours: &[(u8, Payload)]) -> Self {
        let mut map = self.clone();
        for (number, payload) in ours {
            let known =
                if payload.is_event() { map.has_events() } else { map.0.iter().any(|(_, listed)| listed == payload) };
            let free = |number: &u8| !map.lists(*number);
            if !known && let Some(number) = std::iter::once(*number).chain(96..=127).find(free) {
                map.0.push((number, *payload));
            }
        }
        map
    }
}

/// What the payload types of received packets stand for.
///
/// A far end may change its payload types in the middle of a call, while packets with the old ones are still on their
/// way. Besides, some senders use the payload types of our description and others those of theirs. So several maps are
/// kept, the most likely one first (docs/workarounds.md, "far ends: payload types of either description are used").
#[derive(Debug, Clone, Default)]
pub(crate) struct ReceiveMap(Vec<PayloadMap>);

/// Number of maps that are kept: ours and theirs, of this negotiation and of the one before it.
const MAPS: usize = 4;

impl ReceiveMap {
    /// Adds the maps of a new negotiation, before those of the last one.
    pub(crate) fn negotiated(&mut self, maps: [PayloadMap; 2]) {
        self.0.splice(0..0, maps);
        self.0.dedup();
        self.0.truncate(MAPS);
    }

    /// Returns what a packet carries. Where one map says speech and another says events, the shape of the packet
    /// decides.
    pub(crate) fn classify(&self, payload_type: u8, payload: &[u8]) -> Option<Payload> {
        let meanings = || self.0.iter().filter_map(|map| map.payload(payload_type));
        let event = meanings().find(|meaning| meaning.is_event());
        let speech = meanings().find(|meaning| !meaning.is_event());
        match (event, speech) {
            (Some(event), Some(speech)) => Some(if is_event_shaped(payload) { event } else { speech }),
            (event, speech) => event.or(speech),
        }
    }
}

/// Whether a payload has the shape of a telephone event: four octets, an event number from 0 to 16 and a clear reserved
/// bit (RFC 4733, section 2.3).
fn is_event_shaped(payload: &[u8]) -> bool {
    matches!(payload, [0..=16, flags, _, _] if flags & 0x40 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPUS: Payload = Payload::Speech(Codec::Opus);
    const PCMU: Payload = Payload::Speech(Codec::Pcmu);
    const EVENTS: Payload = Payload::TelephoneEvent { rate_hz: 8_000 };
    const WIDE_EVENTS: Payload = Payload::TelephoneEvent { rate_hz: 48_000 };

    fn map(entries: &[(u8, Payload)]) -> PayloadMap {
        PayloadMap::new(entries.to_vec())
    }

    #[test]
    fn codecs_are_known_by_name_however_it_is_written() {
        for encoding in ["opus/48000/2", "opus/48000", "opus/48000/1", "OPUS/48000/2", "Opus", "opus / 48000"] {
            assert_eq!(Payload::parse(encoding), Some(OPUS), "{encoding}");
        }
        for encoding in ["PCMU/8000", "pcmu/8000/1", "PCMU"] {
            assert_eq!(Payload::parse(encoding), Some(PCMU), "{encoding}");
        }
        for encoding in ["opus/16000", "opus/x", "PCMU/16000", "PCMU/8000/2", "G722/8000", "", "/8000"] {
            assert_eq!(Payload::parse(encoding), None, "{encoding}");
        }
        assert_eq!(Payload::parse("telephone-event/48000"), Some(WIDE_EVENTS));
    }

    #[test]
    fn events_go_in_the_clock_of_the_codec_where_there_are_any() {
        let both = map(&[(111, OPUS), (0, PCMU), (110, WIDE_EVENTS), (101, EVENTS)]);
        assert_eq!(both.event_type(Codec::Opus), Some((110, 48_000)));
        assert_eq!(both.event_type(Codec::Pcmu), Some((101, 8_000)));
        let narrow = map(&[(111, OPUS), (101, EVENTS)]);
        assert_eq!(narrow.event_type(Codec::Opus), Some((101, 8_000)));
    }

    #[test]
    fn an_answer_takes_events_in_the_clock_of_a_codec_that_it_takes_and_all_where_none_fits() {
        let offered = map(&[(0, PCMU), (100, Payload::TelephoneEvent { rate_hz: 16_000 }), (101, EVENTS)]);
        assert_eq!(offered.accepted(&[Codec::Pcmu]).entries(), [(0, PCMU), (101, EVENTS)]);
        let opus = map(&[(111, OPUS), (0, PCMU), (101, EVENTS)]);
        assert_eq!(opus.accepted(&[Codec::Opus]).entries(), [(111, OPUS), (101, EVENTS)]);
    }

    #[test]
    fn packets_with_the_old_numbers_are_understood_until_the_far_end_has_our_answer() {
        let mut receive = ReceiveMap::default();
        let first = map(&[(111, OPUS), (101, EVENTS)]);
        receive.negotiated([first.clone(), first]);
        let swapped = map(&[(101, OPUS), (111, EVENTS)]);
        receive.negotiated([swapped.clone(), swapped]);
        let speech = [0x78_u8; 60];
        let event = [5, 10, 0, 160];
        for number in [101, 111] {
            assert_eq!(receive.classify(number, &speech), Some(OPUS), "{number}");
            assert_eq!(receive.classify(number, &event), Some(EVENTS), "{number}");
        }
        assert_eq!(receive.classify(96, &speech), None);
    }

    #[test]
    fn what_an_offer_lacks_is_offered_under_free_numbers() {
        let theirs = map(&[(8, OPUS), (0, PCMU)]);
        let ours = [(111, OPUS), (8, Payload::Speech(Codec::Pcma)), (0, PCMU), (101, EVENTS)];
        let completed = theirs.completed(&ours);
        assert_eq!(completed.entries(), [(8, OPUS), (0, PCMU), (96, Payload::Speech(Codec::Pcma)), (101, EVENTS)]);
    }
}
