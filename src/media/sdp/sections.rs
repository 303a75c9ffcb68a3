//! A session description, cut into its sections (RFC 8866, section 5).

use crate::signaling::sip_status;

/// Number of lines of a description that are read. The longest description ever seen had some 200 lines.
const MAX_LINES: usize = 2_000;

/// Why a description cannot be accepted. The messages use the terms of SIP and WebRTC.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DescriptionError {
    /// The body is of another kind, or empty.
    #[error("the far end's description is not SDP")]
    NotSdp,
    #[error("the far end's SDP has no media line")]
    NoMedia,
    /// There is no audio line, or it is switched off (port 0).
    #[error("the far end offers no audio")]
    NoAudio,
    /// A phone without WebRTC. Holds the profile of its audio line.
    #[error(
        "the far end wants plain RTP, without encryption ({0}); callbox accepts only DTLS-SRTP (UDP/TLS/RTP/SAVPF)"
    )]
    NoEncryption(String),
    /// SRTP with the older key exchange SDES. Holds the profile of the audio line.
    #[error(
        "the far end wants SRTP with keys in the SDP (SDES, {0}); callbox accepts only DTLS-SRTP (UDP/TLS/RTP/SAVPF)"
    )]
    KeysInSdp(String),
    /// The profile is right, but the fingerprint is missing.
    #[error("the far end's SDP has no DTLS fingerprint")]
    NoFingerprint,
    /// The fingerprint has another hash function, or cannot be read. Holds the name of the hash function.
    #[error("the DTLS fingerprint of the far end ({0}) cannot be used; callbox accepts sha-256, sha-384 and sha-512")]
    BadFingerprint(String),
    /// The ICE credentials are missing or too short (RFC 8839, section 5.4).
    #[error("the far end's SDP has no usable ICE credentials (ice-ufrag, ice-pwd)")]
    NoIce,
    #[error("no codec that both sides know: the far end has {theirs}, media.codecs has {ours}")]
    NoCodec {
        /// The names of the far end's codecs.
        theirs: String,
        /// The names of the codecs that the configuration allows.
        ours: String,
    },
}

impl DescriptionError {
    /// The SIP status code with which the description is refused (RFC 3261, section 21.4).
    pub fn sip_code(&self) -> i64 {
        match self {
            // The body is of another kind.
            Self::NotSdp => sip_status::UNSUPPORTED_MEDIA_TYPE,
            // The SDP has no media line.
            Self::NoMedia => sip_status::BAD_REQUEST,
            _ => sip_status::NOT_ACCEPTABLE_HERE,
        }
    }
}

/// A media line of a description, with what is needed to refuse it in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MediaLine {
    pub(super) kind: String,
    pub(super) rest: String,
    pub(super) mid: Option<String>,
}

impl MediaLine {
    pub(super) fn profile(&self) -> &str {
        self.rest.split_whitespace().next().unwrap_or_default()
    }
}

/// A description, cut into its sections.
pub(super) struct Sections<'a> {
    pub(super) session: Vec<&'a str>,
    pub(super) media: Vec<Vec<&'a str>>,
}

impl<'a> Sections<'a> {
    pub(super) fn cut(sdp: &'a str) -> Result<Self, DescriptionError> {
        let mut session = Vec::new();
        let mut media: Vec<Vec<&str>> = Vec::new();
        let is_line = |line: &&str| line.as_bytes().get(1) == Some(&b'=');
        for line in sdp.split(['\r', '\n']).map(str::trim).filter(is_line).take(MAX_LINES) {
            if line.starts_with("m=") {
                media.push(vec![line]);
            } else {
                media.last_mut().unwrap_or(&mut session).push(line);
            }
        }
        match (media.is_empty(), session.is_empty()) {
            (true, true) => Err(DescriptionError::NotSdp),
            (true, false) => Err(DescriptionError::NoMedia),
            _ => Ok(Self { session, media }),
        }
    }

    pub(super) fn lines(&self) -> Vec<MediaLine> {
        let line = |section: &Vec<&str>| {
            let mut parts = section.first().copied().unwrap_or_default().splitn(3, ' ');
            let kind = parts.next().unwrap_or_default().trim_start_matches("m=").to_owned();
            let rest = parts.nth(1).unwrap_or_default().trim().to_owned();
            let mid = attribute(section, "mid").map(str::to_owned);
            MediaLine { kind, rest, mid }
        };
        self.media.iter().map(line).collect()
    }

    /// The index of the first audio line that is not switched off.
    pub(super) fn audio(&self) -> Option<usize> {
        self.media.iter().position(|section| {
            let mut parts = section.first().copied().unwrap_or_default().split_whitespace();
            parts.next() == Some("m=audio") && parts.next().is_some_and(|port| port.split('/').next() != Some("0"))
        })
    }
}

/// The value of the first line that has the attribute.
pub(super) fn attribute<'a>(section: &[&'a str], name: &str) -> Option<&'a str> {
    attributes(section, name).next()
}

pub(super) fn attributes<'a>(section: &[&'a str], name: &str) -> impl Iterator<Item = &'a str> {
    section.iter().filter_map(move |line| {
        let (key, value) = line.strip_prefix("a=")?.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Whether a description has media lines but no active audio line. Such a description is valid: its sender wants no
/// sound.
pub(crate) fn wants_no_audio(sdp: &str) -> bool {
    Sections::cut(sdp).is_ok_and(|sections| sections.audio().is_none())
}
