//! G.711, A-law and µ-law: the tables of ITU-T G.711, computed.

use crate::config::Codec;

/// Decodes one byte to a 16-bit linear sample.
pub(super) fn decode(codec: Codec, byte: u8) -> i16 {
    match codec {
        Codec::Pcma => decode_a(byte),
        Codec::Pcmu | Codec::Opus => decode_u(byte),
    }
}

/// Encodes a 16-bit linear sample to one byte.
pub(super) fn encode(codec: Codec, sample: i16) -> u8 {
    match codec {
        Codec::Pcma => encode_a(sample),
        Codec::Pcmu | Codec::Opus => encode_u(sample),
    }
}

const U_BIAS: i32 = 0x84;
const U_CLIP: i32 = 32_635;

fn encode_u(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = i32::from(sample).abs().min(U_CLIP) + U_BIAS;
    let exponent = (31 - magnitude.leading_zeros()).saturating_sub(7);
    let mantissa = (magnitude >> (exponent + 3)) & 0x0F;
    !(sign | (exponent as u8) << 4 | mantissa as u8)
}

fn decode_u(byte: u8) -> i16 {
    let byte = !byte;
    let exponent = u32::from(byte >> 4 & 7);
    let magnitude = (((i32::from(byte & 0x0F) << 3) + U_BIAS) << exponent) - U_BIAS;
    (if byte & 0x80 != 0 { -magnitude } else { magnitude }) as i16
}

fn encode_a(sample: i16) -> u8 {
    let sign = if sample < 0 { 0 } else { 0x80 };
    // The standard uses 13 bits and folds negative values like this.
    let magnitude = if sample < 0 { !i32::from(sample) } else { i32::from(sample) } >> 3;
    let code = if magnitude < 32 {
        magnitude >> 1
    } else {
        let exponent = 31 - magnitude.leading_zeros() as i32 - 4;
        exponent << 4 | (magnitude >> exponent & 0x0F)
    };
    (sign | code.min(0x7F) as u8) ^ 0x55
}

fn decode_a(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let exponent = i32::from(byte >> 4 & 7);
    let mantissa = i32::from(byte & 0x0F);
    let magnitude = if exponent == 0 { (mantissa << 4) + 8 } else { ((mantissa << 4) + 0x108) << (exponent - 1) };
    (if byte & 0x80 != 0 { magnitude } else { -magnitude }) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_of_the_standard_decode() {
        assert_eq!([decode_u(0xFF), decode_u(0x7F), decode_u(0x80), decode_u(0x00)], [0, 0, 32_124, -32_124]);
        assert_eq!([decode_a(0xD5), decode_a(0x55), decode_a(0xAA), decode_a(0x2A)], [8, -8, 32_256, -32_256]);
    }

    #[test]
    fn every_code_survives_decoding_and_encoding() {
        for byte in 0..=255_u8 {
            assert_eq!(encode_a(decode_a(byte)), byte, "A-law {byte:#x}");
            // µ-law has two zeros.
            if byte != 0x7F {
                assert_eq!(encode_u(decode_u(byte)), byte, "µ-law {byte:#x}");
            }
        }
    }

    #[test]
    fn the_error_stays_below_four_percent_of_the_sample() {
        for sample in (-32_000..32_000_i16).step_by(7) {
            for codec in [Codec::Pcma, Codec::Pcmu] {
                let error = (i32::from(decode(codec, encode(codec, sample))) - i32::from(sample)).abs();
                assert!(error <= i32::from(sample).abs() / 25 + 16, "{codec:?} {sample}: {error}");
            }
        }
    }
}
