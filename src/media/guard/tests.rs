//! Which datagrams pass and which do not.

use super::*;

const FAR_END: &str = "192.0.2.7:4000";
const STRANGER: &str = "192.0.2.66:6666";
const PASSWORD: &str = "a password of twenty-two";

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn guard() -> (Guard, Instant) {
    let now = Instant::now();
    let mut guard = Guard::default();
    guard.local_credentials("ours", PASSWORD);
    guard.remote_candidate(at(FAR_END), now);
    guard.payload_type(96);
    (guard, now)
}

fn with_keys(protection: Protection) -> (Guard, Instant) {
    let (mut guard, now) = guard();
    guard.keys_up(protection);
    (guard, now)
}

fn stun(kind: u16, attributes: &[(u16, &[u8])], password: Option<&str>) -> Vec<u8> {
    let mut body = Vec::new();
    for (number, value) in attributes {
        body.extend(number.to_be_bytes());
        body.extend(u16::try_from(value.len()).unwrap_or(0).to_be_bytes());
        body.extend(*value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    let length = body.len() + if password.is_some() { 24 } else { 0 };
    let mut message = kind.to_be_bytes().to_vec();
    message.extend(u16::try_from(length).unwrap_or(0).to_be_bytes());
    message.extend([0x21, 0x12, 0xA4, 0x42]);
    message.extend([7; 12]);
    message.extend(body);
    if let Some(password) = password {
        let tag = hmac::sign(&stun::key(password), &message);
        message.extend([0, 8, 0, 20]);
        message.extend(tag.as_ref());
    }
    message
}

fn check(password: &str) -> Vec<u8> {
    stun(0x0001, &[(6, b"ours:theirs")], Some(password))
}

fn handshake(kind: u8, length: u32, sequence: u16, offset: u32, body: &[u8]) -> Vec<u8> {
    let mut fragment = vec![kind];
    fragment.extend(&length.to_be_bytes()[1..]);
    fragment.extend(sequence.to_be_bytes());
    fragment.extend(&offset.to_be_bytes()[1..]);
    fragment.extend(&u32::try_from(body.len()).unwrap_or(0).to_be_bytes()[1..]);
    fragment.extend(body);
    fragment
}

fn record(kind: u8, epoch: u16, body: &[u8]) -> Vec<u8> {
    let mut record = vec![kind, 0xFE, 0xFD];
    record.extend(epoch.to_be_bytes());
    record.extend([0; 6]);
    record.extend(u16::try_from(body.len()).unwrap_or(0).to_be_bytes());
    record.extend(body);
    record
}

fn hello() -> Vec<u8> {
    record(22, 0, &handshake(1, 5, 0, 0, b"hello"))
}

fn rtp(number: u8, sequence: u16, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, number];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0; 4]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend([9; 40]);
    packet
}

fn srtcp(protection: Protection, encrypted: bool, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    let index = [if encrypted { 0x80 } else { 0 }, 0, 0, 1];
    match protection {
        Protection::AesCm => packet.extend(index.into_iter().chain([0xFF; 10])),
        Protection::AesGcm => packet.extend([0xFF; 16].into_iter().chain(index)),
    }
    packet
}

#[test]
fn a_check_passes_with_the_password_of_the_call_from_anywhere() {
    let (mut guard, now) = guard();
    assert_eq!(guard.incoming(&check(PASSWORD), at(STRANGER), now), Ok(()));
    assert_eq!(guard.incoming(&check(PASSWORD), at(STRANGER), now), Ok(()), "a retransmission");
    assert_eq!(
        guard.incoming(&check(PASSWORD), at(FAR_END), now),
        Err(Reason::StunUnauthenticated),
        "somebody else has overheard it and sends it again"
    );
    assert_eq!(guard.incoming(&check("another"), at(STRANGER), now), Err(Reason::StunUnauthenticated));
    assert_eq!(
        guard.incoming(&stun(1, &[(6, b"ours:theirs")], None), at(FAR_END), now),
        Err(Reason::StunUnauthenticated)
    );
    // A check without a valid message integrity must not change the ICE roles (RFC 8445, section 7.3.1.1).
    let role = stun(1, &[(6, b"ours:theirs"), (0x802A, &[0xFF; 8])], Some("another"));
    assert_eq!(guard.incoming(&role, at(FAR_END), now), Err(Reason::StunUnauthenticated));
    // Attributes after the message integrity are not protected.
    let mut nominated = check(PASSWORD);
    nominated.extend([0, 0x25, 0, 0, 0, 0, 0, 0]);
    nominated[3] += 8;
    assert_eq!(guard.incoming(&nominated, at(STRANGER), now), Err(Reason::StunUnauthenticated));
    let mut with_checksum = check(PASSWORD);
    with_checksum.extend([0x80, 0x28, 0, 4, 1, 2, 3, 4]);
    with_checksum[3] += 8;
    assert_eq!(guard.incoming(&with_checksum, at(STRANGER), now), Ok(()));
    let mut appended = check(PASSWORD);
    appended.extend([0x80, 0x2A, 0, 8, 255, 255, 255, 255, 255, 255, 255, 255]);
    appended[3] += 12;
    assert_eq!(guard.incoming(&appended, at(FAR_END), now), Err(Reason::StunUnauthenticated));
}

#[test]
fn a_response_passes_to_what_was_asked_and_from_whom_it_was_asked() {
    let (mut guard, now) = guard();
    let response = stun(0x0101, &[], Some("theirs"));
    assert_eq!(guard.incoming(&response, at(FAR_END), now), Err(Reason::StunUnexpected));
    guard.outgoing(&check("theirs"), at(FAR_END), now);
    assert_eq!(guard.incoming(&response, at(STRANGER), now), Err(Reason::StunUnexpected));
    assert_eq!(guard.incoming(&response, at(FAR_END), now), Ok(()));
    assert_eq!(guard.incoming(&response, at(FAR_END), now + Duration::from_secs(11)), Err(Reason::StunUnexpected));
    // An indication is not authenticated, and the library would count it as a sign of life.
    assert_eq!(guard.incoming(&stun(0x0011, &[], None), at(FAR_END), now), Err(Reason::StunUnexpected));
}

#[test]
fn a_flood_of_checks_leaves_room_for_the_far_end() {
    let (mut guard, now) = guard();
    let flood = (0..10_000).filter(|_| guard.incoming(&check(PASSWORD), at(STRANGER), now).is_ok()).count();
    assert!(flood <= 100, "{flood}");
    for from in [STRANGER, FAR_END] {
        let forged = (0..900).filter(|_| guard.incoming(&check("another"), at(from), now).is_ok()).count();
        assert_eq!(forged, 0, "forged checks do not pass and do not use up the limit");
    }
    let mut other = check(PASSWORD);
    other[8..20].fill(9);
    let length = other.len() - 24;
    let tag = hmac::sign(&stun::key(PASSWORD), &other[..length]);
    other[length + 4..].copy_from_slice(tag.as_ref());
    assert_eq!(guard.incoming(&other, at(FAR_END), now), Ok(()));
}

#[test]
fn dtls_and_srtp_pass_from_candidates_and_from_whom_the_library_has_answered() {
    let (mut guard, now) = guard();
    assert_eq!(guard.incoming(&hello(), at(STRANGER), now), Err(Reason::Source));
    assert_eq!(guard.incoming(&rtp(96, 1, 5), at(STRANGER), now), Err(Reason::Source));
    assert_eq!(guard.incoming(&hello(), at(FAR_END), now), Ok(()));
    assert_eq!(guard.incoming(&hello(), at("[::ffff:192.0.2.7]:4000"), now), Ok(()));
    let nat = at("198.51.100.9:1024");
    assert_eq!(guard.incoming(&hello(), nat, now), Err(Reason::Source));
    guard.outgoing(&stun(0x0101, &[], Some(PASSWORD)), nat, now);
    assert_eq!(guard.incoming(&hello(), nat, now), Ok(()));
    for datagram in [&b""[..], &[4], &[64, 0, 0, 0], &[192, 1, 2, 3], &[255; 3000]] {
        assert!(guard.incoming(datagram, at(FAR_END), now).is_err());
    }
}

#[test]
fn fragments_without_data_do_not_pass() {
    let (mut guard, now) = guard();
    let many: Vec<u8> = (1..100).flat_map(|offset| handshake(1, 50_000, 0, offset, b"")).collect();
    assert_eq!(guard.incoming(&record(22, 0, &many), at(FAR_END), now), Err(Reason::DtlsMalformed));
    for broken in [
        handshake(1, 16_000, 0, 1, b""),
        handshake(1, 4, 0, 0, b"hello"),
        handshake(1, 4, 0, u32::MAX >> 8, b"x"),
        [handshake(1, 10, 0, 0, b"hello"), handshake(1, 10, 0, 5, b"hello")].concat(),
        b"\x01\x00".to_vec(),
    ] {
        assert_eq!(guard.incoming(&record(22, 0, &broken), at(FAR_END), now), Err(Reason::DtlsMalformed));
    }
    let mut longer = hello();
    longer.push(0);
    assert_eq!(guard.incoming(&longer, at(FAR_END), now), Err(Reason::DtlsMalformed));
    let mut shorter = hello();
    shorter.pop();
    assert_eq!(guard.incoming(&shorter, at(FAR_END), now), Err(Reason::DtlsMalformed));
}

#[test]
fn a_handshake_takes_sixty_four_fragments_and_sixteen_kibibytes_of_a_message() {
    let (mut guard, mut now) = guard();
    let mut passed = 0;
    for offset in 0..200_u32 {
        now += Duration::from_millis(20);
        let fragment = record(22, 0, &handshake(1, 1000, 0, offset, &[u8::try_from(offset).unwrap_or(0)]));
        passed += usize::from(guard.incoming(&fragment, at(FAR_END), now).is_ok());
    }
    assert_eq!(passed, 64);
    let huge = record(22, 0, &handshake(1, 17_000, 1, 0, b"x"));
    assert_eq!(guard.incoming(&huge, at(FAR_END), now), Err(Reason::DtlsTooMuch));
    // Each message alone may be long, but not all of them together.
    let mut octets = 0;
    for sequence in 1..16 {
        for part in 0..12_u32 {
            now += Duration::from_millis(20);
            let fragment = record(22, 0, &handshake(1, 15_600, sequence, part * 1300, &[0; 1300]));
            octets += 1300 * usize::from(guard.incoming(&fragment, at(FAR_END), now).is_ok());
        }
    }
    assert!((60_000..=65_536).contains(&octets), "{octets}");
}

#[test]
fn a_lost_answer_lets_the_far_end_repeat_itself() {
    let (mut guard, now) = guard();
    let (first, second) =
        (record(22, 0, &handshake(1, 6, 0, 0, b"abc")), record(22, 0, &handshake(1, 6, 0, 3, b"def")));
    for _ in 0..8 {
        assert_eq!(guard.incoming(&first, at(FAR_END), now), Ok(()));
        assert_eq!(guard.incoming(&second, at(FAR_END), now), Ok(()));
    }
}

#[test]
fn nothing_ends_a_call_in_the_clear() {
    let close = record(21, 0, &[1, 0]);
    let (mut before, now) = guard();
    assert_eq!(before.incoming(&close, at(FAR_END), now), Err(Reason::DtlsClear));
    assert_eq!(before.incoming(&record(21, 1, &[0; 26]), at(FAR_END), now), Err(Reason::DtlsClear));
    assert_eq!(before.incoming(&hello(), at(FAR_END), now), Ok(()));
    before.keys_up(Protection::AesCm);
    let other = record(22, 0, &handshake(1, 5, 0, 0, b"other"));
    for forged in [close, other, record(20, 0, &[1]), record(23, 0, b"x"), record(22, 2, &[0; 40])] {
        assert!(before.incoming(&forged, at(FAR_END), now).is_err());
    }
    // The far end repeats its last flight if our answer to it was lost. Only a limited number of repetitions passes.
    let repeats = (0..100).filter(|_| before.incoming(&hello(), at(FAR_END), now).is_ok()).count();
    assert_eq!(repeats, 4);
    assert_eq!(before.incoming(&record(21, 1, &[0; 26]), at(FAR_END), now), Ok(()));
}

#[test]
fn each_part_takes_what_the_other_one_says() {
    let (mut client, now) = guard();
    client.outgoing(&hello(), at(FAR_END), now);
    assert_eq!(client.incoming(&hello(), at(FAR_END), now), Err(Reason::DtlsClear));
    assert_eq!(client.incoming(&record(22, 0, &handshake(2, 5, 0, 0, b"hello")), at(FAR_END), now), Ok(()));
    let (mut server, now) = guard();
    assert_eq!(
        server.incoming(&record(22, 0, &handshake(2, 5, 0, 0, b"hello")), at(FAR_END), now),
        Err(Reason::DtlsClear)
    );
    assert!(!server.is_closed());
    server.outgoing(&record(21, 1, &[0; 26]), at(FAR_END), now);
    assert!(server.is_closed());
}

#[test]
fn what_waits_for_keys_is_bounded() {
    let (mut guard, now) = guard();
    let early = record(22, 1, &[0; 60]);
    let passed = (0..1000).filter(|_| guard.incoming(&early, at(FAR_END), now).is_ok()).count();
    assert!(passed <= 16, "{passed}");
    assert!(guard.incoming(&record(22, 1, &[0; 1200]), at(FAR_END), now).is_err());
}

#[test]
fn srtp_passes_when_there_are_keys() {
    let (mut guard, now) = guard();
    guard.stream(5);
    assert_eq!(guard.incoming(&rtp(96, 1, 5), at(FAR_END), now), Err(Reason::NoKeys));
    guard.keys_up(Protection::AesCm);
    assert_eq!(guard.incoming(&rtp(96, 1, 5), at(FAR_END), now), Ok(()));
    for broken in [vec![0x80, 96, 0], vec![0x40; 60], vec![0x9F, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 255, 255]] {
        assert!(guard.incoming(&broken, at(FAR_END), now).is_err());
    }
}

#[test]
fn srtcp_that_says_it_is_not_encrypted_does_not_pass_under_any_profile() {
    for protection in [Protection::AesCm, Protection::AesGcm] {
        let (mut guard, now) = with_keys(protection);
        assert_eq!(guard.incoming(&srtcp(protection, true, 5), at(FAR_END), now), Ok(()));
        assert_eq!(guard.incoming(&srtcp(protection, false, 5), at(FAR_END), now), Err(Reason::SrtcpClear));
        let mut short = srtcp(protection, true, 5);
        short.truncate(20);
        assert_eq!(guard.incoming(&short, at(FAR_END), now), Err(Reason::RtpMalformed));
        let mut longer_inside = srtcp(protection, true, 5);
        longer_inside[3] = 200;
        assert_eq!(guard.incoming(&longer_inside, at(FAR_END), now), Err(Reason::RtpMalformed));
    }
}

#[test]
fn a_flood_of_new_streams_does_not_pass_and_does_not_cost_the_real_one() {
    let (mut guard, mut now) = with_keys(Protection::AesCm);
    let mut passed = 0;
    for ssrc in 1000..11_000 {
        now += Duration::from_millis(1);
        passed += usize::from(guard.incoming(&rtp(96, 7, ssrc), at(FAR_END), now).is_ok());
    }
    assert_eq!(passed, 0, "one packet is not a stream");
    assert_eq!(guard.incoming(&rtp(97, 1, 5), at(FAR_END), now), Err(Reason::PayloadType));
    now += Duration::from_secs(1);
    // Two packets in a row are a stream.
    assert_eq!(guard.incoming(&rtp(96, 1, 5), at(FAR_END), now), Err(Reason::Streams));
    assert_eq!(guard.incoming(&rtp(96, 2, 5), at(FAR_END), now), Ok(()));
    guard.stream(5);
    let mut tried = 0;
    for ssrc in 20_000..30_000 {
        now += Duration::from_millis(20);
        let _ = guard.incoming(&rtp(96, 1, ssrc), at(FAR_END), now);
        tried += usize::from(guard.incoming(&rtp(96, 2, ssrc), at(FAR_END), now).is_ok());
        assert_eq!(guard.incoming(&rtp(96, 3, 5), at(FAR_END), now), Ok(()), "the real stream always passes");
    }
    assert!((1..=128).contains(&tried), "{tried}");
}

#[test]
fn a_stream_that_is_never_authentic_ends() {
    let (mut guard, mut now) = with_keys(Protection::AesGcm);
    let mut passed = 0;
    for sequence in 0..200 {
        now += Duration::from_millis(20);
        passed += usize::from(guard.incoming(&rtp(96, sequence, 9), at(FAR_END), now).is_ok());
    }
    assert_eq!(passed, 32);
}

/// A TURN server only carries datagrams. What it relays is checked like everything else.
#[test]
fn what_a_turn_server_relays_obeys_the_same_rules() {
    let (mut guard, now) = with_keys(Protection::AesCm);
    guard.stream(5);
    let server = at("203.0.113.1:3478");
    let peer = |address: SocketAddr| {
        let SocketAddr::V4(address) = address else { unreachable!() };
        let mut value = vec![0, 1];
        value.extend((address.port() ^ 0x2112).to_be_bytes());
        value.extend((u32::from(*address.ip()) ^ 0x2112_A442).to_be_bytes());
        value
    };
    let data = |from: &str, inner: &[u8]| stun(0x0017, &[(0x12, &peer(at(from))), (0x13, inner)], None);
    assert!(guard.incoming(&data(FAR_END, &rtp(96, 1, 5)), server, now).is_err(), "not a TURN server of ours");
    guard.outgoing(&stun(0x0003, &[], None), server, now);
    assert_eq!(guard.incoming(&data(FAR_END, &rtp(96, 1, 5)), server, now), Ok(()));
    assert_eq!(guard.incoming(&data(STRANGER, &rtp(96, 1, 5)), server, now), Err(Reason::Source));
    assert_eq!(guard.incoming(&data(FAR_END, &record(21, 0, &[1, 0])), server, now), Err(Reason::DtlsClear));
    assert!(guard.incoming(&data(FAR_END, &data(FAR_END, &rtp(96, 1, 5))), server, now).is_err(), "wrapped twice");
    // The same through a channel.
    let bind = stun(0x0009, &[(0x0C, &[0x40, 1, 0, 0]), (0x12, &peer(at(FAR_END)))], None);
    let channel = |number: u8, inner: &[u8]| {
        let length = u16::try_from(inner.len()).unwrap_or(0).to_be_bytes();
        [&[0x40, number, length[0], length[1]][..], inner].concat()
    };
    assert!(guard.incoming(&channel(1, &rtp(96, 2, 5)), server, now).is_err());
    guard.outgoing(&bind, server, now);
    assert_eq!(guard.incoming(&channel(1, &rtp(96, 2, 5)), server, now), Ok(()));
    assert_eq!(guard.incoming(&channel(1, &record(21, 0, &[1, 0])), server, now), Err(Reason::DtlsClear));
    assert!(guard.incoming(&channel(2, &rtp(96, 2, 5)), server, now).is_err());
    assert!(guard.incoming(&channel(1, &rtp(96, 2, 5)), at(STRANGER), now).is_err());
    // An address that gets an answer through the server is confirmed.
    let nat = "198.51.100.9:1024";
    assert_eq!(guard.incoming(&data(nat, &rtp(96, 3, 5)), server, now), Err(Reason::Source));
    let answer = stun(0x0101, &[], Some(PASSWORD));
    guard.outgoing(&stun(0x0016, &[(0x12, &peer(at(nat))), (0x13, &answer)], None), server, now);
    assert_eq!(guard.incoming(&data(nat, &rtp(96, 3, 5)), server, now), Ok(()));
}
