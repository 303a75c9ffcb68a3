//! Messages of TURN on a stream: each is framed by its own length (RFC 8656, sections 3.1 and 12.5).

/// Octets that say how long a message is.
pub(super) const HEAD: usize = 4;
/// The fixed part of a STUN message (RFC 8489, section 5).
const STUN_HEADER: usize = 20;

/// How long a message is on the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// Octets of the message, from its first one.
    pub(super) message: usize,
    /// Octets that follow it and mean nothing.
    pub(super) padding: usize,
}

impl Frame {
    /// Reads the first octets of a message; `None` if they are not TURN: then nobody knows where the next one begins.
    pub(super) fn read(head: [u8; HEAD]) -> Option<Self> {
        let [first, _, high, low] = head;
        let length = usize::from(u16::from_be_bytes([high, low]));
        match first {
            0..=0x3F if length % 4 == 0 => Some(Self { message: STUN_HEADER + length, padding: 0 }),
            // Numbers of channels (RFC 8656, section 12).
            0x40..=0x4F => {
                let message = HEAD + length;
                Some(Self { message, padding: message.next_multiple_of(4) - message })
            }
            _ => None,
        }
    }
}

/// A message of the library as it goes onto the stream; `None` if it is not one whole message.
pub(super) fn framed(datagram: &[u8]) -> Option<Vec<u8>> {
    let head = datagram.first_chunk::<HEAD>()?;
    let frame = Frame::read(*head)?;
    let mut framed = datagram.get(..frame.message)?.to_vec();
    framed.resize(frame.message + frame.padding, 0);
    Some(framed)
}

/// Whether a message carries a datagram of the call, which is worth nothing when it is late: ChannelData, or a Send
/// indication (RFC 8656, section 11.1).
pub(in crate::media) fn carries_media(message: &[u8]) -> bool {
    matches!(message, [0x40..=0x4F, ..] | [0x00, 0x16, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_each_kind_of_message_is_known_from_its_head() {
        assert_eq!(Frame::read([0, 3, 0, 8]), Some(Frame { message: 28, padding: 0 }));
        assert_eq!(Frame::read([0x40, 0, 0, 5]), Some(Frame { message: 9, padding: 3 }));
        assert_eq!(Frame::read([0x4F, 0xFF, 0, 4]), Some(Frame { message: 8, padding: 0 }));
        assert_eq!(Frame::read([0x40, 0, 0xFF, 0xFF]), Some(Frame { message: 65_539, padding: 1 }));
        assert_eq!(Frame::read([0, 3, 0, 7]), None, "attributes are padded to four octets");
        assert_eq!(Frame::read(*b"HTTP"), Some(Frame { message: 4 + 0x5450, padding: 0 }), "H is a channel number");
        assert_eq!(Frame::read([0x80, 0, 0, 0]), None);
    }

    #[test]
    fn channel_data_is_padded_and_nothing_else_is_changed() {
        assert_eq!(framed(&[0x40, 0, 0, 1, 9]).as_deref(), Some(&[0x40, 0, 0, 1, 9, 0, 0, 0][..]));
        assert_eq!(framed(&[0x40, 0, 0, 1, 9, 7, 7, 7]).as_deref(), Some(&[0x40, 0, 0, 1, 9, 0, 0, 0][..]));
        let mut request = vec![0, 3, 0, 4];
        request.extend([1; 20]);
        assert_eq!(framed(&request).as_deref(), Some(&request[..]));
        assert_eq!(framed(&request[..20]), None, "it is cut off");
        assert_eq!(framed(&[0x40, 0]), None);
        assert_eq!(framed(&[]), None);
    }
}
