//! Reads a session description of the far end. It is strict about what callbox needs, and lenient about the rest
//! (docs/workarounds.md, "webrtc: its reader of descriptions is strict").

use super::payload::{Payload, PayloadMap};
use super::sections::{DescriptionError, MediaLine, Sections, attribute, attributes};
use super::{SdpDirection, Setup, candidate};
use crate::config::Codec;
use crate::network::Nat64Prefix;

/// Number of candidates that are taken from one description.
const MAX_CANDIDATES: usize = 64;

/// A DTLS fingerprint (RFC 8122), in a normalised form in which two of them can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint(pub(super) String);

/// What callbox needs from a description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remote {
    /// All media lines; the one at index `audio` is used.
    pub(super) media: Vec<MediaLine>,
    pub(super) audio: usize,
    pub(super) mid: String,
    pub(super) payloads: PayloadMap,
    pub(super) direction: SdpDirection,
    pub(super) fingerprint: Fingerprint,
    pub(super) setup: Option<Setup>,
    pub(super) ice_ufrag: String,
    pub(super) ice_pwd: String,
    pub(super) ice_lite: bool,
    pub(super) candidates: Vec<String>,
    pub(super) all_candidates: bool,
    /// The SSRC of the far end's stream, if the description names it.
    pub(super) ssrc: Option<u32>,
    /// Number of candidate lines that are left out: unusable ones, and those beyond [`MAX_CANDIDATES`].
    pub(super) unusable_candidates: u32,
    /// The names of the far end's codecs, for error messages.
    codec_names: String,
}

impl Remote {
    /// Reads a description that must have an active audio line.
    pub(crate) fn parse(sdp: &str) -> Result<Self, DescriptionError> {
        let sections = Sections::cut(sdp)?;
        let audio = sections.audio().ok_or(DescriptionError::NoAudio)?;
        let media = sections.lines();
        let section = sections.media.get(audio).map(Vec::as_slice).unwrap_or_default();
        // An attribute of the media line has precedence over one of the whole session.
        let find = |name: &str| attribute(section, name).or_else(|| attribute(&sections.session, name));
        let profile = section.first().and_then(|line| line.split_whitespace().nth(2)).unwrap_or_default();
        let fingerprint = fingerprint(section).or_else(|| fingerprint(&sections.session));
        let Some(fingerprint) = fingerprint else {
            let profile = crate::plain_text::shortened(profile);
            return Err(match find("fingerprint") {
                Some(value) => {
                    let hash = value.split_whitespace().next().unwrap_or("empty");
                    DescriptionError::BadFingerprint(crate::plain_text::shortened(hash))
                }
                None if find("crypto").is_some() => DescriptionError::KeysInSdp(profile),
                None if profile.to_ascii_uppercase().contains("TLS") => DescriptionError::NoFingerprint,
                None => DescriptionError::NoEncryption(profile),
            });
        };
        let ice = |name: &str, least: usize| {
            let usable =
                |value: &&str| (least..=256).contains(&value.len()) && value.chars().all(|c| c.is_ascii_graphic());
            find(name).filter(usable).map(str::to_owned).ok_or(DescriptionError::NoIce)
        };
        let mut candidates = Vec::new();
        let mut unusable_candidates = 0;
        for line in attributes(section, "candidate").chain(attributes(&sections.session, "candidate")) {
            match candidate::usable(line) {
                Some(usable) if candidates.len() < MAX_CANDIDATES => candidates.push(usable),
                _ => unusable_candidates += 1,
            }
        }
        let flag = |name: &str| [section, &sections.session].iter().any(|lines| lines.contains(&name));
        let direction = |lines: &[&str]| lines.iter().rev().find_map(|line| SdpDirection::parse(line));
        Ok(Self {
            audio,
            mid: media.get(audio).and_then(|line| line.mid.clone()).filter(|mid| is_token(mid)).unwrap_or("0".into()),
            media,
            payloads: payloads(section),
            direction: direction(section).or_else(|| direction(&sections.session)).unwrap_or(SdpDirection::SendRecv),
            fingerprint,
            setup: find("setup").and_then(Setup::parse),
            ice_ufrag: ice("ice-ufrag", 4)?,
            ice_pwd: ice("ice-pwd", 22)?,
            ice_lite: flag("a=ice-lite"),
            all_candidates: flag("a=end-of-candidates"),
            candidates,
            ssrc: attributes(section, "ssrc").find_map(|value| value.split(' ').next()?.parse().ok()),
            unusable_candidates,
            codec_names: codec_names(section),
        })
    }

    /// The same description, with each IPv4 candidate a second time as a NAT64 reaches it.
    pub(crate) fn through_nat64(mut self, nat64: Nat64Prefix) -> Self {
        let more: Vec<String> =
            self.candidates.iter().filter_map(|candidate| candidate::through_nat64(candidate, nat64)).collect();
        self.candidates.extend(more);
        self
    }

    pub(crate) fn direction(&self) -> SdpDirection {
        self.direction
    }

    pub(crate) fn mid(&self) -> &str {
        &self.mid
    }

    pub(crate) fn payloads(&self) -> &PayloadMap {
        &self.payloads
    }

    /// The addresses of the candidates in the description.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = std::net::SocketAddr> {
        self.candidates.iter().filter_map(|candidate| candidate::address(candidate))
    }

    /// The SSRC of the far end's stream, if the description names it.
    pub(crate) fn ssrc(&self) -> Option<u32> {
        self.ssrc
    }

    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    pub(crate) fn setup(&self) -> Option<Setup> {
        self.setup
    }

    pub(crate) fn unusable_candidates(&self) -> u32 {
        self.unusable_candidates
    }

    /// Returns the codec to send: the first codec of the far end that is also one of ours.
    pub(crate) fn codec(&self, ours: &[Codec]) -> Result<Codec, DescriptionError> {
        let none = || DescriptionError::NoCodec {
            theirs: self.codec_names.clone(),
            ours: ours.iter().map(|codec| codec.name()).collect::<Vec<_>>().join(", "),
        };
        self.payloads.preferred(ours).ok_or_else(none)
    }
}

/// Returns the names of the formats for error messages, or the number of a format that has no name.
fn codec_names(section: &[&str]) -> String {
    let name = |number: &str| {
        let mapped = attributes(section, "rtpmap").find_map(|value| {
            let (mapped, encoding) = value.split_once(char::is_whitespace)?;
            (mapped == number).then(|| encoding.trim().to_owned())
        });
        let usable = number.parse().is_ok_and(|number: u8| is_payload_type(number));
        let why = if usable { "" } else { " (reserved for RTCP, or not a payload type)" };
        mapped.unwrap_or_else(|| number.to_owned()) + why
    };
    let formats = section.first().copied().unwrap_or_default().split_whitespace().skip(3);
    let names: Vec<String> = formats.map(name).filter(|name| !name.starts_with("telephone-event")).collect();
    if names.is_empty() { "none".into() } else { crate::plain_text::shortened(&names.join(", ")) }
}

/// Where RTP and RTCP share a port, the numbers from 64 to 95 are taken for RTCP (RFC 5761, section 4).
fn is_payload_type(number: u8) -> bool {
    matches!(number, 0..=63 | 96..=127)
}

/// Whether a text can be written as the value of an attribute without harm to the lines around it.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.len() <= 256 && text.chars().all(|c| c.is_ascii_graphic())
}

/// Returns a fingerprint of a section with a hash function that the library knows. sha-256 has precedence over the
/// longer ones.
fn fingerprint(section: &[&str]) -> Option<Fingerprint> {
    const HASHES: [&str; 3] = ["sha-256", "sha-384", "sha-512"];
    let known = attributes(section, "fingerprint").filter_map(|value| {
        let (hash, digest) = value.split_once(char::is_whitespace)?;
        let (hash, digest) = (hash.to_ascii_lowercase(), digest.trim().to_ascii_uppercase());
        let rank = HASHES.iter().position(|known| *known == hash)?;
        let is_digest = digest.len() <= 200 && digest.split(':').all(|byte| u8::from_str_radix(byte, 16).is_ok());
        is_digest.then(|| (rank, Fingerprint(format!("{hash} {digest}"))))
    });
    known.min_by_key(|(rank, _)| *rank).map(|(_, fingerprint)| fingerprint)
}

/// Returns the payload types of an audio section that callbox knows, in the order of the section.
fn payloads(section: &[&str]) -> PayloadMap {
    let listed: Vec<u8> = section
        .first()
        .map(|line| line.split_whitespace().skip(3).filter_map(|number| number.parse().ok()).collect())
        .unwrap_or_default();
    let mapped: Vec<(u8, Option<Payload>)> = attributes(section, "rtpmap")
        .filter_map(|value| {
            let (number, encoding) = value.split_once(char::is_whitespace)?;
            Some((number.parse().ok()?, Payload::parse(encoding.trim())))
        })
        .collect();
    let clocks: Vec<u32> = mapped
        .iter()
        .filter_map(|(_, payload)| match payload {
            Some(Payload::Speech(codec)) => Some(super::payload::clock_rate_hz(*codec)),
            _ => None,
        })
        .chain(listed.iter().any(|number| matches!(number, 0 | 8)).then_some(super::payload::EVENT_RATE_HZ))
        .collect();
    let meaning = |number: u8| {
        // Some senders map one number to events of several clocks (docs/workarounds.md, "far ends: one number stands
        // for events of several clocks").
        let meanings = mapped.iter().filter(|(mapped, _)| *mapped == number).map(|(_, payload)| *payload);
        let rank = |payload: &Option<Payload>| match payload {
            Some(Payload::TelephoneEvent { rate_hz }) if !clocks.contains(rate_hz) => 1,
            Some(_) => 0,
            None => 2,
        };
        match meanings.min_by_key(rank) {
            Some(payload) => payload,
            // Static payload types need no rtpmap (RFC 3551, section 6).
            None if number == 0 => Some(Payload::Speech(Codec::Pcmu)),
            None if number == 8 => Some(Payload::Speech(Codec::Pcma)),
            None => None,
        }
    };
    let mut entries: Vec<(u8, Payload)> = Vec::new();
    for number in listed.into_iter().filter(|number| is_payload_type(*number)) {
        if let Some(payload) = meaning(number)
            && !entries.iter().any(|(other, _)| *other == number)
        {
            entries.push((number, payload));
        }
    }
    PayloadMap::new(entries)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An offer with these formats. `attributes` are further lines of its audio section.
    pub(crate) fn offer(formats: &str, attributes: &str) -> String {
        format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\na=fingerprint:sha-256 AA:0b\r\n\
             m=audio 9 UDP/TLS/RTP/SAVPF {formats}\r\nc=IN IP4 192.0.2.1\r\na=ice-ufrag:abcd\r\n\
             a=ice-pwd:abcdefghijklmnopqrstuv\r\n{attributes}"
        )
    }

    fn formats(sdp: &str) -> Vec<(u8, Payload)> {
        Remote::parse(sdp).unwrap().payloads().entries().to_vec()
    }

    const EVENTS: Payload = Payload::TelephoneEvent { rate_hz: 8_000 };

    #[test]
    fn the_far_ends_payload_types_are_read_in_its_order() {
        let sdp = offer("96 0 8 101", "a=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\na=mid:0\r\n");
        let expected = [
            (96, Payload::Speech(Codec::Opus)),
            (0, Payload::Speech(Codec::Pcmu)),
            (8, Payload::Speech(Codec::Pcma)),
            (101, EVENTS),
        ];
        assert_eq!(formats(&sdp), expected);
    }

    #[test]
    fn events_in_several_clocks_are_found_whatever_their_order() {
        let one_number = "a=rtpmap:101 telephone-event/16000\r\na=rtpmap:101 telephone-event/8000\r\n";
        assert_eq!(formats(&offer("0 101", one_number)), [(0, Payload::Speech(Codec::Pcmu)), (101, EVENTS)]);
        let two = "a=rtpmap:100 telephone-event/16000\r\na=rtpmap:101 telephone-event/8000\r\n";
        assert_eq!(formats(&offer("0 100 101", two)).last(), Some(&(101, EVENTS)));
    }

    #[test]
    fn a_hold_is_seen_at_the_media_line_or_for_the_whole_session() {
        for (attributes, session) in [("a=sendonly\r\na=mid:0\r\n", ""), ("a=mid:0\r\n", "a=inactive\r\n")] {
            let sdp = offer("0", attributes).replace("s=-\r\n", &format!("s=-\r\n{session}"));
            assert!(Remote::parse(&sdp).unwrap().direction().is_hold());
        }
    }

    #[test]
    fn lines_in_another_order_or_unknown_cost_nothing() {
        let sdp =
            offer("0", "a=mid:0\r\n").replace("t=0 0\r\n", "t=0 0\r\nc=IN IP4 192.0.2.1\r\nb=AS:64\r\nf=\r\nx\r\n");
        assert_eq!(Remote::parse(&sdp).map(|remote| remote.mid), Ok("0".to_owned()));
        assert_eq!(Remote::parse(&sdp.replace("\r\n", "\r")).map(|remote| remote.mid), Ok("0".to_owned()));
        let long_mid = "3f2504e0-4f89-11d3-9a0c-0305e82c3301";
        let named = sdp.replace("a=mid:0", &format!("a=mid:{long_mid}")).replace("sha-256 ", "sha-256\t");
        assert_eq!(Remote::parse(&named).map(|remote| remote.mid), Ok(long_mid.to_owned()));
        assert_eq!(Remote::parse(&sdp.replace("\r\n", "\n")).map(|remote| remote.mid), Ok("0".to_owned()));
    }

    #[test]
    fn descriptions_that_cannot_be_used_are_reported_in_terms_of_sdp() {
        let good = offer("0", "");
        let cases = [
            ("", DescriptionError::NotSdp, 415),
            ("{\"a\":1}", DescriptionError::NotSdp, 415),
            ("v=0\r\ns=-\r\n", DescriptionError::NoMedia, 400),
            ("v=0\r\nm=video 9 X 100\r\n", DescriptionError::NoAudio, 488),
            ("v=0\r\nm=audio 0 X 0\r\n", DescriptionError::NoAudio, 488),
            ("v=0\r\nm=audio 4000 RTP/AVP 0\r\n", DescriptionError::NoEncryption("RTP/AVP".into()), 488),
            (
                "v=0\r\nm=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n",
                DescriptionError::KeysInSdp("RTP/SAVP".into()),
                488,
            ),
            ("v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n", DescriptionError::NoFingerprint, 488),
            (
                "v=0\r\na=fingerprint:sha-1 AA:0b\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n",
                DescriptionError::BadFingerprint("sha-1".into()),
                488,
            ),
            (&good.replace("a=ice-ufrag:abcd\r\n", ""), DescriptionError::NoIce, 488),
            (&good.replace("abcdefghijklmnopqrstuv", "short"), DescriptionError::NoIce, 488),
        ];
        for (sdp, error, code) in cases {
            assert_eq!(error.sip_code(), code, "{error}");
            assert_eq!(Remote::parse(sdp), Err(error), "{sdp}");
        }
        let other = Remote::parse(&offer("9", "a=rtpmap:9 G722/8000\r\n")).unwrap().codec(&[Codec::Opus]).unwrap_err();
        assert_eq!(
            other.to_string(),
            "no codec that both sides know: the far end has G722/8000, media.codecs has opus"
        );
    }
}
