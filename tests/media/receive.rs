//! The receive path in virtual time: a far end with a clock of its own speaks through a network.

use callbox::config::Codec;
use callbox::media::offline::{OfflineReceiver, OfflineSender};

const RATE_HZ: u32 = 16_000;
const FRAME: usize = 160;
/// How far PCMU time stamps advance in 10 ms.
const TICKS_OF_PCMU: u32 = 80;

/// A sample of a tone, by its index on the far end's clock.
fn tone(hertz: f64, index: usize) -> f32 {
    (0.3 * (std::f64::consts::TAU * hertz * index as f64 / f64::from(RATE_HZ)).sin()) as f32
}

/// A far end, and the packets that are on their way from it.
struct Call {
    sender: OfflineSender,
    receiver: OfflineReceiver,
    /// How much faster the far end's clock runs.
    ppm: f64,
    sent_frames: u32,
    packets: u32,
    on_the_way: Vec<(f64, Vec<u8>)>,
    heard_frames: u32,
    /// Frames in which nothing was sent. Time stamps are ahead of the sender's by this number of frames.
    paused_frames: u32,
}

impl Call {
    fn new(codec: Codec) -> Self {
        Self {
            sender: OfflineSender::new(codec, RATE_HZ).unwrap(),
            receiver: OfflineReceiver::new(RATE_HZ).unwrap(),
            ppm: 0.0,
            sent_frames: 0,
            packets: 0,
            on_the_way: Vec::new(),
            heard_frames: 0,
            paused_frames: 0,
        }
    }

    /// The next 10 ms. `late_ms` takes the number of a packet and the time at which it is sent. It returns the delay of
    /// the packet, or `None` if it gets lost.
    fn frame(&mut self, says: &impl Fn(usize) -> f32, late_ms: &impl Fn(u32, f64) -> Option<f64>) -> Vec<f32> {
        let now_ms = f64::from(self.heard_frames) * 10.0;
        loop {
            let sent_ms = f64::from(self.sent_frames + 1) * 10.0 / (1.0 + self.ppm * 1e-6);
            if sent_ms > now_ms {
                break;
            }
            let begin = self.sent_frames as usize * FRAME;
            let frame: Vec<f32> = (begin..begin + FRAME).map(says).collect();
            self.sent_frames += 1;
            for mut packet in self.sender.frame(&frame) {
                let timestamp = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
                set_timestamp(&mut packet, timestamp.wrapping_add(self.paused_frames * TICKS_OF_PCMU));
                if let Some(late_ms) = late_ms(self.packets, sent_ms) {
                    self.on_the_way.push((sent_ms + late_ms, packet));
                }
                self.packets += 1;
            }
        }
        self.on_the_way.sort_by(|one, other| one.0.total_cmp(&other.0));
        let there = self.on_the_way.partition_point(|(at_ms, _)| *at_ms <= now_ms);
        for (at_ms, packet) in self.on_the_way.drain(..there) {
            self.receiver.packet(&packet, at_ms);
        }
        self.heard_frames += 1;
        self.receiver.frame()
    }

    fn seconds(
        &mut self,
        seconds: f64,
        says: impl Fn(usize) -> f32,
        late_ms: impl Fn(u32, f64) -> Option<f64>,
    ) -> Vec<f32> {
        (0..(seconds * 100.0) as usize).flat_map(|_| self.frame(&says, &late_ms)).collect()
    }

    /// Nothing is sent for this number of frames: sequence numbers stand still, time stamps do not (G.711 only).
    fn pause(&mut self, frames: u32) {
        (0..frames).for_each(|_| drop(self.receiver.frame()));
        self.heard_frames += frames;
        self.sent_frames += frames;
        self.paused_frames += frames;
    }

    fn delay_ms(&self) -> f64 {
        self.receiver.delay_and_target_ms().0
    }
}

fn on_time(_: u32, _: f64) -> Option<f64> {
    Some(5.0)
}

/// A value from 0 to 1 for each number, evenly spread.
fn spread(number: u32) -> f64 {
    f64::from(number.wrapping_mul(2_654_435_769) >> 8) / f64::from(1 << 24)
}

/// The greatest power outside a line and its neighbourhood of 10 Hz, relative to the line, in dB. It is measured by
/// Goertzel with a Hann window, every 5 Hz.
fn spur_db(sound: &[f32], hertz: f64) -> f64 {
    let count = sound.len();
    let windowed: Vec<f64> = (0..count)
        .map(|index| {
            let angle = std::f64::consts::TAU * index as f64 / count as f64;
            f64::from(sound[index]) * (1.0 - angle.cos())
        })
        .collect();
    let power = |hertz: f64| {
        let turn = 2.0 * (std::f64::consts::TAU * hertz / f64::from(RATE_HZ)).cos();
        let (one, two) = windowed.iter().fold((0.0, 0.0), |(one, two), sample| (sample + turn * one - two, one));
        one * one + two * two - turn * one * two
    };
    let line = (-20..=20).map(|step| power(hertz + f64::from(step) / 10.0)).fold(0.0, f64::max);
    let elsewhere = (10..800).map(|step| f64::from(step) * 5.0).filter(|other| (other - hertz).abs() > 10.0);
    10.0 * (elsewhere.map(power).fold(0.0, f64::max) / line).log10()
}

/// Some minutes of a tone while the clocks drift apart: the delay stays, and the line of the tone is the only one.
fn drift(ppm: f64, minutes: u32) {
    let mut call = Call::new(Codec::Opus);
    call.ppm = ppm;
    let says = |index| tone(997.0, index);
    call.seconds(60.0, says, on_time);
    let at_first_ms = call.delay_ms();
    for minute in 1..minutes {
        let heard = call.seconds(60.0, says, on_time);
        assert!((call.delay_ms() - at_first_ms).abs() < 5.0, "minute {minute}: {} ms", call.delay_ms());
        if minute % 5 == 4 {
            let spur_db = spur_db(&heard[..2 * RATE_HZ as usize], 997.0 * (1.0 + ppm * 1e-6));
            assert!(spur_db < -50.0, "minute {minute}: {spur_db} dB");
        }
    }
    let counters = call.receiver.counters();
    assert_eq!((counters.lost, counters.late), (0, 0));
    assert!(counters.concealed_ms < 50.0, "{counters:?}");
}

#[test]
fn thirty_minutes_with_a_far_clock_200_ppm_fast_leave_delay_and_tone_as_they_were() {
    drift(200.0, 30);
}

#[test]
fn a_far_clock_200_ppm_slow_leaves_delay_and_tone_as_they_were() {
    drift(-200.0, 10);
}

/// A voice of 150 Hz in syllables of 300 ms.
fn voice(index: usize) -> f32 {
    let time = index as f64 / f64::from(RATE_HZ);
    let syllable = (time % 0.4 / 0.3).min(1.0);
    let swell = (std::f64::consts::PI * syllable).sin();
    (1..10).map(|n| (0.1 * swell / f64::from(n)) as f32 * tone(150.0 * f64::from(n), index)).sum::<f32>() * 10.0
}

#[test]
fn jitter_of_40_ms_is_waited_for_and_little_of_the_voice_is_made_up() {
    let mut call = Call::new(Codec::Opus);
    let late_ms = |packet, _| Some(40.0 * spread(packet));
    call.seconds(10.0, voice, late_ms);
    let before = call.receiver.counters();
    call.seconds(30.0, voice, late_ms);
    let after = call.receiver.counters();
    let made_up_ms = after.concealed_ms - before.concealed_ms;
    assert!(made_up_ms < 900.0, "{made_up_ms} of 30000 ms");
    assert!((40.0..70.0).contains(&call.delay_ms()), "{}", call.delay_ms());
}

#[test]
fn after_an_outage_that_held_packets_back_the_delay_returns_within_two_seconds() {
    for (outage_ms, above_ms) in [(200.0, 20.0), (500.0, 20.0), (1_000.0, 50.0)] {
        let mut call = Call::new(Codec::Opus);
        // What is sent in the outage arrives at its end, all at once.
        let late_ms = |_, sent_ms: f64| {
            let left_ms = 10_000.0 + outage_ms - sent_ms;
            Some(5.0 + if sent_ms > 10_000.0 && left_ms > 0.0 { left_ms } else { 0.0 })
        };
        call.seconds(10.0, voice, late_ms);
        let target_ms = call.delay_ms();
        call.seconds(outage_ms / 1_000.0 + 2.0, voice, late_ms);
        assert!(
            call.delay_ms() < target_ms + above_ms,
            "{outage_ms} ms: {} from {target_ms}, {:?}",
            call.delay_ms(),
            call.receiver.counters()
        );
        let counters = call.receiver.counters();
        assert_eq!(counters.lost, 0, "{outage_ms} ms: {counters:?}");
    }
}

/// Noise, as a function of the index.
fn noise(index: usize) -> f32 {
    0.02 * (spread((index as u32).wrapping_mul(2_246_822_519).rotate_left(13)) as f32 - 0.5)
}

/// How far the end of what is heard lags behind what was said: the lag that fits the last 200 ms best.
fn lag_ms(heard: &[f32], says: impl Fn(usize) -> f32) -> usize {
    let length = FRAME * 20;
    let begin = heard.len() - length;
    let likeness = |lag: usize| (0..length).map(|index| heard[begin + index] * says(begin + index - lag)).sum::<f32>();
    let lags = 0..RATE_HZ as usize;
    lags.max_by(|one, other| likeness(*one).total_cmp(&likeness(*other))).unwrap() * 1_000 / RATE_HZ as usize
}

#[test]
fn after_an_outage_noise_is_cut_as_well() {
    for codec in [Codec::Opus, Codec::Pcmu] {
        for outage_ms in [300.0, 600.0] {
            let mut call = Call::new(codec);
            let late_ms = |_, sent_ms: f64| {
                let left_ms = 5_000.0 + outage_ms - sent_ms;
                Some(5.0 + if sent_ms > 5_000.0 && left_ms > 0.0 { left_ms } else { 0.0 })
            };
            let heard = call.seconds(5.0 + outage_ms / 1_000.0 + 2.2, noise, late_ms);
            let lag_ms = lag_ms(&heard, noise);
            assert!(lag_ms < 100, "{codec:?}, {outage_ms} ms: {lag_ms} ms, {:?}", call.receiver.counters());
        }
    }
}

#[test]
fn what_comes_before_the_first_frame_is_asked_for_is_heard() {
    let mut call = Call::new(Codec::Pcmu);
    // Packets of 400 ms arrived before the first frame was asked for.
    let mut packets = Vec::new();
    for index in 0..40 {
        let frame: Vec<f32> = (index * FRAME..(index + 1) * FRAME).map(voice).collect();
        packets.extend(call.sender.frame(&frame));
    }
    for (number, packet) in (0..).zip(&packets) {
        call.receiver.packet(packet, f64::from(number) * 20.0 - 400.0);
    }
    let heard: Vec<f32> = (0..100).flat_map(|_| call.receiver.frame()).collect();
    let sound_ms =
        heard.chunks_exact(FRAME).filter(|frame| frame.iter().any(|sample| sample.abs() > 0.05)).count() * 10;
    assert!(sound_ms >= 130, "{sound_ms} ms of 250 ms of loud sound");
}

#[test]
fn a_pause_of_the_sender_is_not_a_loss() {
    let mut call = Call::new(Codec::Pcmu);
    let says = |index| tone(440.0, index);
    call.seconds(5.0, says, on_time);
    call.pause(300);
    let heard = call.seconds(2.0, says, on_time);
    assert_eq!(call.receiver.counters().lost, 0);
    let end = &heard[heard.len() - FRAME * 20..];
    assert!(end.iter().any(|sample| sample.abs() > 0.2));
}

/// How a hostile or broken far end changes each of its packets during a call.
type Mischief = fn(&mut Vec<u8>, u32);

fn set_timestamp(packet: &mut [u8], timestamp: u32) {
    packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
}

fn set_sequence(packet: &mut [u8], sequence: u16) {
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
}

const MISCHIEFS: [(&str, Mischief); 9] = [
    ("other payload types", |packet, number| packet[1] = (number % 128) as u8),
    ("time stamps that stand still", |packet, _| set_timestamp(packet, 7)),
    ("time stamps at random", |packet, number| set_timestamp(packet, number.wrapping_mul(2_654_435_769))),
    ("a clock at a tenth of its rate", |packet, number| set_timestamp(packet, number * 96)),
    ("sequence numbers at random", |packet, number| set_sequence(packet, number.wrapping_mul(40_503) as u16)),
    ("sources that change", |packet, number| packet[11] = number as u8),
    ("empty packets", |packet, _| packet.truncate(12)),
    ("1,400 bytes", |packet, number| packet.resize(1_412, number as u8)),
    ("garbage for Opus", |packet, number| {
        for (index, byte) in packet.iter_mut().enumerate().skip(12) {
            *byte = (number.wrapping_mul(31).wrapping_add(index as u32 * 97)) as u8;
        }
    }),
];

#[test]
fn sound_returns_by_itself_after_any_mischief() {
    for (name, mischief) in MISCHIEFS {
        let mut call = Call::new(Codec::Opus);
        call.seconds(3.0, voice, on_time);
        let began = std::time::Instant::now();
        // For five seconds, every packet is changed in this way.
        for frame in 0..500_u32 {
            let says: Vec<f32> = (0..FRAME).map(|index| voice(call.sent_frames as usize * FRAME + index)).collect();
            call.sent_frames += 1;
            for mut packet in call.sender.frame(&says) {
                mischief(&mut packet, frame / 2);
                call.receiver.packet(&packet, f64::from(call.heard_frames) * 10.0);
            }
            call.heard_frames += 1;
            assert!(call.receiver.frame().iter().all(|sample| sample.is_finite() && sample.abs() <= 2.0), "{name}");
        }
        assert!(began.elapsed().as_secs_f64() < 2.5, "{name}: {:?} for 5 s of sound", began.elapsed());
        call.seconds(2.0, voice, on_time);
        let heard = call.seconds(1.0, voice, on_time);
        let loud = heard.chunks_exact(FRAME).filter(|frame| frame.iter().any(|sample| sample.abs() > 0.05)).count();
        assert!(loud > 40, "{name}: {loud} of 100 frames");
        assert!(call.delay_ms() < 150.0, "{name}: {} ms", call.delay_ms());
    }
}

#[test]
fn a_flood_of_5000_packets_a_second_costs_little_and_passes() {
    let mut call = Call::new(Codec::Opus);
    call.seconds(2.0, voice, on_time);
    let loud = |call: &mut Call| {
        let heard = call.seconds(1.0, voice, on_time);
        heard.chunks_exact(FRAME).filter(|frame| frame.iter().any(|sample| sample.abs() > 0.05)).count()
    };
    let before = loud(&mut call);
    let mut flood = OfflineSender::new(Codec::Opus, RATE_HZ).unwrap();
    let mut packets: Vec<Vec<u8>> = (0..100).flat_map(|_| flood.frame(&[0.1; FRAME])).collect();
    let began = std::time::Instant::now();
    for frame in 0..500_u32 {
        for number in 0..50_u32 {
            let packet = &mut packets[(number % 50) as usize];
            set_sequence(packet, (frame * 50 + number) as u16);
            set_timestamp(packet, (frame * 50 + number) * 960);
            call.receiver.packet(packet, f64::from(call.heard_frames) * 10.0);
        }
        call.sent_frames += 1;
        call.heard_frames += 1;
        call.receiver.frame();
    }
    assert!(began.elapsed().as_secs_f64() < 2.5, "{:?} for 5 s of sound", began.elapsed());
    call.seconds(2.0, voice, on_time);
    let after = loud(&mut call);
    assert!(after * 10 > before * 9, "{before} loud frames before, {after} after");
}

#[test]
fn a_stream_that_starts_anew_late_in_a_call_is_heard_at_once() {
    let mut call = Call::new(Codec::Opus);
    call.seconds(30.0, voice, on_time);
    // Another source, as after a transfer, with its own numbers and its own clock.
    let mut other = OfflineSender::new(Codec::Opus, RATE_HZ).unwrap();
    let mut silent_frames = 0;
    for frame in 0..100_usize {
        let says: Vec<f32> = (frame * FRAME..(frame + 1) * FRAME).map(|index| tone(440.0, index)).collect();
        for mut packet in other.frame(&says) {
            packet[11] = 99;
            call.receiver.packet(&packet, f64::from(call.heard_frames) * 10.0);
        }
        call.heard_frames += 1;
        if silent_frames == frame && call.receiver.frame().iter().all(|sample| sample.abs() < 0.1) {
            silent_frames += 1;
        } else {
            call.receiver.frame();
        }
    }
    assert!(silent_frames < 12, "{} ms", silent_frames * 10);
}

#[test]
fn where_the_far_end_reports_that_much_is_lost_everything_goes_twice_and_most_of_it_comes() {
    let lost = |reported: u8| {
        let mut call = Call::new(Codec::Opus);
        call.sender.report_loss(reported);
        // In a fifth of all moments, everything that is sent gets lost.
        call.seconds(60.0, voice, |_, sent_ms| {
            let moment = (sent_ms / 20.0) as u32;
            let bad = (moment.wrapping_mul(2_654_435_761) >> 16).is_multiple_of(5);
            (!bad).then_some(10.0)
        });
        call.receiver.counters().lost
    };
    let (once, twice) = (lost(0), lost(51));
    assert!(once > 500, "{once}");
    assert!(twice * 3 < once, "{twice} of {once}");
}

/// Three seconds of a tone from a far end whose G.711 packets have this many bytes. Returns what is heard after the
/// first second, and how many milliseconds were concealed, left out or repeated.
fn heard_of_packets(bytes: usize) -> (Vec<f32>, f64) {
    let mut sender = OfflineSender::new(Codec::Pcmu, RATE_HZ).unwrap();
    let mut receiver = OfflineReceiver::new(RATE_HZ).unwrap();
    let (mut said, mut taken, mut sequence) = (Vec::new(), 0_usize, 0_u16);
    let mut header = Vec::new();
    let mut heard = Vec::new();
    for frame in 0..300_usize {
        let sound: Vec<f32> = (frame * FRAME..(frame + 1) * FRAME).map(|index| tone(400.0, index)).collect();
        for packet in sender.frame(&sound) {
            header = packet[..12].to_vec();
            said.extend_from_slice(&packet[12..]);
        }
        while said.len() >= taken + bytes {
            let mut packet = header.clone();
            packet[2..4].copy_from_slice(&sequence.to_be_bytes());
            set_timestamp(&mut packet, taken as u32);
            packet.extend_from_slice(&said[taken..taken + bytes]);
            receiver.packet(&packet, frame as f64 * 10.0 + 5.0);
            sequence += 1;
            taken += bytes;
        }
        heard.extend(receiver.frame());
    }
    let counters = receiver.counters();
    assert_eq!(counters.lost, 0, "{bytes} bytes");
    (heard.split_off(RATE_HZ as usize), counters.concealed_ms + counters.shortened_ms + counters.lengthened_ms)
}

#[test]
fn g711_packets_of_any_length_up_to_200_ms_sound_like_those_of_20_ms() {
    for bytes in [40, 80, 120, 128, 160, 164, 172, 240, 333, 800, 1024, 1600] {
        let (heard, touched_ms) = heard_of_packets(bytes);
        // These packets do not come at even intervals, so the receiver takes a little of that for the sender's clock.
        let spur = spur_db(&heard, 400.0);
        assert!(spur <= -40.0, "{bytes} bytes: {spur} dB");
        assert!(touched_ms <= 50.0, "{bytes} bytes: {touched_ms} ms concealed, left out or repeated");
    }
}
