//! Recordings of RTP in the format of the rtptools (`rtpdump -F dump`), which rtpplay and Wireshark can read.
//!
//! A file has one line of text and a header. After them comes a record for each packet: its length, its time and the
//! packet itself. All numbers are big-endian.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::MediaId;

/// The rest of the first line is the address that the packets were sent to. callbox ignores it when it reads a file,
/// and writes zeros to keep the address private.
const MAGIC: &[u8] = b"#!rtpplay1.0 ";
const FIRST_LINE: &[u8] = b"#!rtpplay1.0 0.0.0.0/0\n";
/// Octets of the file header: start time (two numbers of 32 bits), source address and port, padding.
const FILE_HEADER: usize = 16;
/// Octets of a record header: length of the record, length of the packet on the wire, milliseconds since the start.
const RECORD_HEADER: usize = 8;

/// A recorded packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedPacket {
    /// Time of arrival since the start of the recording, in whole milliseconds.
    pub at_ms: u32,
    /// The packet, beginning with its RTP header (RFC 3550).
    pub bytes: Vec<u8>,
}

/// A packet of a call in progress, recorded as it arrives. Its payload type is the one that `callbox dsp receive`
/// expects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallPacket {
    pub call: MediaId,
    /// Its time counts from when the call's media was created.
    pub packet: RecordedPacket,
}

/// Why a recording cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    #[error("this is not an rtpdump file: its first line is not `#!rtpplay1.0 ADDRESS/PORT`")]
    Format,
    /// Holds the number of the incomplete record, counted from 1; 0 is the file header.
    #[error("it ends in the middle of packet {0}")]
    Truncated(usize),
}

fn split(bytes: &[u8], length: usize, packet: usize) -> Result<(&[u8], &[u8]), TraceError> {
    bytes.split_at_checked(length).ok_or(TraceError::Truncated(packet))
}

/// Reads a recording. Records without an RTP packet are left out; rtpdump writes such records for RTCP.
///
/// # Errors
///
/// The bytes have another format, or the recording is truncated.
pub fn read(bytes: &[u8]) -> Result<Vec<RecordedPacket>, TraceError> {
    let line = bytes.iter().position(|byte| *byte == b'\n').ok_or(TraceError::Format)?;
    if !bytes.starts_with(MAGIC) {
        return Err(TraceError::Format);
    }
    let (_, records) = bytes.split_at(line + 1);
    let (_, mut rest) = split(records, FILE_HEADER, 0)?;
    let mut packets = Vec::new();
    while !rest.is_empty() {
        let number = packets.len() + 1;
        let (header, after) = split(rest, RECORD_HEADER, number)?;
        let &[l0, l1, p0, p1, t0, t1, t2, t3] = header else { return Err(TraceError::Truncated(number)) };
        let length = usize::from(u16::from_be_bytes([l0, l1])).saturating_sub(RECORD_HEADER);
        let (packet, after) = split(after, length, number)?;
        if u16::from_be_bytes([p0, p1]) > 0 {
            packets.push(RecordedPacket { at_ms: u32::from_be_bytes([t0, t1, t2, t3]), bytes: packet.to_vec() });
        }
        rest = after;
    }
    Ok(packets)
}

/// Writes a recording. `began` is its start as time since 1970 (Unix time). A packet that is too long for the format is
/// left out.
pub fn write(began: Duration, packets: &[RecordedPacket]) -> Vec<u8> {
    let mut bytes = FIRST_LINE.to_vec();
    bytes.extend_from_slice(&u32::try_from(began.as_secs()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(&began.subsec_micros().to_be_bytes());
    bytes.extend_from_slice(&[0; 8]);
    for packet in packets {
        let Ok(length) = u16::try_from(packet.bytes.len() + RECORD_HEADER) else { continue };
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&(length - RECORD_HEADER as u16).to_be_bytes());
        bytes.extend_from_slice(&packet.at_ms.to_be_bytes());
        bytes.extend_from_slice(&packet.bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_cut_off_is_named() {
        let packets: Vec<_> =
            (0..3).map(|index| RecordedPacket { at_ms: index * 20, bytes: vec![index as u8; 30] }).collect();
        let bytes = write(Duration::from_millis(1_500), &packets);
        assert_eq!(read(&bytes), Ok(packets));
        assert_eq!(read(&bytes[..bytes.len() - 1]), Err(TraceError::Truncated(3)));
        assert_eq!(read(b"RIFF"), Err(TraceError::Format));
        assert_eq!(read(b"#!rtpplay1.0 1.2.3.4/5\n1234"), Err(TraceError::Truncated(0)));
    }
}
