//! Writes session descriptions: those that the library is given, and those that are sent.
//!
//! The library fixes its payload types at the first remote description (docs/workarounds.md, "webrtc: payload types
//! freeze at the first description"). So callbox negotiates the payload types of a call itself, and the library always
//! sees the first ones. A stream that the library has accepted continues with any payload type, and the payload types
//! of sent packets are written by [`super::super::wire_types`].

use super::payload::{Payload, PayloadMap};
use super::remote::Remote;
use super::sections::{MediaLine, Sections};
use super::{SdpDirection, Setup};
use crate::config::Codec;

/// The `o=` line of our descriptions: the same session in every description of a call, with a version that grows (RFC
/// 8866, section 5.2; RFC 3264, section 8).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    session: u32,
    version: u32,
}

impl Origin {
    pub(crate) fn new(session: u32) -> Self {
        Self { session, version: 0 }
    }

    fn next(&mut self) -> String {
        self.version = self.version.wrapping_add(1);
        format!("o=- {} {} IN IP4 0.0.0.0", self.session, self.version)
    }
}

impl Remote {
    /// Returns the description that the library is given: one audio line with only what the library needs
    /// (docs/workarounds.md, "webrtc: its reader of descriptions is strict"). Its direction is always `sendrecv`; the
    /// true direction is set on the transceiver (docs/workarounds.md, "webrtc: directions are not intersected").
    /// `setup` is the role of the far end in DTLS.
    pub(crate) fn to_apply(&self, mid: &str, formats: &PayloadMap, setup: Setup) -> String {
        let numbers: Vec<String> = formats.entries().iter().map(|(number, _)| number.to_string()).collect();
        let mut lines = vec![
            "v=0".to_owned(),
            "o=- 1 1 IN IP4 0.0.0.0".to_owned(),
            "s=-".to_owned(),
            "t=0 0".to_owned(),
            format!("a=group:BUNDLE {mid}"),
        ];
        lines.extend(self.ice_lite.then(|| "a=ice-lite".to_owned()));
        lines.push(format!("m=audio 9 UDP/TLS/RTP/SAVPF {}", numbers.join(" ")));
        lines.push("c=IN IP4 0.0.0.0".to_owned());
        lines.push(format!("a=mid:{mid}"));
        lines.push("a=rtcp-mux".to_owned());
        lines.push(format!("a=ice-ufrag:{}", self.ice_ufrag));
        lines.push(format!("a=ice-pwd:{}", self.ice_pwd));
        lines.push("a=ice-options:trickle".to_owned());
        lines.push(format!("a=fingerprint:{}", self.fingerprint.0));
        lines.push(setup.line().to_owned());
        lines.push(SdpDirection::SendRecv.line().to_owned());
        lines.extend(formats.entries().iter().flat_map(|entry| library_format(*entry)));
        lines.extend(self.ssrc.map(|ssrc| format!("a=ssrc:{ssrc} cname:far-end")));
        lines.extend(self.candidates.iter().map(|candidate| format!("a={candidate}")));
        lines.extend(self.all_candidates.then(|| "a=end-of-candidates".to_owned()));
        join(&lines)
    }

    /// Returns our answer as it is sent: with the accepted payload types, and with all other media lines of the offer
    /// refused.
    pub(crate) fn answer_to_send(&self, answer: &str, taken: &PayloadMap, setup: Setup, origin: &mut Origin) -> String {
        let ours = sent_sections(answer, taken, Some(setup), origin);
        let mut text = join(&ours.session);
        for (index, line) in self.media.iter().enumerate() {
            // An answer repeats the profile of the offer (RFC 8829, section 5.3.1).
            let taken = || join(&ours.audio).replacen(PROFILE, line.profile(), 1);
            text.push_str(&if index == self.audio { taken() } else { refused(line) });
        }
        text
    }
}

/// The profile in the library's own descriptions.
const PROFILE: &str = "UDP/TLS/RTP/SAVPF";

/// Returns the session part of a description that has no sound.
fn head(origin: &mut Origin) -> String {
    format!("v=0\r\n{}\r\ns=-\r\nt=0 0\r\n", origin.next())
}

/// Returns the answer that refuses every media line of an offer (RFC 3264, section 6). The call stays, without sound.
pub(crate) fn refuse_all(sdp: &str, origin: &mut Origin) -> Option<String> {
    let lines = Sections::cut(sdp).ok()?.lines();
    let refused: String = lines.iter().map(refused).collect();
    Some(head(origin) + &refused)
}

/// Returns our offer as it is sent.
pub(crate) fn offer_to_send(offer: &str, formats: &PayloadMap, origin: &mut Origin) -> String {
    let ours = sent_sections(offer, formats, None, origin);
    join(&ours.session) + &join(&ours.audio)
}

struct Sent {
    session: Vec<String>,
    audio: Vec<String>,
}

/// Takes the library's description and replaces its origin, payload types, Opus parameters and DTLS role with ours. The
/// result announces trickle ICE and contains no candidates; these are trickled. It is only sent: the library applies
/// nothing but its own text (docs/workarounds.md, "webrtc: only its own description can be applied").
fn sent_sections(sdp: &str, formats: &PayloadMap, setup: Option<Setup>, origin: &mut Origin) -> Sent {
    const OURS: [&str; 8] = [
        "a=rtpmap:",
        "a=fmtp:",
        "a=rtcp-fb:",
        "a=extmap:",
        "a=candidate:",
        "a=end-of-candidates",
        "a=ice-options:",
        "a=extmap-allow-mixed",
    ];
    let (mut session, mut audio): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for line in sdp.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        if line.starts_with("m=") {
            let head: Vec<&str> = line.split(' ').take(3).collect();
            let numbers: Vec<String> = formats.entries().iter().map(|(number, _)| number.to_string()).collect();
            audio.push(format!("{} {}", head.join(" "), numbers.join(" ")));
        } else if OURS.iter().any(|prefix| line.starts_with(prefix)) {
            continue;
        } else if line.starts_with("o=") {
            session.push(origin.next());
        } else {
            let into = if audio.is_empty() { &mut session } else { &mut audio };
            match setup {
                Some(setup) if line.starts_with("a=setup:") => into.push(setup.line().to_owned()),
                _ => into.push(line.to_owned()),
            }
            // docs/workarounds.md, "webrtc: the description lacks trickle".
            if line.starts_with("a=ice-pwd:") {
                into.push("a=ice-options:trickle".into());
            }
        }
    }
    audio.extend(formats.entries().iter().flat_map(|entry| format_lines(*entry)));
    Sent { session, audio }
}

/// Returns the lines of a format as they are sent. The library is never shown these parameters (docs/workarounds.md,
/// "webrtc: opus is dropped when parameters conflict").
fn format_lines((number, payload): (u8, Payload)) -> Vec<String> {
    let mut lines = vec![format!("a=rtpmap:{number} {}", payload.encoding())];
    lines.extend(match payload {
        Payload::Speech(Codec::Opus) => Some(format!("a=fmtp:{number} minptime=10;useinbandfec=1")),
        Payload::TelephoneEvent { .. } => Some(format!("a=fmtp:{number} 0-15")),
        Payload::Speech(_) => None,
    });
    lines
}

/// The library knows telephone events at 8000 Hz only, so those of another clock are shown to it as Opus; what the
/// library does with a payload type does not depend on the codec. It distinguishes formats of one codec by their
/// parameters, so each format gets a parameter of its own (docs/workarounds.md, "webrtc: formats are told apart by
/// their parameters").
fn library_format((number, payload): (u8, Payload)) -> [String; 2] {
    let known = match payload {
        Payload::TelephoneEvent { rate_hz } if rate_hz != super::payload::EVENT_RATE_HZ => Payload::Speech(Codec::Opus),
        known => known,
    };
    [format!("a=rtpmap:{number} {}", known.encoding()), format!("a=fmtp:{number} number={number}")]
}

/// Returns the section that refuses a media line: its port is 0 (RFC 3264, section 6).
fn refused(line: &MediaLine) -> String {
    let mut lines = vec![format!("m={} 0 {}", line.kind, line.rest)];
    lines.extend(line.mid.as_ref().map(|mid| format!("a=mid:{mid}")));
    lines.push(SdpDirection::Inactive.line().to_owned());
    join(&lines)
}

fn join(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.as_str(), "\r\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::super::remote::tests::offer;
    use super::*;

    const OURS: [(u8, Payload); 4] = [
        (111, Payload::Speech(Codec::Opus)),
        (8, Payload::Speech(Codec::Pcma)),
        (0, Payload::Speech(Codec::Pcmu)),
        (101, Payload::TelephoneEvent { rate_hz: 8_000 }),
    ];
    const OF_LIBRARY: &str = "v=0\r\no=- 7 7 IN IP4 0.0.0.0\r\ns=-\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 8 0 101\r\n\
        a=setup:passive\r\na=mid:0\r\na=ice-pwd:p\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 x=1\r\n\
        a=candidate:1 1 udp 1 192.0.2.1 1 typ host\r\na=end-of-candidates\r\n";

    fn answered(sdp: &str) -> String {
        let remote = Remote::parse(sdp).unwrap();
        let taken = remote.payloads().accepted(&[Codec::Opus, Codec::Pcmu]);
        remote.answer_to_send(OF_LIBRARY, &taken, Setup::Active, &mut Origin::new(9))
    }

    #[test]
    fn an_answer_has_the_numbers_of_the_offer_and_our_origin_role_and_parameters() {
        let sent = answered(&offer("102 0 96", "a=rtpmap:102 OPUS/48000\r\na=rtpmap:96 telephone-event/48000\r\n"));
        assert!(sent.contains("m=audio 9 UDP/TLS/RTP/SAVPF 102 0 96\r\n"), "{sent}");
        for line in [
            "o=- 9 1 IN IP4 0.0.0.0",
            "a=rtpmap:102 opus/48000/2",
            "a=fmtp:102 minptime=10;useinbandfec=1",
            "a=rtpmap:96 telephone-event/48000",
            "a=fmtp:96 0-15",
            "a=setup:active",
            "a=ice-options:trickle",
        ] {
            assert!(sent.contains(&format!("{line}\r\n")), "{line}: {sent}");
        }
        assert!(!sent.contains("candidate") && !sent.contains("111"), "{sent}");
    }

    #[test]
    fn video_is_refused_with_port_zero_in_its_place() {
        let sdp = offer("0", "a=mid:0\r\nm=video 9 UDP/TLS/RTP/SAVPF 100\r\na=mid:1\r\n");
        assert!(!Remote::parse(&sdp).unwrap().to_apply("0", &PayloadMap::default(), Setup::Active).contains("video"));
        let sent = answered(&sdp);
        assert!(sent.contains("m=video 0 UDP/TLS/RTP/SAVPF 100\r\na=mid:1\r\n"), "{sent}");
    }

    #[test]
    fn what_could_make_the_library_stumble_is_not_applied() {
        let odd = "a=fmtp:96 useinbandfec=0;minptime=20\r\nf=\r\na=sendonly\r\na=x-nobody-knows\r\n\
            a=candidate:1 1 ssltcp 1 192.0.2.1 443 typ host\r\na=candidate:1 1 udp 1 192.0.2.1 443 typ host\r\n";
        let remote = Remote::parse(&offer("96", &format!("a=rtpmap:96 opus/48000/2\r\n{odd}"))).unwrap();
        let applied = remote.to_apply("0", &remote.payloads().completed(&OURS), Setup::ActPass);
        for line in ["useinbandfec", "f=\r\n", "sendonly", "x-nobody-knows", "ssltcp"] {
            assert!(!applied.contains(line), "{line}: {applied}");
        }
        assert!(applied.contains("a=candidate:1 1 udp 1 192.0.2.1 443 typ host\r\n") && applied.contains("a=sendrecv"));
        assert_eq!(remote.unusable_candidates(), 1);
    }
}
