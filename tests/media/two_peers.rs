use std::collections::VecDeque;
use std::f32::consts::TAU;
use std::time::Duration;

use callbox::config::Codec;
use callbox::core::{MediaCommand, MediaEvent};

use crate::{End, amplitude, talk};

pub const ALL: [Codec; 3] = [Codec::Opus, Codec::Pcma, Codec::Pcmu];

/// Sets a call up: an offer, its answer, and candidates that travel as `trickle` says.
pub async fn call(one: &mut End, other: &mut End, trickle: Trickle) {
    one.command(MediaCommand::Offer);
    let offer = one.offer().await;
    assert!(!offer.contains("a=candidate"), "candidates are trickled");
    let ours = one.candidates().await;
    assert!(!ours.is_empty());
    other.command(MediaCommand::Answer { offer: offer.into() });
    let answer = other.answer().await;
    let theirs = other.candidates().await;
    for candidate in ours {
        assert_eq!(candidate.sdp_mid.as_deref(), Some("0"));
        other.command(MediaCommand::AddCandidate(candidate));
    }
    match trickle {
        Trickle::Half => {
            // Like Janus: the candidates are in the description, and there is no trickle.
            let lines: String =
                theirs.iter().map(|candidate| format!("a={}\r\n", prefixed(&candidate.candidate))).collect();
            one.command(MediaCommand::ApplyAnswer { answer: format!("{answer}{lines}a=end-of-candidates\r\n").into() });
        }
        Trickle::BeforeTheAnswer => {
            // Like Janus in full-trickle mode: candidates come without sdpMid, and before the answer.
            for mut candidate in theirs {
                candidate.sdp_mid = None;
                one.command(MediaCommand::AddCandidate(candidate));
            }
            one.command(MediaCommand::ApplyAnswer { answer: answer.into() });
        }
        Trickle::AfterTheAnswer => {
            one.command(MediaCommand::ApplyAnswer { answer: answer.into() });
            for candidate in theirs {
                one.command(MediaCommand::AddCandidate(candidate));
            }
        }
    }
    one.connected().await;
    other.connected().await;
}

fn prefixed(candidate: &str) -> String {
    if candidate.starts_with("candidate:") { candidate.to_owned() } else { format!("candidate:{candidate}") }
}

#[derive(Clone, Copy)]
pub enum Trickle {
    Half,
    BeforeTheAnswer,
    AfterTheAnswer,
}

pub async fn assert_both_hear(one: &mut End, other: &mut End) {
    let (heard_by_one, heard_by_other) = talk(one, other).await;
    let (first, second) = (amplitude(&heard_by_one, 900.0), amplitude(&heard_by_other, 500.0));
    assert!((0.2..0.4).contains(&first) && (0.2..0.4).contains(&second), "{first} {second}");
}

#[tokio::test]
async fn sound_flows_both_ways_however_the_candidates_travel() {
    for trickle in [Trickle::Half, Trickle::BeforeTheAnswer, Trickle::AfterTheAnswer] {
        let (mut one, mut other) = (End::new(&ALL, Vec::new()), End::new(&ALL, Vec::new()));
        call(&mut one, &mut other, trickle).await;
        assert_both_hear(&mut one, &mut other).await;
        one.command(MediaCommand::Close);
        other.command(MediaCommand::Close);
    }
}

#[tokio::test]
async fn every_codec_carries_sound() {
    for codec in ALL {
        let (mut one, mut other) = (End::new(&ALL, Vec::new()), End::new(&[codec], Vec::new()));
        call(&mut one, &mut other, Trickle::AfterTheAnswer).await;
        assert_both_hear(&mut one, &mut other).await;
        one.command(MediaCommand::Close);
        other.command(MediaCommand::Close);
    }
}

#[tokio::test]
async fn digits_arrive_once_and_in_order() {
    for codecs in [&ALL[..1], &ALL[2..]] {
        let (mut one, mut other) = (End::new(codecs, Vec::new()), End::new(codecs, Vec::new()));
        call(&mut one, &mut other, Trickle::AfterTheAnswer).await;
        one.command(MediaCommand::SendDigits("5511#".into()));
        talk(&mut one, &mut other).await;
        let mut digits = String::new();
        while let Ok((_, event)) = other.events.try_recv() {
            if let MediaEvent::Digit(digit) = event {
                digits.push(digit.0);
            }
        }
        assert_eq!(digits, "5511#");
        one.command(MediaCommand::Close);
        other.command(MediaCommand::Close);
    }
}

#[tokio::test]
async fn digits_in_the_sound_survive_every_codec() {
    for codecs in [&ALL[..1], &ALL[1..2], &ALL[2..]] {
        let (mut one, mut other) = (End::new(codecs, Vec::new()), End::new(codecs, Vec::new()));
        call(&mut one, &mut other, Trickle::AfterTheAnswer).await;
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        // A second for the jitter buffer, then 5 and # for 120 ms each, 120 ms apart.
        for tick in 0..180_usize {
            ticks.tick().await;
            let tones = match tick {
                100..112 => Some((770.0, 1336.0)),
                124..136 => Some((941.0, 1477.0)),
                _ => None,
            };
            one.say(|time| {
                tones.map_or(0.0, |(row, column): (f32, f32)| {
                    0.1 * ((TAU * row * time).sin() + (TAU * column * time).sin())
                })
            });
            other.frame(0.0);
        }
        let events = std::iter::from_fn(|| other.events.try_recv().ok());
        let heard =
            events.filter_map(|(_, event)| if let MediaEvent::Tone(digit) = event { Some(digit.0) } else { None });
        assert_eq!(heard.collect::<String>(), "5#", "{codecs:?}");
        one.command(MediaCommand::Close);
        other.command(MediaCommand::Close);
    }
}

/// 10 ms of a digit, 5 or #, so loud that its echo could be detected as a digit too.
fn digit(index: usize, (row, column): (f32, f32)) -> Vec<f32> {
    let sample = |index: usize| {
        let time = index as f32 / 48_000.0;
        0.45 * ((TAU * row * time).sin() + (TAU * column * time).sin())
    };
    (index * 480..(index + 1) * 480).map(sample).collect()
}

#[tokio::test]
async fn digits_that_a_visitor_plays_and_the_phone_sends_back_are_none() {
    for (codecs, echo_frames) in [(&ALL[..1], 1), (&ALL[..1], 45), (&ALL[1..2], 20)] {
        let (mut phone, mut door) = (End::new(codecs, Vec::new()), End::new(codecs, Vec::new()));
        call(&mut phone, &mut door, Trickle::AfterTheAnswer).await;
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        // The phone sends back what it heard `echo_frames` frames ago, 20 dB lower.
        let mut echo: VecDeque<Vec<f32>> = (0..echo_frames).map(|_| vec![0.0; 480]).collect();
        let mut loudest: f32 = 0.0;
        for tick in 0..620_usize {
            ticks.tick().await;
            let played = match tick {
                100..112 | 148..160 | 400..412 => Some((770.0, 1336.0)),
                124..136 | 172..184 | 424..436 => Some((941.0, 1477.0)),
                _ => None,
            };
            let silence = vec![0.0; 480];
            let tones = played.map(|tones| digit(tick, tones));
            // First the visitor plays the code at the door, then the resident sends it.
            let (at_the_door, at_the_phone) = if tick < 300 { (tones, None) } else { (None, tones) };
            door.exchange(at_the_door.as_ref().unwrap_or(&silence));
            let back: Vec<f32> = echo.pop_front().unwrap().iter().map(|sample| sample * 0.1).collect();
            loudest = back.iter().fold(loudest, |most, sample| most.max(sample.abs()));
            echo.push_back(phone.exchange(at_the_phone.as_ref().unwrap_or(&back)));
        }
        let events = std::iter::from_fn(|| door.events.try_recv().ok());
        let heard =
            events.filter_map(|(_, event)| if let MediaEvent::Tone(digit) = event { Some(digit.0) } else { None });
        assert_eq!(heard.collect::<String>(), "5#", "{codecs:?}: only what the resident sent");
        assert!(loudest > 0.01, "the phone sent an echo: {loudest}");
        phone.command(MediaCommand::Close);
        door.command(MediaCommand::Close);
    }
}

#[tokio::test]
async fn an_ice_restart_keeps_the_sound() {
    let (mut one, mut other) = (End::new(&ALL, Vec::new()), End::new(&ALL, Vec::new()));
    call(&mut one, &mut other, Trickle::AfterTheAnswer).await;
    assert_both_hear(&mut one, &mut other).await;
    one.command(MediaCommand::RestartIce);
    let offer = one.offer().await;
    let ours = one.candidates().await;
    other.command(MediaCommand::AnswerUpdate { offer: offer.into() });
    let answer = other.answer().await;
    let theirs = other.candidates().await;
    one.command(MediaCommand::ApplyAnswer { answer: answer.into() });
    for candidate in theirs {
        one.command(MediaCommand::AddCandidate(candidate));
    }
    for candidate in ours {
        other.command(MediaCommand::AddCandidate(candidate));
    }
    one.connected().await;
    other.connected().await;
    assert_both_hear(&mut one, &mut other).await;
}

#[tokio::test]
async fn a_far_end_that_started_again_is_heard_and_one_that_could_not_changes_nothing() {
    let (mut one, mut other) = (End::new(&ALL, Vec::new()), End::new(&ALL, Vec::new()));
    call(&mut one, &mut other, Trickle::AfterTheAnswer).await;
    // A process that started again has another certificate.
    let mut again = End::new(&ALL, Vec::new());
    again.command(MediaCommand::Offer);
    let offer = again.offer().await;
    let ours = again.candidates().await;
    other.command(MediaCommand::AnswerUpdate { offer: offer.replace("a=ice-ufrag", "a=nothing").into() });
    other
        .event("the refusal", |event| match event {
            MediaEvent::Refused { code: 488, message } if message.contains("ICE") => Some(()),
            MediaEvent::LocalAnswer { .. } => panic!("an offer without ICE was answered"),
            _ => None,
        })
        .await;
    assert_both_hear(&mut one, &mut other).await;
    other.command(MediaCommand::AnswerUpdate { offer: offer.into() });
    let answer = other.answer().await;
    let theirs = other.candidates().await;
    again.command(MediaCommand::ApplyAnswer { answer: answer.into() });
    for candidate in ours {
        other.command(MediaCommand::AddCandidate(candidate));
    }
    for candidate in theirs {
        again.command(MediaCommand::AddCandidate(candidate));
    }
    again.connected().await;
    assert_both_hear(&mut again, &mut other).await;
}

#[tokio::test]
async fn a_far_end_that_answers_as_another_endpoint_is_reported_at_once() {
    let (mut one, mut other) = (End::new(&ALL, Vec::new()), End::new(&ALL, Vec::new()));
    call(&mut one, &mut other, Trickle::AfterTheAnswer).await;
    // Both ends repair: the far end has a new peer connection by the time our restart reaches it.
    let mut again = End::new(&ALL, Vec::new());
    one.command(MediaCommand::RestartIce);
    let offer = one.offer().await;
    again.command(MediaCommand::Answer { offer: offer.into() });
    let answer = again.answer().await;
    one.command(MediaCommand::ApplyAnswer { answer: answer.into() });
    let message = one
        .event("the end of the peer connection", |event| match event {
            MediaEvent::Failed(message) => Some(message.clone()),
            _ => None,
        })
        .await;
    assert!(message.contains("another endpoint"), "{message}");
}

#[tokio::test]
async fn after_a_hold_and_a_resume_the_sound_is_back() {
    let (mut one, mut other) = (End::new(&ALL, Vec::new()), End::new(&ALL, Vec::new()));
    one.command(MediaCommand::Offer);
    let offer = one.offer().await;
    let ours = one.candidates().await;
    other.command(MediaCommand::Answer { offer: offer.clone().into() });
    let answer = other.answer().await;
    one.command(MediaCommand::ApplyAnswer { answer: answer.into() });
    for candidate in ours {
        other.command(MediaCommand::AddCandidate(candidate));
    }
    one.connected().await;
    other.connected().await;
    for direction in ["inactive", "sendonly", "sendrecv"] {
        let again = offer.replace("a=sendrecv", &format!("a={direction}"));
        other.command(MediaCommand::AnswerUpdate { offer: again.into() });
        let answer = other.answer().await;
        let expected = if direction == "sendonly" { "recvonly" } else { direction };
        assert!(answer.contains(&format!("a={expected}")), "{direction}: {answer}");
    }
    let (_, heard_by_other) = talk(&mut one, &mut other).await;
    assert!(amplitude(&heard_by_other, 500.0) > 0.2, "the resumed end hears");
    let (heard_by_one, _) = talk(&mut one, &mut other).await;
    assert!(amplitude(&heard_by_one, 900.0) > 0.2, "the resumed end is heard");
}

#[tokio::test]
async fn an_answer_without_an_offer_of_ours_is_ignored() {
    let (mut one, mut other) = (End::new(&ALL, Vec::new()), End::new(&ALL, Vec::new()));
    call(&mut one, &mut other, Trickle::AfterTheAnswer).await;
    one.command(MediaCommand::ApplyAnswer { answer: "v=0\r\n".into() });
    assert_both_hear(&mut one, &mut other).await;
}

/// The processor time of this thread.
fn thread_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_call_whose_sound_is_gone_costs_no_processor_time() {
    let (mut one, mut other) = (End::new(&[Codec::Opus], Vec::new()), End::new(&[Codec::Opus], Vec::new()));
    call(&mut one, &mut other, Trickle::Half).await;
    assert!(one.drop_sound());
    // The test's only thread runs everything.
    let used_before = thread_time();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let used = thread_time() - used_before;
    assert!(used < Duration::from_millis(200), "{used:?} of half a second");
    one.command(MediaCommand::Close);
    other.command(MediaCommand::Close);
}

#[tokio::test]
async fn closing_returns_the_sound_and_forgets_the_call() {
    let (mut one, mut other) = (End::new(&ALL, Vec::new()), End::new(&ALL, Vec::new()));
    call(&mut one, &mut other, Trickle::AfterTheAnswer).await;
    assert!(one.is_attached());
    one.command(MediaCommand::Close);
    for _ in 0..100 {
        if !one.is_attached() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(!one.is_attached());
    assert_eq!(one.adapter.open_connections(), 0);
}
