//! The signature of a request: the receiver knows whose it is, and that it is not an old one.

use ring::hmac;

/// The header of the signature.
pub(super) const HEADER: &str = "x-callbox-signature";

/// The value of the header: `t=SECONDS,v1=HEX`, the HMAC-SHA256 (RFC 2104) over `SECONDS.BODY`.
pub(super) fn signature(secret: &[u8], at_s: u64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{at_s}.").as_bytes());
    context.update(body);
    let hex: String = context.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={at_s},v1={hex}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_signature_is_what_openssl_makes_of_it() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac key
        let expected = "t=1700000000,v1=a438e398bfafc57e4396bb7fc2304422f0f768e965d073ca313cb52e22e6ad03";
        assert_eq!(super::signature(b"key", 1_700_000_000, b"{\"a\":1}"), expected);
    }
}
