//! Reads numbers in network byte order from a datagram. All functions return `None` if the datagram ends before.

pub(super) fn u8_at(datagram: &[u8], at: usize) -> Option<u8> {
    datagram.get(at).copied()
}

pub(super) fn u16_at(datagram: &[u8], at: usize) -> Option<u16> {
    let bytes = datagram.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

pub(super) fn u24_at(datagram: &[u8], at: usize) -> Option<u32> {
    match datagram.get(at..at.checked_add(3)?)? {
        [a, b, c] => Some(u32::from_be_bytes([0, *a, *b, *c])),
        _ => None,
    }
}

pub(super) fn u32_at(datagram: &[u8], at: usize) -> Option<u32> {
    let bytes = datagram.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}
