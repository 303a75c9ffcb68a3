//! What a far end may change in the middle of a call, and odd descriptions: sound and digits go on.

use std::time::Duration;

use callbox::config::Codec;
use callbox::core::{MediaCommand, MediaEvent};

use crate::two_peers::{ALL, Trickle, assert_both_hear, call};
use crate::{CALL, End, amplitude};

/// Pairs of payload types: ours, and the one that replaces it.
type Numbers<'a> = &'a [(&'a str, &'a str)];

/// Replaces payload types in format lists and attributes.
fn renumbered(sdp: &str, numbers: Numbers<'_>) -> String {
    let other = |number: &str| {
        numbers.iter().find(|(ours, _)| *ours == number).map_or(number.to_owned(), |(_, theirs)| (*theirs).to_owned())
    };
    let line = |line: &str| {
        if line.starts_with("m=audio ") {
            return line.split(' ').map(other).collect::<Vec<_>>().join(" ");
        }
        for prefix in ["a=rtpmap:", "a=fmtp:"] {
            if let Some((number, rest)) = line.strip_prefix(prefix).and_then(|rest| rest.split_once(' ')) {
                return format!("{prefix}{} {rest}", other(number));
            }
        }
        line.to_owned()
    };
    sdp.lines().map(|text| line(text) + "\r\n").collect()
}

/// What happened while both talked: the longest silence that each heard, the digits that arrived, and the answers.
#[derive(Default)]
struct Heard {
    longest_gap_ms: [usize; 2],
    digits: [String; 2],
    answers: Vec<String>,
}

/// Both talk for 3.5 s. After 1.2 s `one` makes a new offer, and the other end gets what `change` returns for it. After
/// 2 s both send digits.
async fn talk_over_a_re_offer(one: &mut End, other: &mut End, change: impl Fn(&str) -> String) -> Heard {
    let mut heard = Heard::default();
    let mut gaps = [0_usize; 2];
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    for tick in 0..350 {
        ticks.tick().await;
        match tick {
            120 => one.command(MediaCommand::Offer),
            200 => {
                one.command(MediaCommand::SendDigits("5#".into()));
                other.command(MediaCommand::SendDigits("70".into()));
            }
            _ => {}
        }
        let frames = [one.frame(500.0), other.frame(900.0)];
        for (index, (frame, hertz)) in frames.iter().zip([900.0, 500.0]).enumerate() {
            // Counted from the end of the first second until digits replace speech.
            let silent = (100..195).contains(&tick) && amplitude(frame, hertz) < 0.1;
            gaps[index] = if silent { gaps[index] + 10 } else { 0 };
            heard.longest_gap_ms[index] = heard.longest_gap_ms[index].max(gaps[index]);
        }
        while let Ok((_, event)) = one.events.try_recv() {
            match event {
                MediaEvent::LocalOffer { sdp } => {
                    other.command(MediaCommand::AnswerUpdate { offer: change(&sdp).into() })
                }
                MediaEvent::Digit(digit) => heard.digits[0].push(digit.0),
                MediaEvent::Failed(message) | MediaEvent::Refused { message, .. } => panic!("one: {message}"),
                _ => {}
            }
        }
        while let Ok((_, event)) = other.events.try_recv() {
            match event {
                MediaEvent::LocalAnswer { sdp, .. } => {
                    heard.answers.push(sdp.clone().into());
                    one.command(MediaCommand::ApplyAnswer { answer: sdp });
                }
                MediaEvent::Digit(digit) => heard.digits[1].push(digit.0),
                MediaEvent::Failed(message) | MediaEvent::Refused { message, .. } => panic!("other: {message}"),
                _ => {}
            }
        }
    }
    heard
}

#[tokio::test]
async fn a_re_offer_with_other_payload_types_changes_nothing_that_is_heard() {
    let opus = [Codec::Opus];
    let narrow = [Codec::Pcmu];
    let cases: [(&[Codec], Numbers<'_>, &str); 7] = [
        (&opus, &[("111", "102")], "m=audio 9 UDP/TLS/RTP/SAVPF 102 101"),
        (&opus, &[("101", "96")], "m=audio 9 UDP/TLS/RTP/SAVPF 111 96"),
        (&opus, &[("111", "101"), ("101", "111")], "m=audio 9 UDP/TLS/RTP/SAVPF 101 111"),
        (&opus, &[("111", "35"), ("101", "120")], "m=audio 9 UDP/TLS/RTP/SAVPF 35 120"),
        (&opus, &[("111", "0"), ("101", "8")], "m=audio 9 UDP/TLS/RTP/SAVPF 0 8"),
        (&narrow, &[("0", "111"), ("101", "0")], "m=audio 9 UDP/TLS/RTP/SAVPF 111 0"),
        (&narrow, &[("0", "97")], "m=audio 9 UDP/TLS/RTP/SAVPF 97 101"),
    ];
    for (codecs, numbers, formats) in cases {
        let (mut one, mut other) = (End::new(codecs, Vec::new()), End::new(&ALL, Vec::new()));
        call(&mut one, &mut other, Trickle::AfterTheAnswer).await;
        let heard = talk_over_a_re_offer(&mut one, &mut other, |sdp| renumbered(sdp, numbers)).await;
        assert!(heard.answers[0].contains(&format!("{formats}\r\n")), "{numbers:?}: {}", heard.answers[0]);
        assert!(heard.longest_gap_ms.iter().all(|gap| *gap <= 100), "{numbers:?}: {:?}", heard.longest_gap_ms);
        assert_eq!(heard.digits, ["70".to_owned(), "5#".to_owned()], "{numbers:?}");
        for end in [&mut one, &mut other] {
            end.command(MediaCommand::Close);
        }
    }
}

#[tokio::test]
async fn numbers_that_were_changed_once_are_changed_again_and_kept_in_our_own_offers() {
    let (mut one, mut other) = (End::new(&ALL, Vec::new()), End::new(&ALL, Vec::new()));
    call(&mut one, &mut other, Trickle::AfterTheAnswer).await;
    // By the third round the first numbers are not accepted any more (`ReceiveMap`). So what is heard has the new ones.
    let mut last = ["111", "101"];
    for next in [["102", "100"], ["35", "36"], ["120", "121"], ["97", "98"]] {
        // The offer already has the numbers of the round before.
        let numbers = [(last[0], next[0]), (last[1], next[1])];
        talk_over_a_re_offer(&mut one, &mut other, |sdp| renumbered(sdp, &numbers)).await;
        last = next;
        assert_both_hear(&mut one, &mut other).await;
    }
    other.command(MediaCommand::Offer);
    let offer = other.offer().await;
    assert!(offer.contains("m=audio 9 UDP/TLS/RTP/SAVPF 97 8 0 98\r\n"), "{offer}");
    assert!(offer.contains("a=rtpmap:97 opus/48000/2\r\n"), "{offer}");
}

#[tokio::test]
async fn opus_is_taken_however_its_name_is_written_in_offers_answers_and_holds() {
    for name in ["opus/48000", "opus/48000/1", "OPUS/48000/2"] {
        let (mut one, mut other) = (End::new(&[Codec::Opus], Vec::new()), End::new(&ALL, Vec::new()));
        one.command(MediaCommand::Offer);
        let odd = |sdp: &str| sdp.replace("opus/48000/2", name);
        let offer = odd(&one.offer().await);
        let ours = one.candidates().await;
        other.command(MediaCommand::Answer { offer: offer.clone().into() });
        let answer = odd(&other.answer().await);
        one.command(MediaCommand::ApplyAnswer { answer: answer.into() });
        for candidate in ours {
            other.command(MediaCommand::AddCandidate(candidate));
        }
        one.connected().await;
        other.connected().await;
        assert_both_hear(&mut one, &mut other).await;
        other.command(MediaCommand::AnswerUpdate { offer: offer.replace("a=sendrecv", "a=sendonly").into() });
        assert!(other.answer().await.contains("a=recvonly"), "{name}");
        for end in [&mut one, &mut other] {
            end.command(MediaCommand::Close);
        }
    }
}

/// Makes a call whose offers have these lines for telephone events. Returns the answer and the digits that arrive.
async fn digits_with(events: &str) -> (String, String) {
    let (mut one, mut other) = (End::new(&[Codec::Opus], Vec::new()), End::new(&ALL, Vec::new()));
    let with_events = |sdp: &str| {
        let sdp = sdp.replace("a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n", events);
        if events.contains("100 ") { sdp.replace(" 111 101\r\n", " 111 100 101\r\n") } else { sdp }
    };
    one.command(MediaCommand::Offer);
    let offer = with_events(&one.offer().await);
    let ours = one.candidates().await;
    other.command(MediaCommand::Answer { offer: offer.into() });
    let answer = other.answer().await;
    one.command(MediaCommand::ApplyAnswer { answer: answer.clone().into() });
    for candidate in ours {
        other.command(MediaCommand::AddCandidate(candidate));
    }
    one.connected().await;
    other.connected().await;
    let heard = talk_over_a_re_offer(&mut one, &mut other, with_events).await;
    (answer, heard.digits[1].clone())
}

#[tokio::test]
async fn digits_count_whatever_the_clocks_of_the_events_that_are_offered() {
    let (answer, digits) =
        digits_with("a=rtpmap:101 telephone-event/16000\r\na=rtpmap:101 telephone-event/8000\r\n").await;
    assert!(answer.contains("a=rtpmap:101 telephone-event/") && digits == "5#", "{digits}: {answer}");
    let (answer, digits) =
        digits_with("a=rtpmap:100 telephone-event/16000\r\na=rtpmap:101 telephone-event/8000\r\n").await;
    assert!(answer.contains("a=rtpmap:101 telephone-event/8000") && digits == "5#", "{digits}: {answer}");
    let (answer, digits) = digits_with("a=rtpmap:101 telephone-event/48000\r\n").await;
    assert!(answer.contains("a=rtpmap:101 telephone-event/48000") && digits == "5#", "{digits}: {answer}");
}

#[tokio::test]
async fn a_fax_in_the_middle_of_a_call_is_refused_and_the_call_goes_on() {
    let (mut one, mut other) = (End::new(&ALL, Vec::new()), End::new(&ALL, Vec::new()));
    call(&mut one, &mut other, Trickle::AfterTheAnswer).await;
    let fax = "v=0\r\no=- 3 4 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\na=mid:0\r\nm=image 5004 udptl t38\r\n";
    other.command(MediaCommand::AnswerUpdate { offer: fax.into() });
    let answer = other.answer().await;
    assert!(answer.contains("m=audio 0 RTP/AVP 0\r\n") && answer.contains("m=image 0 udptl t38\r\n"), "{answer}");
    assert!(answer.starts_with("v=0\r\no=- "), "{answer}");
    assert_both_hear(&mut one, &mut other).await;
}

#[tokio::test]
async fn an_offer_that_waits_for_us_in_dtls_is_answered_active_and_connects() {
    let (mut one, mut other) = (End::new(&ALL, Vec::new()), End::new(&ALL, Vec::new()));
    one.command(MediaCommand::Offer);
    let offer = one.offer().await.replace("a=setup:actpass", "a=setup:passive");
    let ours = one.candidates().await;
    other.command(MediaCommand::Answer { offer: offer.clone().into() });
    let answer = other.answer().await;
    assert!(answer.contains("a=setup:active\r\n"), "{answer}");
    one.command(MediaCommand::ApplyAnswer { answer: answer.into() });
    for candidate in ours {
        other.command(MediaCommand::AddCandidate(candidate));
    }
    one.connected().await;
    other.connected().await;
    assert_both_hear(&mut one, &mut other).await;
    // DTLS stays as it is, whatever a re-offer says; the answer only names a role that fits the offer.
    for (setup, answered) in [("actpass", "active"), ("passive", "active"), ("active", "passive")] {
        other.command(MediaCommand::AnswerUpdate {
            offer: offer.replace("setup:passive", &format!("setup:{setup}")).into(),
        });
        assert!(other.answer().await.contains(&format!("a=setup:{answered}\r\n")), "{setup}");
    }
    assert_both_hear(&mut one, &mut other).await;
}

const UNUSABLE: [&str; 6] = [
    "candidate:1 1 udp 2130706431 fe80::1%eth0 5000 typ host",
    "candidate:1 1 udp 2130706431 phone.example 5000 typ host",
    "candidate:1 1 ssltcp 2130706431 192.0.2.1 443 typ host",
    "candidate:1 1 udp 4294967296 192.0.2.1 5000 typ host",
    "candidate:1 1 udp 2130706431 192.0.2.1 5000 typ magic",
    "candidate:rubbish",
];

/// How many candidates an end has counted as unusable by now.
fn unusable(end: &mut End) -> u32 {
    std::iter::from_fn(|| end.events.try_recv().ok())
        .map(|(_, event)| if let MediaEvent::UnusableCandidates(count) = event { count } else { 0 })
        .sum()
}

#[tokio::test]
async fn candidates_that_cannot_be_used_are_counted_and_cost_the_good_one_nothing() {
    let (mut one, mut other) = (End::new(&ALL, Vec::new()), End::new(&ALL, Vec::new()));
    let lines: String = UNUSABLE.iter().map(|line| format!("a={line}\r\n")).collect();
    one.command(MediaCommand::Offer);
    let offer = one.offer().await + &lines;
    let ours = one.candidates().await;
    let good: String = ours.iter().map(|candidate| format!("a={}\r\n", candidate.candidate)).collect();
    other.command(MediaCommand::Answer { offer: (offer.clone() + &good).into() });
    let mut counted = 0;
    let answer = other
        .event("an answer", |event| match event {
            MediaEvent::UnusableCandidates(count) => {
                counted += count;
                None
            }
            MediaEvent::LocalAnswer { sdp, .. } => Some(sdp.clone()),
            _ => None,
        })
        .await;
    assert_eq!(counted, 6);
    one.command(MediaCommand::ApplyAnswer { answer: format!("{answer}{lines}").into() });
    for line in UNUSABLE {
        let candidate = callbox::signaling::Candidate {
            candidate: line.into(),
            sdp_mid: Some("0".into()),
            sdp_m_line_index: Some(0),
        };
        one.command(MediaCommand::AddCandidate(candidate));
    }
    let mut counted = 0;
    one.event("the connection and twelve unusable candidates", |event| {
        match event {
            MediaEvent::UnusableCandidates(count) => counted += count,
            MediaEvent::Connected => counted += 1,
            _ => {}
        }
        (counted == 13).then_some(())
    })
    .await;
    assert_both_hear(&mut one, &mut other).await;
    other.command(MediaCommand::AnswerUpdate { offer: (offer + &good).into() });
    other.answer().await;
    assert_eq!(unusable(&mut other), 0, "they were reported before the answer");
    assert_both_hear(&mut one, &mut other).await;
    assert_eq!(CALL, callbox::core::MediaId(1));
}

#[tokio::test]
async fn a_description_that_cannot_be_taken_is_refused_in_words_of_the_field() {
    let mut one = End::new(&ALL, Vec::new());
    one.command(MediaCommand::Offer);
    let offer = one.offer().await;
    let cases: [(String, i64, &str); 6] = [
        ("v=0\r\nm=audio 4000 RTP/AVP 0\r\n".into(), 488, "without encryption"),
        (offer.replace("m=audio", "m=video"), 488, "no audio"),
        (offer.replace("a=ice-ufrag", "a=x"), 488, "ICE"),
        (offer.replace("a=fingerprint", "a=x"), 488, "fingerprint"),
        ("rubbish".into(), 415, "not SDP"),
        (
            offer.replace("UDP/TLS/RTP/SAVPF 111 8 0 101", "UDP/TLS/RTP/SAVPF 9").replace("a=rtpmap", "a=x"),
            488,
            "no codec that both sides know: the far end has 9, media.codecs has opus, pcma, pcmu",
        ),
    ];
    for (offer, code, message) in cases {
        let mut other = End::new(&ALL, Vec::new());
        other.command(MediaCommand::Answer { offer: offer.clone().into() });
        let refused = other
            .event("a refusal", |event| match event {
                MediaEvent::Refused { code, message } => Some((*code, message.clone())),
                _ => None,
            })
            .await;
        assert!(refused.0 == code && refused.1.contains(message), "{refused:?} for {offer}");
    }
}
