//! Attacks on the media port, from a socket that has no part in the call and from the far end's own address, before,
//! during and after set-up: the call comes up, both hear each other, and no false event is reported.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use callbox::core::{MediaCommand, MediaEvent};
use callbox::signaling::Candidate;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::two_peers::{ALL, assert_both_hear};
use crate::{End, amplitude, talk};

/// A wire between two ends. Each end knows the other one by an address of the wire, so the wire can send in its name.
struct Wire {
    /// The station takes the address of this socket for the far end's.
    station_side: Arc<UdpSocket>,
    far_side: SocketAddr,
    station: SocketAddr,
    /// What the far end has sent: one datagram of each kind and length.
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
    /// Whether DTLS of the far end gets lost.
    lost_dtls: Arc<AtomicU32>,
    deaf: Arc<AtomicBool>,
}

impl Wire {
    async fn new(station: SocketAddr, far_end: SocketAddr) -> Self {
        let station_side = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let far = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let far_side = far.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let (from, to, kept) = (Arc::clone(&far), Arc::clone(&station_side), Arc::clone(&seen));
        let deaf = Arc::<AtomicBool>::default();
        let without_dtls = Arc::clone(&deaf);
        let lost_dtls = Arc::<AtomicU32>::default();
        let lost = Arc::clone(&lost_dtls);
        tokio::spawn(async move {
            let mut buffer = [0; 2048];
            while let Ok((length, _)) = from.recv_from(&mut buffer).await {
                if without_dtls.load(Ordering::Relaxed) && (20..64).contains(&buffer[0]) {
                    lost.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                keep(&mut kept.lock().unwrap(), &buffer[..length]);
                let _ = to.send_to(&buffer[..length], station).await;
            }
        });
        let (from, to) = (Arc::clone(&station_side), far);
        tokio::spawn(async move {
            let mut buffer = [0; 2048];
            while let Ok((length, _)) = from.recv_from(&mut buffer).await {
                let _ = to.send_to(&buffer[..length], far_end).await;
            }
        });
        Self { station_side, far_side, station, seen, lost_dtls, deaf }
    }

    fn station_side(&self) -> SocketAddr {
        self.station_side.local_addr().unwrap()
    }
}

fn keep(seen: &mut Vec<Vec<u8>>, datagram: &[u8]) {
    let like = |known: &Vec<u8>| known.len() == datagram.len() && known[..2] == datagram[..2];
    if datagram.len() > 2 && seen.len() < 500 && !seen.iter().any(like) {
        seen.push(datagram.to_vec());
    }
}

fn address(candidate: &Candidate) -> SocketAddr {
    let parts: Vec<&str> = candidate.candidate.split(' ').collect();
    SocketAddr::new(parts[4].parse().unwrap(), parts[5].parse().unwrap())
}

fn moved(candidate: &Candidate, to: SocketAddr) -> MediaCommand {
    let mut parts: Vec<String> = candidate.candidate.split(' ').map(str::to_owned).collect();
    parts[4] = to.ip().to_string();
    parts[5] = to.port().to_string();
    MediaCommand::AddCandidate(Candidate { candidate: parts.join(" ").into(), ..candidate.clone() })
}

/// Makes a call through a wire, and waits until it is up.
async fn call_by_wire(station: &mut End, far: &mut End, attack: impl FnOnce(&Wire)) -> Wire {
    let wire = set_up(station, far, attack).await;
    station.connected().await;
    far.connected().await;
    wire
}

/// Exchanges descriptions and candidates for such a call. `attack` gets the wire before the station knows a far end.
async fn set_up(station: &mut End, far: &mut End, attack: impl FnOnce(&Wire)) -> Wire {
    station.command(MediaCommand::Offer);
    let offer = station.offer().await;
    let ours = station.candidates().await;
    far.command(MediaCommand::Answer { offer: offer.into() });
    let answer = far.answer().await;
    let theirs = far.candidates().await;
    let (ours, theirs) = (&ours[0], &theirs[0]);
    let wire = Wire::new(address(ours), address(theirs)).await;
    attack(&wire);
    station.command(MediaCommand::ApplyAnswer { answer: answer.into() });
    station.command(moved(theirs, wire.station_side()));
    far.command(moved(ours, wire.far_side));
    wire
}

/// Random numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next()).unwrap() % limit
    }
}

/// A handshake message in fragments without data, of which the first one comes last. If fragments claim to have a byte,
/// such a message has ended the process, because rtc-dtls recurses once for each of them.
fn fragments_without_data(claimed_length: u8) -> Vec<Vec<u8>> {
    let fragment = |offset: u32| {
        let mut bytes = vec![1, 0, 0xC3, 0x50, 0, 0];
        bytes.extend(&offset.to_be_bytes()[1..]);
        bytes.extend([0, 0, claimed_length]);
        bytes
    };
    let offsets: Vec<u32> = (1..50_000).chain([0]).collect();
    let datagram = |(number, offsets): (usize, &[u32])| {
        let body: Vec<u8> = offsets.iter().flat_map(|offset| fragment(*offset)).collect();
        let mut datagram = vec![22, 0xFE, 0xFD, 0, 0, 0, 0];
        datagram.extend(u32::try_from(number + 1000).unwrap().to_be_bytes());
        datagram.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        datagram.extend(body);
        datagram
    };
    offsets.chunks(100).enumerate().map(datagram).collect()
}

fn close_notify(number: u64) -> Vec<u8> {
    let mut alert = vec![21, 0xFE, 0xFD, 0, 0];
    alert.extend(&number.to_be_bytes()[2..]);
    alert.extend([0, 2, 1, 0]);
    alert
}

/// A receiver report whose E flag says that it is not encrypted. It reports that half of what we send is lost. The word
/// with the flag is where AES-CM has it (RFC 3711), or where AES-GCM has it (RFC 7714).
fn forged_report(number: u32) -> Vec<u8> {
    let mut report = vec![0x81, 201, 0, 7];
    report.extend(number.to_be_bytes());
    report.extend(number.to_be_bytes());
    report.extend([128, 0, 0, 9]);
    report.extend([0; 16]);
    report.extend([0xFF; 16].iter().skip(if number.is_multiple_of(2) { 0 } else { 16 }));
    report.extend(number.to_be_bytes().map(|byte| byte & 0x7F));
    report.extend([0; 10].iter().skip(if number.is_multiple_of(2) { 10 } else { 0 }));
    report
}

fn forged_packet(random: &mut Random) -> Vec<u8> {
    let mut packet = vec![0x80, 111];
    while packet.len() < 200 {
        packet.extend(random.next().to_be_bytes());
    }
    packet
}

/// A connectivity check without authentication. One of the two roles is a role conflict (RFC 8445, section 7.3.1.1).
fn forged_check(random: &mut Random, controlling: bool) -> Vec<u8> {
    let mut check = vec![0, 1, 0, 12, 0x21, 0x12, 0xA4, 0x42];
    check.extend(&random.next().to_be_bytes());
    check.extend(&random.next().to_be_bytes()[..4]);
    check.extend([0x80, if controlling { 0x2A } else { 0x29 }, 0, 8]);
    check.extend([0xFF; 8]);
    check
}

/// All attacks of one round, in an order in which each of them could do harm.
fn round(random: &mut Random) -> Vec<Vec<u8>> {
    let mut datagrams = fragments_without_data(0);
    datagrams.extend(fragments_without_data(1));
    datagrams.extend((0..100).map(close_notify));
    datagrams.extend((0..100).map(forged_report));
    datagrams.extend((0..1000).map(|_| forged_packet(random)));
    datagrams.extend((0..100_u32).map(|number| forged_check(random, number.is_multiple_of(2))));
    datagrams
}

/// Sends at a rate that a socket can take.
async fn send(socket: &UdpSocket, to: SocketAddr, datagrams: impl IntoIterator<Item = Vec<u8>>) {
    send_in_bursts(32, socket, to, datagrams).await;
}

/// Sends this many datagrams at once, then rests for a millisecond.
async fn send_in_bursts(
    burst: usize,
    socket: &UdpSocket,
    to: SocketAddr,
    datagrams: impl IntoIterator<Item = Vec<u8>>,
) {
    for (number, datagram) in datagrams.into_iter().enumerate() {
        let _ = socket.send_to(&datagram, to).await;
        if number % burst == burst - 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// The events so far that a healthy call does not have.
fn complaints(end: &mut End) -> Vec<MediaEvent> {
    let events = std::iter::from_fn(|| end.events.try_recv().ok()).map(|(_, event)| event);
    events
        .filter(|event| matches!(event, MediaEvent::Closed | MediaEvent::Disconnected | MediaEvent::Failed(_)))
        .collect()
}

/// The share of 20 ms pieces in which the tone is present. An amplitude over a whole second would not do: a pause that
/// was stretched or shortened moves the phase of the tone, and the amplitude falls although nothing is missing.
fn share_with_tone(heard: &[f32], hertz: f32) -> f32 {
    let pieces = heard.chunks(960);
    let count = pieces.len();
    let with_tone = pieces.filter(|piece| amplitude(piece, hertz) > 0.2).count();
    with_tone as f32 / count as f32
}

/// While an attack shares the processor with a debug build, some frames come too late to be heard.
async fn assert_both_hear_most(station: &mut End, far: &mut End) {
    let (heard_here, heard_there) = talk(station, far).await;
    let shares = (share_with_tone(&heard_here, 900.0), share_with_tone(&heard_there, 500.0));
    assert!(shares.0 > 0.5 && shares.1 > 0.5, "{shares:?}");
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[tokio::test]
async fn attacks_before_during_and_after_set_up_cost_the_call_nothing() {
    for far_ends_own in [false, true] {
        let (mut station, mut far) = (End::new(&ALL, Vec::new()), End::new(&ALL, Vec::new()));
        let stranger = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let over = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&over);
        let wire = call_by_wire(&mut station, &mut far, |wire| {
            let socket = if far_ends_own { Arc::clone(&wire.station_side) } else { stranger };
            let target = wire.station;
            tokio::spawn(async move {
                let mut random = Random(7);
                while !until.load(Ordering::Relaxed) {
                    // Some 2,000 a second. A faster flood fills the socket of a debug build on a busy machine, and
                    // then sound is lost before it reaches the guard.
                    send_in_bursts(4, &socket, target, round(&mut random)).await;
                }
            });
        })
        .await;
        assert_both_hear_most(&mut station, &mut far).await;
        over.store(true, Ordering::Relaxed);
        assert_both_hear(&mut station, &mut far).await;
        assert_eq!(complaints(&mut station), [], "from the far end's own address: {far_ends_own}");
        let dropped = station.dropped.read();
        if far_ends_own {
            let met = [dropped.dtls_malformed, dropped.dtls_clear, dropped.srtcp_clear, dropped.streams];
            assert!(met.iter().all(|count| *count > 0), "{dropped:?}");
        } else {
            assert!(dropped.source > 1000, "{dropped:?}");
        }
        assert!(dropped.stun_unauthenticated > 50, "{dropped:?}");
        drop(wire);
        station.command(MediaCommand::Close);
        far.command(MediaCommand::Close);
    }
}

/// Runs a test in a process of its own, because memory can be measured for a whole process only.
fn in_a_process_of_its_own(test: &str) {
    let name = format!("hostile::{test}");
    let run = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--ignored", "--nocapture", "--test-threads=1"])
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success() && said.contains("1 passed"), "{}: {said}", run.status);
}

#[test]
fn mutations_of_every_protocol_cost_the_call_nothing() {
    in_a_process_of_its_own("mutations");
}

#[test]
fn streams_that_nobody_knows_take_no_memory() {
    in_a_process_of_its_own("unknown_streams");
}

#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn mutations() {
    const EACH: usize = 100_000;
    let (mut station, mut far) = (End::new(&ALL, Vec::new()), End::new(&ALL, Vec::new()));
    let wire = call_by_wire(&mut station, &mut far, |_| {}).await;
    // Long enough for RTCP to be sent.
    for _ in 0..3 {
        assert_both_hear(&mut station, &mut far).await;
    }
    let seen = wire.seen.lock().unwrap().clone();
    type Belongs = fn(&[u8]) -> bool;
    let protocols: [(&str, Belongs); 4] = [
        ("STUN", |datagram| datagram[0] < 4),
        ("DTLS", |datagram| (20..64).contains(&datagram[0])),
        ("SRTP", |datagram| datagram[0] >= 128 && !(192..224).contains(&datagram[1])),
        ("SRTCP", |datagram| datagram[0] >= 128 && (192..224).contains(&datagram[1])),
    ];
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut before = None;
    for (name, belongs) in protocols {
        let models: Vec<Vec<u8>> = seen.iter().filter(|datagram| belongs(datagram)).cloned().collect();
        assert!(!models.is_empty(), "no {name} was seen");
        let mut random = Random(11);
        let mut mutation = move || {
            let mut datagram = models[random.below(models.len())].clone();
            for _ in 0..=random.below(4) {
                let at = random.below(datagram.len());
                match random.below(4) {
                    0 => datagram[at] = u8::try_from(random.below(256)).unwrap(),
                    1 => datagram[at] ^= 1 << random.below(8),
                    2 => datagram.truncate(at.max(1)),
                    _ => datagram.insert(at, 0),
                }
            }
            datagram
        };
        // Batches from the far end's own address and from the stranger's take turns.
        for _ in 0..EACH / 100 {
            send(&wire.station_side, wire.station, std::iter::repeat_with(&mut mutation).take(50)).await;
            send(&stranger, wire.station, std::iter::repeat_with(&mut mutation).take(50)).await;
        }
        let (heard_here, heard_there) = talk(&mut station, &mut far).await;
        let tones = (amplitude(&heard_here, 900.0), amplitude(&heard_there, 500.0));
        assert!((0.2..0.4).contains(&tones.0) && (0.2..0.4).contains(&tones.1), "after {name}: {tones:?}");
        assert_eq!(complaints(&mut station), [], "after {name}");
        // After the first protocol, the memory that any traffic needs is allocated.
        before.get_or_insert_with(resident_bytes);
    }
    let grown = resident_bytes().saturating_sub(before.unwrap());
    let dropped = station.dropped.read();
    assert!(grown < 1_000_000, "{grown}");
    assert!(dropped.sum() > 300_000, "{dropped:?}");
}

/// Seven megabytes of packets of unknown streams, from the far end's address.
#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn unknown_streams() {
    let (mut station, mut far) = (End::new(&ALL, Vec::new()), End::new(&ALL, Vec::new()));
    let wire = call_by_wire(&mut station, &mut far, |_| {}).await;
    assert_both_hear(&mut station, &mut far).await;
    let mut random = Random(13);
    send(&wire.station_side, wire.station, (0..1000).map(|_| forged_packet(&mut random))).await;
    let before = resident_bytes();
    send(&wire.station_side, wire.station, (0..35_000).map(|_| forged_packet(&mut random))).await;
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 1_000_000, "{grown}");
    assert_both_hear(&mut station, &mut far).await;
    assert_eq!(complaints(&mut station), []);
}

/// A far end that closes DTLS is gone, whatever ICE says.
#[tokio::test]
async fn a_dtls_that_the_far_end_closes_is_reported() {
    let (mut station, mut far) = (End::new(&ALL, Vec::new()), End::new(&ALL, Vec::new()));
    let _wire = call_by_wire(&mut station, &mut far, |_| {}).await;
    assert_both_hear(&mut station, &mut far).await;
    far.command(MediaCommand::Close);
    station.event("the end of DTLS", |event| (*event == MediaEvent::Closed).then_some(())).await;
}

/// ICE alone is not a connection, because there are no keys yet.
#[tokio::test]
async fn connected_is_reported_when_there_are_keys_and_not_before() {
    let (mut station, mut far) = (End::new(&ALL, Vec::new()), End::new(&ALL, Vec::new()));
    let wire = set_up(&mut station, &mut far, |wire| wire.deaf.store(true, Ordering::Relaxed)).await;
    // The handshake has been tried three times, so ICE has been connected for seconds.
    let tried = async {
        while wire.lost_dtls.load(Ordering::Relaxed) < 3 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(crate::PATIENCE, tried).await.expect("DTLS is repeated");
    let told: Vec<MediaEvent> = std::iter::from_fn(|| station.events.try_recv().ok()).map(|(_, event)| event).collect();
    assert!(!told.contains(&MediaEvent::Connected), "{told:?}");
    let checks = wire.seen.lock().unwrap().iter().filter(|datagram| datagram[0] < 4).count();
    assert!(checks > 0, "ICE checks were sent");
    // DTLS repeats its messages by itself.
    wire.deaf.store(false, Ordering::Relaxed);
    station.connected().await;
    assert_both_hear(&mut station, &mut far).await;
}
