//! Session descriptions: what must be known of the far end's, what must be mended before the
//! WebRTC library sees it, and what must be mended in ours before it is sent.
//!
//! Source: `stack.md`, "webrtc 0.21.1 against a real Janus"; RFC 8866, RFC 8829, RFC 8840.

use crate::config::Codec;

/// The certificate's fingerprint, wherever it stands (RFC 8122).
pub(super) fn fingerprint(sdp: &str) -> Option<String> {
    sdp.lines().find_map(|line| line.trim().strip_prefix("a=fingerprint:")).map(str::to_ascii_lowercase)
}

/// Direction of an m-line, as its writer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SdpDirection {
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

    /// The writer wants no sound from us: hold.
    pub(super) fn is_hold(self) -> bool {
        matches!(self, Self::SendOnly | Self::Inactive)
    }
}

/// What a payload type carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Payload {
    Speech(Codec),
    TelephoneEvent,
}

/// The payload types of a description, in its order of preference.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct PayloadMap(Vec<(u8, Payload)>);

impl PayloadMap {
    pub(super) fn payload(&self, payload_type: u8) -> Option<Payload> {
        self.0.iter().find(|(number, _)| *number == payload_type).map(|(_, payload)| *payload)
    }

    pub(super) fn payload_type(&self, payload: Payload) -> Option<u8> {
        self.0.iter().find(|(_, of)| *of == payload).map(|(number, _)| *number)
    }

    /// The first codec of the list that is also one of ours.
    pub(super) fn preferred(&self, ours: &[Codec]) -> Option<Codec> {
        self.0.iter().find_map(|(_, payload)| match payload {
            Payload::Speech(codec) if ours.contains(codec) => Some(*codec),
            _ => None,
        })
    }

    /// Adds the entries of another map whose numbers are free here.
    pub(super) fn merge(&mut self, other: &PayloadMap) {
        for entry in &other.0 {
            if self.payload(entry.0).is_none() {
                self.0.push(*entry);
            }
        }
    }
}

/// A description of the far end, read leniently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remote {
    /// Lines before the first m-line.
    session: Vec<String>,
    /// Each m-line with its attributes.
    media: Vec<Vec<String>>,
    /// Index of the first audio m-line.
    audio: usize,
}

/// Why a description is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum SdpError {
    #[error("the far end's description has no audio")]
    NoAudio,
}

impl Remote {
    pub(super) fn parse(sdp: &str) -> Result<Self, SdpError> {
        let mut session = Vec::new();
        let mut media: Vec<Vec<String>> = Vec::new();
        for line in sdp.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
            if line.starts_with("m=") {
                media.push(vec![line.to_owned()]);
            } else if let Some(section) = media.last_mut() {
                section.push(line.to_owned());
            } else {
                session.push(line.to_owned());
            }
        }
        let audio = media
            .iter()
            .position(|section| {
                section.first().is_some_and(|line| line.starts_with("m=audio ") && !line.starts_with("m=audio 0 "))
            })
            .ok_or(SdpError::NoAudio)?;
        Ok(Self { session, media, audio })
    }

    fn audio_lines(&self) -> &[String] {
        self.media.get(self.audio).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn direction(&self) -> SdpDirection {
        let last = |lines: &[String]| lines.iter().rev().find_map(|line| SdpDirection::parse(line));
        last(self.audio_lines()).or_else(|| last(&self.session)).unwrap_or(SdpDirection::SendRecv)
    }

    pub(super) fn mid(&self) -> String {
        self.audio_lines().iter().find_map(|line| line.strip_prefix("a=mid:")).unwrap_or("0").to_owned()
    }

    pub(super) fn payloads(&self) -> PayloadMap {
        payloads(self.audio_lines())
    }

    /// The text to apply: one audio m-line with everything the library needs, and the codecs of
    /// ours that it lacks (they are frozen at the first description), whatever its direction.
    pub(super) fn to_apply(&self, mid: &str, ours: &[(u8, Payload)]) -> String {
        let mut session: Vec<String> = self
            .session
            .iter()
            .filter(|line| !line.starts_with("a=group:") && SdpDirection::parse(line).is_none())
            .cloned()
            .collect();
        session.push(format!("a=group:BUNDLE {mid}"));
        let map = self.payloads();
        let mut added: Vec<(u8, Payload)> = Vec::new();
        for (number, payload) in ours {
            if map.payload_type(*payload).is_none() {
                let taken = |number: u8| added.iter().any(|(other, _)| *other == number) || self.lists(number);
                if let Some(number) = std::iter::once(*number).chain(96..=127).find(|number| !taken(*number)) {
                    added.push((number, *payload));
                }
            }
        }
        let mut audio = self.mended_audio(mid, &map);
        if let Some(first) = audio.first_mut() {
            for (number, _) in &added {
                first.push_str(&format!(" {number}"));
            }
        }
        audio.extend(added.iter().map(|(number, payload)| rtpmap(*number, *payload)));
        join(session.iter().chain(&audio))
    }

    fn lists(&self, number: u8) -> bool {
        let number = number.to_string();
        self.audio_lines().first().is_some_and(|line| line.split(' ').skip(3).any(|listed| listed == number))
    }

    /// The audio m-line with known payload types only, an rtpmap for each, no fmtp that could
    /// conflict, `sendrecv` (the true direction is set on the transceiver), and its mid.
    fn mended_audio(&self, mid: &str, map: &PayloadMap) -> Vec<String> {
        let lines = self.audio_lines();
        let head: Vec<&str> = lines.first().map(|line| line.splitn(4, ' ').collect()).unwrap_or_default();
        let port = head.get(1).copied().unwrap_or("9");
        let profile = head.get(2).copied().unwrap_or("UDP/TLS/RTP/SAVPF");
        let numbers: Vec<String> = map.0.iter().map(|(number, _)| number.to_string()).collect();
        let mut mended = vec![format!("m=audio {port} {profile} {}", numbers.join(" "))];
        mended.extend(
            lines
                .iter()
                .skip(1)
                .filter(|line| {
                    let unwanted = ["a=rtpmap:", "a=fmtp:", "a=rtcp-fb:", "a=extmap:", "a=mid:"];
                    !unwanted.iter().any(|prefix| line.starts_with(prefix))
                        && SdpDirection::parse(line).is_none()
                        && !is_local_candidate(line)
                })
                .cloned(),
        );
        mended.extend(map.0.iter().map(|(number, payload)| rtpmap(*number, *payload)));
        mended.push(format!("a=mid:{mid}"));
        mended.push(SdpDirection::SendRecv.line().to_owned());
        mended
    }

    /// Our answer as it is sent: without the codecs that were only added for the library, with the
    /// further m-lines of the offer refused.
    pub(super) fn answer_to_send(&self, answer: &str) -> String {
        let map = self.payloads();
        let offered = |number: &str| number.parse().ok().and_then(|number: u8| map.payload(number)).is_some();
        let mended = to_send(answer);
        let (session, audio): (Vec<&str>, Vec<&str>) = {
            let lines: Vec<&str> = mended.lines().collect();
            let start = lines.iter().position(|line| line.starts_with("m=")).unwrap_or(lines.len());
            (lines.iter().take(start).copied().collect(), lines.iter().skip(start).copied().collect())
        };
        let mut sections: Vec<String> = Vec::new();
        for (index, section) in self.media.iter().enumerate() {
            if index == self.audio {
                sections.extend(audio.iter().filter_map(|line| kept_line(line, &offered)));
            } else if let Some(line) = section.first() {
                sections.extend(refused(line, section));
            }
        }
        join(session.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>().iter().chain(&sections))
    }
}

/// An m-line of the answer's audio section, cut down to what was offered.
fn kept_line(line: &str, offered: &impl Fn(&str) -> bool) -> Option<String> {
    if line.starts_with("m=audio ") {
        let mut parts: Vec<&str> = line.split(' ').collect();
        let numbers: Vec<&str> = parts.split_off(3.min(parts.len()));
        let mut seen = Vec::new();
        for number in numbers {
            if offered(number) && !seen.contains(&number) {
                seen.push(number);
            }
        }
        return Some(format!("{} {}", parts.join(" "), seen.join(" ")));
    }
    for prefix in ["a=rtpmap:", "a=fmtp:", "a=rtcp-fb:"] {
        if let Some(rest) = line.strip_prefix(prefix) {
            let number = rest.split(' ').next().unwrap_or_default();
            return offered(number).then(|| line.to_owned());
        }
    }
    Some(line.to_owned())
}

/// A further m-line, refused with port 0 (RFC 8866, 5.14).
fn refused(line: &str, section: &[String]) -> Vec<String> {
    let parts: Vec<&str> = line.split(' ').collect();
    let kind = parts.first().copied().unwrap_or("m=video");
    let mut lines = vec![format!("{kind} 0 {}", parts.get(2..).unwrap_or_default().join(" "))];
    lines.extend(section.iter().find(|line| line.starts_with("a=mid:")).cloned());
    lines.push("a=inactive".into());
    lines
}

/// Our description as it is sent: our Opus parameters, trickle announced, candidates left to
/// trickle.
pub(super) fn to_send(sdp: &str) -> String {
    let opus = sdp.lines().find_map(|line| {
        let (number, name) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
        name.to_ascii_lowercase().starts_with("opus/").then(|| number.to_owned())
    });
    let mut lines: Vec<String> = Vec::new();
    for line in sdp.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        let of_opus = opus.as_ref().is_some_and(|number| line.starts_with(&format!("a=fmtp:{number} ")));
        if of_opus
            || line.starts_with("a=candidate:")
            || line == "a=end-of-candidates"
            || line.starts_with("a=ice-options:")
        {
            continue;
        }
        lines.push(line.to_owned());
        if let Some(number) = &opus
            && line.starts_with(&format!("a=rtpmap:{number} "))
        {
            lines.push(format!("a=fmtp:{number} minptime=10;useinbandfec=1"));
        }
        if line.starts_with("a=ice-pwd:") {
            lines.push("a=ice-options:trickle".into());
        }
    }
    join(lines.iter())
}

/// The payload types of a description of ours.
pub(super) fn own_payloads(sdp: &str) -> PayloadMap {
    Remote::parse(sdp).map(|remote| remote.payloads()).unwrap_or_default()
}

fn payloads(audio: &[String]) -> PayloadMap {
    let Some(first) = audio.first() else { return PayloadMap::default() };
    let known = |number: u8| {
        let mapped = audio.iter().find_map(|line| {
            let (listed, name) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
            (listed.trim() == number.to_string()).then(|| name.trim().to_ascii_lowercase())
        });
        match mapped.as_deref() {
            Some("opus/48000/2") => Some(Payload::Speech(Codec::Opus)),
            Some("pcmu/8000" | "pcmu/8000/1") => Some(Payload::Speech(Codec::Pcmu)),
            Some("pcma/8000" | "pcma/8000/1") => Some(Payload::Speech(Codec::Pcma)),
            Some("telephone-event/8000") => Some(Payload::TelephoneEvent),
            Some(_) => None,
            // Static payload types need no rtpmap (RFC 3551).
            None if number == 0 => Some(Payload::Speech(Codec::Pcmu)),
            None if number == 8 => Some(Payload::Speech(Codec::Pcma)),
            None => None,
        }
    };
    let listed = first.split(' ').skip(3).filter_map(|number| number.parse::<u8>().ok());
    PayloadMap(listed.filter_map(|number| Some((number, known(number)?))).collect())
}

fn rtpmap(number: u8, payload: Payload) -> String {
    let name = match payload {
        Payload::Speech(Codec::Opus) => "opus/48000/2",
        Payload::Speech(Codec::Pcmu) => "PCMU/8000",
        Payload::Speech(Codec::Pcma) => "PCMA/8000",
        Payload::TelephoneEvent => "telephone-event/8000",
    };
    format!("a=rtpmap:{number} {name}")
}

/// A candidate that only its own machine can resolve.
fn is_local_candidate(line: &str) -> bool {
    line.starts_with("a=candidate:") && line.contains(".local ")
}

fn join<'a>(lines: impl Iterator<Item = &'a String>) -> String {
    lines.fold(String::new(), |mut text, line| {
        text.push_str(line);
        text.push_str("\r\n");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: [(u8, Payload); 4] = [
        (111, Payload::Speech(Codec::Opus)),
        (8, Payload::Speech(Codec::Pcma)),
        (0, Payload::Speech(Codec::Pcmu)),
        (101, Payload::TelephoneEvent),
    ];

    fn offer(formats: &str, attributes: &str) -> String {
        format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\na=fingerprint:sha-256 AA\r\n\
             m=audio 9 UDP/TLS/RTP/SAVPF {formats}\r\nc=IN IP4 192.0.2.1\r\n{attributes}"
        )
    }

    #[test]
    fn the_far_ends_payload_types_are_read_in_its_order() {
        let sdp = offer("96 0 8 101", "a=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\na=mid:0\r\n");
        let map = Remote::parse(&sdp).unwrap().payloads();
        assert_eq!(map.payload(96), Some(Payload::Speech(Codec::Opus)));
        assert_eq!(map.payload(0), Some(Payload::Speech(Codec::Pcmu)));
        assert_eq!(map.payload_type(Payload::TelephoneEvent), Some(101));
        assert_eq!(map.preferred(&[Codec::Pcma, Codec::Pcmu]), Some(Codec::Pcmu));
        assert_eq!(map.preferred(&[]), None);
    }

    #[test]
    fn an_opus_fmtp_that_would_conflict_is_not_applied() {
        let sdp = offer("96", "a=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=0;minptime=20\r\na=mid:0\r\n");
        assert!(!Remote::parse(&sdp).unwrap().to_apply("0", &OURS).contains("fmtp"));
    }

    #[test]
    fn codecs_that_the_first_offer_lacks_are_applied_and_not_answered() {
        let sdp = offer("0 101", "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=mid:0\r\n");
        let remote = Remote::parse(&sdp).unwrap();
        let applied = remote.to_apply("0", &OURS);
        assert!(applied.contains("m=audio 9 UDP/TLS/RTP/SAVPF 0 101 111 8\r\n"), "{applied}");
        let answer = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 8 0 101\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=mid:0\r\n";
        let sent = remote.answer_to_send(answer);
        assert!(sent.contains("m=audio 9 UDP/TLS/RTP/SAVPF 0 101\r\n"), "{sent}");
        assert!(!sent.contains("opus"), "{sent}");
    }

    #[test]
    fn a_hold_is_seen_at_media_or_session_level_and_not_applied_as_text() {
        for (attributes, session) in [("a=sendonly\r\na=mid:0\r\n", ""), ("a=mid:0\r\n", "a=inactive\r\n")] {
            let sdp = offer("0", attributes).replace("s=-\r\n", &format!("s=-\r\n{session}"));
            let remote = Remote::parse(&sdp).unwrap();
            assert!(remote.direction().is_hold());
            let applied = remote.to_apply("0", &OURS);
            assert!(
                applied.contains("a=sendrecv") && !applied.contains("a=sendonly") && !applied.contains("a=inactive")
            );
        }
    }

    #[test]
    fn video_is_refused_with_port_zero_in_its_place() {
        let sdp = offer("0", "a=mid:0\r\nm=video 9 UDP/TLS/RTP/SAVPF 100\r\na=mid:1\r\n");
        let remote = Remote::parse(&sdp).unwrap();
        assert!(!remote.to_apply("0", &OURS).contains("video"));
        let sent = remote.answer_to_send("v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n");
        assert!(sent.contains("m=video 0 UDP/TLS/RTP/SAVPF 100\r\na=mid:1\r\n"), "{sent}");
    }

    #[test]
    fn a_description_without_audio_is_an_error() {
        assert_eq!(Remote::parse("v=0\r\nm=video 9 X 100\r\n"), Err(SdpError::NoAudio));
        assert_eq!(Remote::parse("v=0\r\nm=audio 0 X 0\r\n"), Err(SdpError::NoAudio));
    }

    #[test]
    fn what_is_sent_has_our_opus_parameters_and_trickle_and_no_candidates() {
        let sent = to_send(
            "v=0\r\nm=audio 9 X 111\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 x=1\r\na=ice-pwd:p\r\na=candidate:1 1 udp 1 192.0.2.1 1 typ host\r\na=end-of-candidates\r\n",
        );
        assert!(sent.contains("a=fmtp:111 minptime=10;useinbandfec=1\r\n") && !sent.contains("x=1"));
        assert!(sent.contains("a=ice-options:trickle\r\n") && !sent.contains("candidate"));
    }
}
