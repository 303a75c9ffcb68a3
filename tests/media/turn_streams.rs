//! TURN over TCP and TLS: through Debian's coturn, and against servers that do what they should not.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use callbox::config::{Codec, IceServer};
use callbox::core::{MediaCommand, MediaEvent};
use callbox::signaling::Candidate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::End;
use crate::relay::{Coturn, NAMED_USER, coturn_without_udp, free_port, until_it_answers};
use crate::two_peers::assert_both_hear;

/// From the answer to the connection through any one relay.
const UP_WITHIN: Duration = Duration::from_millis(1500);

fn end(ca_file: Option<&Path>, url: &str) -> End {
    end_with(ca_file, &[url])
}

/// An end with these servers, or with none.
pub fn end_with(ca_file: Option<&Path>, urls: &[&str]) -> End {
    let urls: Vec<_> = urls.iter().map(|url| url.parse().unwrap()).collect();
    let server = IceServer { urls, username: "door".into(), credential: "secret".into() };
    let servers = if server.urls.is_empty() { Vec::new() } else { vec![server] };
    End::trusting(ca_file, Ipv4Addr::LOCALHOST.into(), &[Codec::Opus], servers)
}

pub fn is_relayed(candidate: &Candidate) -> bool {
    candidate.candidate.contains(" typ relay")
}

/// Sets a call up whose ends know of each other the candidates that `way` admits. Returns when the answer was applied.
pub async fn answer(one: &mut End, other: &mut End, way: fn(&Candidate) -> bool) -> Instant {
    one.command(MediaCommand::Offer);
    let offer = one.offer().await;
    let ours = one.candidates().await;
    other.command(MediaCommand::Answer { offer: offer.into() });
    let answer = other.answer().await;
    let theirs = other.candidates().await;
    assert!(ours.iter().any(way) && theirs.iter().any(way), "{ours:?} {theirs:?}");
    let began = Instant::now();
    one.command(MediaCommand::ApplyAnswer { answer: answer.into() });
    for candidate in ours.into_iter().filter(way) {
        other.command(MediaCommand::AddCandidate(candidate));
    }
    for candidate in theirs.into_iter().filter(way) {
        one.command(MediaCommand::AddCandidate(candidate));
    }
    began
}

/// Sets a call up whose ends know each other's relayed addresses alone. Returns how long it took from the answer.
async fn call_through_relays(one: &mut End, other: &mut End) -> Duration {
    let began = answer(one, other, is_relayed).await;
    one.connected().await;
    other.connected().await;
    began.elapsed()
}

/// A TURN server that is reached over TCP and TLS alone, with its ports.
pub struct Relay {
    pub coturn: Coturn,
    pub tcp: u16,
    pub tls: u16,
}

impl Relay {
    /// Starts it. `None` if there is no turnserver here.
    pub async fn start() -> Option<Self> {
        let local = Ipv4Addr::LOCALHOST.into();
        let (tcp, tls) = (free_port(local), free_port(local));
        let Some(coturn) = coturn_without_udp(tcp, tls) else {
            println!("SKIPPED: there is no turnserver here");
            return None;
        };
        for _ in 0..100 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, tls)).await.is_ok() {
                return Some(Self { coturn, tcp, tls });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the TURN server does not listen");
    }
}

/// What is wrong with the server, in words.
async fn fault(end: &End) -> String {
    for _ in 0..100 {
        if let Some(fault) = end.turn_faults.first() {
            return fault;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing is said of the server");
}

#[tokio::test]
async fn a_call_is_up_in_time_through_tcp_alone_and_through_tls_alone() {
    let Some(Relay { coturn, tcp, tls }) = Relay::start().await else { return };
    for url in [format!("turn:localhost:{tcp}?transport=tcp"), format!("turns:localhost:{tls}")] {
        let certificate = coturn.certificate();
        let (mut one, mut other) = (end(Some(&certificate), &url), end(Some(&certificate), &url));
        let took = call_through_relays(&mut one, &mut other).await;
        println!("{url}: up {} ms after the answer", took.as_millis());
        assert!(took < UP_WITHIN, "{url}: {took:?}");
        assert_both_hear(&mut one, &mut other).await;
        one.command(MediaCommand::Close);
        other.command(MediaCommand::Close);
    }
}

#[tokio::test]
async fn relays_that_do_not_answer_do_not_delay_those_that_do() {
    let Some(Relay { coturn, tcp, tls }) = Relay::start().await else { return };
    let deaf = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let deaf = deaf.local_addr().unwrap();
    let certificate = coturn.certificate();
    let urls = [
        format!("stun:{deaf}"),
        format!("turn:{deaf}"),
        format!("turn:localhost:{tcp}?transport=tcp"),
        format!("turns:localhost:{tls}"),
    ];
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let (mut one, mut other) = (end_with(Some(&certificate), &urls), end_with(Some(&certificate), &urls));
    one.command(MediaCommand::Offer);
    let offer = one.offer().await;
    let ours = [relayed(&mut one).await, relayed(&mut one).await];
    other.command(MediaCommand::Answer { offer: offer.into() });
    let answer = other.answer().await;
    let began = Instant::now();
    one.command(MediaCommand::ApplyAnswer { answer: answer.into() });
    for candidate in ours {
        other.command(MediaCommand::AddCandidate(candidate));
    }
    for _ in 0..2 {
        one.command(MediaCommand::AddCandidate(relayed(&mut other).await));
    }
    one.connected().await;
    other.connected().await;
    let took = began.elapsed();
    assert!(took < UP_WITHIN, "{took:?}");
    one.command(MediaCommand::Close);
    other.command(MediaCommand::Close);
}

/// The next relayed candidate.
async fn relayed(end: &mut End) -> Candidate {
    end.event("a relayed candidate", |event| match event {
        MediaEvent::LocalCandidate(candidate) if is_relayed(candidate) => Some(candidate.clone()),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_gives_no_relay_and_the_rest_goes_on() {
    let Some(Relay { coturn: _coturn, tls, .. }) = Relay::start().await else { return };
    let mut end = end(None, &format!("turns:localhost:{tls}"));
    end.command(MediaCommand::Offer);
    end.offer().await;
    end.event("a candidate", |event| match event {
        MediaEvent::LocalCandidate(candidate) => {
            assert!(!is_relayed(candidate));
            Some(())
        }
        _ => None,
    })
    .await;
    let fault = fault(&end).await;
    assert!(fault.contains("unknown CA") && fault.contains("core.ca_file"), "{fault}");
    end.command(MediaCommand::Close);
}

/// A TURN server that says this to everybody, again and again, whatever it is told.
async fn a_server_that_says(what: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let what = what.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 1024];
                while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {
                    for _ in 0..3 {
                        if stream.write_all(&what).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_server_that_is_none_costs_a_call_nothing() {
    // An allocation that the library did not ask for, with a lifetime of nothing.
    let mut allocated = vec![1, 3, 0, 8, 0x21, 0x12, 0xA4, 0x42];
    allocated.extend([9; 12]);
    allocated.extend([0, 0x0D, 0, 4, 0, 0, 0, 0]);
    let longest = [&[0x40, 0, 0xFF, 0xFF][..], &[7; 65_536]].concat();
    for what in [b"HTTP/1.1 302 Found\r\n\r\n".to_vec(), vec![0xFF; 500], longest, allocated, vec![0, 1, 0, 4]] {
        let server = a_server_that_says(what.clone()).await;
        let mut one = end(None, &format!("turn:{server}?transport=tcp"));
        let mut other = End::new(&[Codec::Opus], Vec::new());
        let began = Instant::now();
        one.command(MediaCommand::Offer);
        let offer = one.offer().await;
        other.command(MediaCommand::Answer { offer: offer.into() });
        let (answer, theirs) = (other.answer().await, other.candidates().await);
        one.command(MediaCommand::ApplyAnswer { answer: answer.into() });
        for candidate in theirs {
            one.command(MediaCommand::AddCandidate(candidate));
        }
        one.connected().await;
        other.connected().await;
        assert!(began.elapsed() < UP_WITHIN, "{:?}", what.get(..8));
        assert_both_hear(&mut one, &mut other).await;
        one.command(MediaCommand::Close);
        other.command(MediaCommand::Close);
    }
}

#[tokio::test]
async fn refused_credentials_are_told_over_each_transport() {
    let Some(Relay { coturn, tcp, tls }) = Relay::start().await else { return };
    let local = Ipv4Addr::LOCALHOST.into();
    let udp = free_port(local);
    let _relay_over_udp = crate::relay::coturn(local, udp, &NAMED_USER);
    until_it_answers(local, udp);
    for url in [
        format!("turn:127.0.0.1:{udp}"),
        format!("turn:127.0.0.1:{tcp}?transport=tcp"),
        format!("turns:localhost:{tls}"),
    ] {
        let server =
            IceServer { urls: vec![url.parse().unwrap()], username: "door".into(), credential: "wrong".into() };
        let certificate = coturn.certificate();
        let mut end = End::trusting(Some(&certificate), local, &[Codec::Opus], vec![server]);
        end.command(MediaCommand::Offer);
        end.offer().await;
        let fault = fault(&end).await;
        assert!(fault.contains("it refuses the user name or the password (TURN error 4"), "{url}: {fault}");
        end.command(MediaCommand::Close);
    }
}

#[tokio::test]
async fn a_server_that_floods_or_says_nothing_is_left_with_a_sentence() {
    let longest = [&[0x40, 0, 0xFF, 0xFF][..], &[7; 65_536]].concat();
    let small = [&[0x40, 0, 0, 4][..], &[7; 4]].concat();
    for (what, words) in [
        (longest, "it sends more than any call needs"),
        (small, "it sends more than any call needs"),
        (Vec::new(), "no TURN server answers there"),
    ] {
        let server = a_server_that_pours(what).await;
        let mut end = end(None, &format!("turn:{server}?transport=tcp"));
        end.command(MediaCommand::Offer);
        end.offer().await;
        let mut fault = None;
        for _ in 0..200 {
            fault = end.turn_faults.first();
            if fault.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(fault.as_ref().is_some_and(|fault| fault.contains(words)), "{words}: {fault:?}");
        end.command(MediaCommand::Close);
    }
}

/// A server that sends this without end, whatever it is told; nothing is silence.
async fn a_server_that_pours(what: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let much: Vec<u8> =
        what.iter().copied().cycle().take(if what.is_empty() { 0 } else { what.len() * 1000 }).collect();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let much = much.clone();
            tokio::spawn(async move {
                if much.is_empty() {
                    std::future::pending::<()>().await;
                }
                while stream.write_all(&much).await.is_ok() {}
            });
        }
    });
    address
}

/// Attributes of a success: XOR-RELAYED-ADDRESS and XOR-MAPPED-ADDRESS of 127.0.0.1:5000, and LIFETIME (RFC 8656,
/// section 18).
fn allocated(lifetime_s: u32) -> Vec<u8> {
    let xor_address = [0, 1, 0x13 ^ 0x21, 0x88 ^ 0x12, 127 ^ 0x21, 0x12, 0xA4, 1 ^ 0x42];
    let addresses = [0x16, 0x20].map(|kind| [&[0, kind, 0, 8][..], &xor_address].concat());
    [addresses.concat(), vec![0, 0x0D, 0, 4], lifetime_s.to_be_bytes().to_vec()].concat()
}

/// Attributes of an error: ERROR-CODE 401, REALM and NONCE (RFC 8489, section 14).
fn wants_a_login() -> Vec<u8> {
    let error = [0, 9, 0, 4, 0, 0, 4, 1];
    [&error[..], &[0, 0x14, 0, 4], b"test", &[0, 0x15, 0, 4], b"once"].concat()
}

/// A TURN server that allocates for everybody who logs in, for this long. Returns its address, and how many requests
/// it has had.
async fn a_server_that_allocates_for(lifetime_s: u32) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counted = Arc::clone(&counted);
            tokio::spawn(async move {
                let mut head = [0; 20];
                while stream.read_exact(&mut head).await.is_ok() {
                    let mut rest = vec![0; usize::from(u16::from_be_bytes([head[2], head[3]]))];
                    if stream.read_exact(&mut rest).await.is_err() {
                        return;
                    }
                    counted.fetch_add(1, Ordering::Relaxed);
                    // USERNAME begins the attributes of a request with a login (RFC 8489, section 14.3).
                    let has_login = rest.windows(4).any(|attribute| attribute == [0, 6, 0, 4]);
                    let attributes = if has_login { allocated(lifetime_s) } else { wants_a_login() };
                    let mut response =
                        vec![1, head[1] | if has_login { 0 } else { 0x10 }, 0, u8::try_from(attributes.len()).unwrap()];
                    response.extend(&head[4..]);
                    response.extend(attributes);
                    if stream.write_all(&response).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, requests)
}

#[tokio::test]
async fn allocations_that_expire_at_once_are_not_renewed_without_end() {
    for lifetime_s in [0, 1] {
        let (server, requests) = a_server_that_allocates_for(lifetime_s).await;
        let mut one = end(None, &format!("turn:{server}?transport=tcp"));
        one.command(MediaCommand::Offer);
        one.offer().await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let count = requests.load(Ordering::Relaxed);
        println!("{count} requests for allocations of {lifetime_s} s");
        assert!((2..20).contains(&count), "{count} requests for allocations of {lifetime_s} s");
        one.command(MediaCommand::Close);
    }
}
