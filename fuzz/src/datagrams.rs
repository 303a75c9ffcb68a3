//! Datagrams: the guard, and the library's parsers behind it.

use std::sync::{Arc, LazyLock};

use callbox::media::guard::{Guard, Protection};

/// Passes datagrams of a socket to the guard. Those that it admits go to the library's parsers, as in a call.
pub fn guard(data: &[u8]) {
    use std::time::{Duration, Instant};
    let mut guard = Guard::default();
    let (far_end, server) =
        ("192.0.2.7:4000".parse().expect("an address"), "192.0.2.9:3478".parse().expect("an address"));
    let mut now = Instant::now();
    guard.local_credentials("ours", "a password of twenty-two");
    guard.remote_candidate(far_end, now);
    guard.payload_type(96);
    let mut choices = data;
    for _ in 0..64 {
        let Some((&[what, length], rest)) = choices.split_first_chunk::<2>() else { return };
        let (datagram, rest) = rest.split_at(usize::from(length).min(rest.len()));
        choices = rest;
        now += Duration::from_millis(u64::from(what));
        match what % 16 {
            0 => guard.keys_up(Protection::AesCm),
            1 => guard.keys_up(Protection::AesGcm),
            2 => guard.outgoing(datagram, far_end, now),
            3 => guard.outgoing(datagram, server, now),
            4 => guard.stream(u32::from(length)),
            5 => drop(guard.incoming(datagram, server, now)),
            _ => {
                let passed = guard.incoming(datagram, far_end, now).is_ok();
                let alert = datagram.starts_with(&[21, 0xFE, 0xFD, 0, 0]);
                assert!(!(passed && alert), "an alert in the clear has passed");
                if passed {
                    library(datagram);
                }
            }
        }
    }
}

/// The library's parser for a datagram, by its first octet (RFC 7983).
fn library(datagram: &[u8]) {
    match datagram.first() {
        Some(0..=3) => stun(datagram),
        Some(20..=63) => dtls(datagram),
        Some(128..=191) => srtp(datagram),
        _ => {}
    }
}

/// Decodes a STUN message with the library.
pub fn stun(data: &[u8]) {
    let mut message = rtc::stun::message::Message { raw: data.to_vec(), ..Default::default() };
    if message.decode().is_ok() {
        let _ = message.to_string();
    }
}

/// The library's DTLS: a server that takes every datagram for a part of its handshake, if the guard lets it pass.
pub fn dtls(data: &[u8]) {
    use rtc::dtls::endpoint::Endpoint;
    use rtc::shared::TransportProtocol;
    let address = "192.0.2.7:4000".parse().expect("an address");
    let mut endpoint = Endpoint::new(address, TransportProtocol::UDP, Some(Arc::clone(&DTLS)));
    let mut guard = Guard::default();
    let now = std::time::Instant::now();
    guard.remote_candidate(address, now);
    for datagram in data.chunks(512) {
        if guard.incoming(datagram, address, now).is_ok() {
            let _ = endpoint.read(now, address, None, datagram.into());
            while let Some(sent) = endpoint.poll_transmit() {
                guard.outgoing(&sent.message, address, now);
            }
        }
    }
}

static DTLS: LazyLock<Arc<rtc::dtls::config::HandshakeConfig>> = LazyLock::new(|| {
    let provider = rtc::crypto::default_provider().expect("ring");
    let certificate = rtc::dtls::crypto::Certificate::generate_self_signed(["callbox".to_owned()], provider.crypto());
    let config = rtc::dtls::config::ConfigBuilder::default()
        .with_certificates(vec![certificate.expect("a certificate")])
        .with_crypto_provider(provider)
        .build(false, None);
    Arc::new(config.expect("a configuration"))
});

/// The library's SRTP, with keys that no sender has.
pub fn srtp(data: &[u8]) {
    use rtc::srtp::{context::Context, protection_profile::ProtectionProfile};
    let provider = rtc::crypto::default_provider().expect("ring");
    for profile in [ProtectionProfile::Aes128CmHmacSha1_80, ProtectionProfile::AeadAes256Gcm] {
        let (key, salt) = (vec![7; profile.key_len()], vec![9; profile.salt_len()]);
        let context = Context::new(&key, &salt, profile, None, None, provider.crypto());
        let Ok(mut context) = context else { panic!("no context") };
        let _ = context.decrypt_rtp(data);
        if let Ok(decrypted) = context.decrypt_rtcp(data) {
            let mut decrypted = decrypted.freeze();
            let _ = rtc::rtcp::packet::unmarshal(&mut decrypted);
        }
    }
}
