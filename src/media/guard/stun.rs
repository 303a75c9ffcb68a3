//! Reads STUN and TURN messages (RFC 8489, RFC 8656): only as much of them as the guard needs for its decisions.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ring::hmac;

use super::bytes::{u16_at, u32_at};

const HEADER: usize = 20;
const MAGIC_COOKIE: u32 = 0x2112_A442;
const MESSAGE_INTEGRITY: u16 = 0x0008;
/// Type and length of the checksum attribute (RFC 8489, section 14.7).
const FINGERPRINT: [u8; 4] = [0x80, 0x28, 0, 4];
const USERNAME: u16 = 0x0006;
const CHANNEL_NUMBER: u16 = 0x000C;
const XOR_PEER_ADDRESS: u16 = 0x0012;
const DATA: u16 = 0x0013;
/// Maximum number of attributes in one message. Real messages have about ten.
const MAX_ATTRIBUTES: usize = 32;

/// Kinds of messages that the guard distinguishes: method and class together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    BindingRequest,
    BindingSuccess,
    /// Any other request.
    Request,
    ChannelBindRequest,
    /// Any other response, including errors.
    Response,
    /// Holds a datagram that a TURN server relays to us.
    DataIndication,
    /// Holds a datagram of ours that a TURN server is to relay.
    SendIndication,
    Indication,
}

/// A message whose lengths agree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    raw: &'a [u8],
    pub(super) kind: Kind,
    pub(super) transaction: [u8; 12],
}

impl<'a> Message<'a> {
    pub(super) fn read(raw: &'a [u8]) -> Option<Self> {
        let kind = kind(u16_at(raw, 0)?)?;
        let length = usize::from(u16_at(raw, 2)?);
        if u32_at(raw, 4)? != MAGIC_COOKIE || length % 4 != 0 || HEADER + length != raw.len() {
            return None;
        }
        let transaction = raw.get(8..HEADER)?.try_into().ok()?;
        let message = Self { raw, kind, transaction };
        // Each attribute must end inside the message.
        let mut at = HEADER;
        for _ in 0..MAX_ATTRIBUTES {
            if at == raw.len() {
                return Some(message);
            }
            at = message.attribute_at(at)?.2;
        }
        None
    }

    /// Returns the type and the value of an attribute, and where the next one begins.
    fn attribute_at(&self, at: usize) -> Option<(u16, &'a [u8], usize)> {
        let length = usize::from(u16_at(self.raw, at + 2)?);
        let value = self.raw.get(at + 4..at + 4 + length)?;
        let next = at + 4 + length.next_multiple_of(4);
        (next <= self.raw.len()).then_some((u16_at(self.raw, at)?, value, next))
    }

    fn attribute(&self, kind: u16) -> Option<(usize, &'a [u8])> {
        let mut at = HEADER;
        while at < self.raw.len() {
            let (found, value, next) = self.attribute_at(at)?;
            if found == kind {
                return Some((at, value));
            }
            at = next;
        }
        None
    }

    /// Returns whom a connectivity check is for: the user name fragment of our ICE credentials (RFC 8445, section
    /// 7.2.2).
    pub(super) fn addressee(&self) -> Option<&'a str> {
        let (_, value) = self.attribute(USERNAME)?;
        std::str::from_utf8(value).ok()?.split_once(':').map(|(ours, _)| ours)
    }

    /// Whether the message was made with this password (RFC 8489, section 14.5). Attributes after the message integrity
    /// are not protected, so only a checksum may follow it.
    pub(super) fn is_authentic(&self, key: &hmac::Key) -> bool {
        let Some((at, tag)) = self.attribute(MESSAGE_INTEGRITY) else { return false };
        let behind = self.raw.get(at + 24..).unwrap_or_default();
        let is_checksum = behind.len() == 8 && behind.starts_with(&FINGERPRINT);
        let (Some(before), Ok(length)) = (self.raw.get(4..at), u16::try_from(at + 4)) else { return false };
        if tag.len() != 20 || !(behind.is_empty() || is_checksum) {
            return false;
        }
        let mut signed = Vec::with_capacity(at);
        signed.extend_from_slice(self.raw.get(..2).unwrap_or_default());
        signed.extend_from_slice(&length.to_be_bytes());
        signed.extend_from_slice(before);
        hmac::verify(key, &signed, tag).is_ok()
    }

    /// Returns the address of the peer whose datagrams a TURN server relays.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        let (_, value) = self.attribute(XOR_PEER_ADDRESS)?;
        let port = u16_at(value, 2)? ^ 0x2112;
        let address: IpAddr = match (value.get(1)?, value.len()) {
            (1, 8) => Ipv4Addr::from(u32_at(value, 4)? ^ MAGIC_COOKIE).into(),
            (2, 20) => {
                let mut bytes: [u8; 16] = value.get(4..20)?.try_into().ok()?;
                let key = MAGIC_COOKIE.to_be_bytes().into_iter().chain(self.transaction);
                bytes.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
                Ipv6Addr::from(bytes).into()
            }
            _ => return None,
        };
        Some(SocketAddr::new(address, port))
    }

    /// Returns the datagram that a TURN server relays.
    pub(super) fn data(&self) -> Option<&'a [u8]> {
        self.attribute(DATA).map(|(_, value)| value)
    }

    /// Returns the channel number that a request asks for.
    pub(super) fn channel(&self) -> Option<u16> {
        u16_at(self.attribute(CHANNEL_NUMBER)?.1, 0)
    }
}

/// Returns the channel and the datagram of TURN channel data (RFC 8656, section 12.4).
pub(super) fn channel_data(raw: &[u8]) -> Option<(u16, &[u8])> {
    let (channel, length) = (u16_at(raw, 0)?, usize::from(u16_at(raw, 2)?));
    // Over UDP, padding is optional.
    (raw.len() - 4 < length + 4).then_some(())?;
    Some((channel, raw.get(4..4 + length)?))
}

pub(super) fn key(password: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes())
}

fn kind(number: u16) -> Option<Kind> {
    Some(match number {
        0x0001 => Kind::BindingRequest,
        0x0101 => Kind::BindingSuccess,
        0x0009 => Kind::ChannelBindRequest,
        0x0016 => Kind::SendIndication,
        0x0017 => Kind::DataIndication,
        number if number & 0xC000 != 0 => return None,
        number => match number & 0x0110 {
            0x0000 => Kind::Request,
            0x0010 => Kind::Indication,
            _ => Kind::Response,
        },
    })
}
