//! What a relay costs: the first sound comes later, the way from mouth to ear is longer, and a stream takes memory.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use callbox::core::MediaCommand;
use callbox::signaling::Candidate;

use crate::relay::{NAMED_USER, coturn, free_port, until_it_answers};
use crate::turn_streams::{Relay, answer, end_with, is_relayed};
use crate::{End, amplitude};

const FIRST_SOUND_LATER: Duration = Duration::from_millis(300);
const MOUTH_TO_EAR_LONGER_MS: f64 = 10.0;
const BURSTS: usize = 9;
const SAMPLES_PER_MS: f64 = 48.0;
/// A burst begins this often, in periods of 10 ms, and lasts half as long.
const BURST_PERIODS: usize = 50;
const HERTZ: f32 = 1000.0;

const BRIDGE_KIB: u64 = 200;
/// Peer connections with a relay whose memory is measured.
const ENDS: u64 = 20;

struct Figures {
    first_sound: Duration,
    /// The median of the bursts.
    mouth_to_ear_ms: f64,
}

/// Calls with the candidates that `way` admits, and measures.
async fn measure(ca_file: Option<&Path>, urls: &[&str], way: fn(&Candidate) -> bool) -> Figures {
    let (mut one, mut other) = (end_with(ca_file, urls), end_with(ca_file, urls));
    let began = answer(&mut one, &mut other, way).await;
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    loop {
        ticks.tick().await;
        one.frame(HERTZ);
        if amplitude(&other.exchange(&[0.0; 480]), HERTZ) > 0.05 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "nothing is heard");
    }
    let first_sound = began.elapsed();
    let mouth_to_ear_ms = mouth_to_ear_ms(&mut one, &mut other).await;
    one.command(MediaCommand::Close);
    other.command(MediaCommand::Close);
    Figures { first_sound, mouth_to_ear_ms }
}

/// The median delay of bursts of a tone.
async fn mouth_to_ear_ms(one: &mut End, other: &mut End) -> f64 {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    // Behind missed ticks, both sides would work in bunches.
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut delays, mut was_quiet) = (Vec::new(), false);
    for period in 0.. {
        ticks.tick().await;
        let place = period % BURST_PERIODS;
        if place >= BURST_PERIODS / 2 {
            one.frame(HERTZ);
        } else {
            one.exchange(&[0.0; 480]);
        }
        let heard = other.exchange(&[0.0; 480]);
        let loud = heard.iter().position(|sample| sample.abs() > 0.1);
        match loud {
            Some(index) if was_quiet => {
                let begin = period - place + BURST_PERIODS / 2;
                delays.push((period as f64 - begin as f64) * 10.0 + index as f64 / SAMPLES_PER_MS);
                was_quiet = false;
            }
            Some(_) => {}
            // Well before the next burst.
            None => was_quiet |= place == BURST_PERIODS / 2 - 1,
        }
        if delays.len() == BURSTS {
            break;
        }
        assert!(period < BURST_PERIODS * BURSTS * 2, "bursts are not heard: {delays:?}");
    }
    delays.sort_by(f64::total_cmp);
    delays[BURSTS / 2]
}

#[tokio::test]
#[ignore = "it measures, so it runs alone: make test-rust"]
async fn a_relay_over_tls_costs_little_time() {
    let Some(Relay { coturn, tls, .. }) = Relay::start().await else { return };
    let certificate = coturn.certificate();
    let direct = measure(None, &[], |_| true).await;
    let relayed = measure(Some(&certificate), &[&format!("turns:localhost:{tls}")], is_relayed).await;
    for (way, figures) in [("direct", &direct), ("through TURN over TLS", &relayed)] {
        println!(
            "{way}: first sound {} ms after the answer, mouth to ear {:.1} ms",
            figures.first_sound.as_millis(),
            figures.mouth_to_ear_ms
        );
    }
    assert!(relayed.first_sound < direct.first_sound + FIRST_SOUND_LATER);
    assert!(relayed.mouth_to_ear_ms <= direct.mouth_to_ear_ms + MOUTH_TO_EAR_LONGER_MS);
}

/// The memory of this process in KiB (proc_pid_status(5), `VmRSS`).
fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// The memory of a peer connection with one relay, in KiB. All of them are kept, so that the next ones cannot take their
/// place.
async fn memory_of_an_end(kept: &mut Vec<End>, ca_file: &Path, url: &str) -> u64 {
    let before = memory_kib();
    for _ in 0..ENDS {
        let mut end = end_with(Some(ca_file), &[url]);
        end.command(MediaCommand::Offer);
        end.offer().await;
        assert!(end.candidates().await.iter().any(is_relayed), "{url}");
        kept.push(end);
    }
    memory_kib().saturating_sub(before) / ENDS
}

#[tokio::test]
#[ignore = "it measures, so it runs alone: make test-rust"]
async fn a_stream_to_a_relay_takes_little_memory() {
    let Some(Relay { coturn: relay, tls, .. }) = Relay::start().await else { return };
    let local = Ipv4Addr::LOCALHOST.into();
    let udp = free_port(local);
    let _relay_over_udp = coturn(local, udp, &NAMED_USER);
    until_it_answers(local, udp);
    let certificate = relay.certificate();
    let (over_udp, over_tls) = (format!("turn:127.0.0.1:{udp}"), format!("turns:localhost:{tls}"));
    let mut kept = Vec::new();
    // The first ones bring code and tables into memory.
    memory_of_an_end(&mut kept, &certificate, &over_tls).await;
    let over_udp = memory_of_an_end(&mut kept, &certificate, &over_udp).await;
    let over_tls = memory_of_an_end(&mut kept, &certificate, &over_tls).await;
    println!("a peer connection with a relay over UDP takes {over_udp} KiB, over TLS {over_tls} KiB");
    assert!(over_tls > over_udp && over_tls - over_udp < BRIDGE_KIB);
    for end in &mut kept {
        end.command(MediaCommand::Close);
    }
}
