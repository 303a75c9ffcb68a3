//! `callbox dsp`: the sound processing of the daemon, offline, on files.

use std::path::Path;

use crate::run;

const RATE_HZ: u32 = 16_000;

fn write(path: &Path, rate_hz: u32, samples: impl Iterator<Item = f32>) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate_hz,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = hound::WavWriter::create(path, spec).unwrap();
    samples.for_each(|sample| file.write_sample((sample * 32_767.0) as i16).unwrap());
    file.finalize().unwrap();
}

fn read(path: &Path) -> Vec<f32> {
    hound::WavReader::open(path).unwrap().samples::<i16>().map(|sample| f32::from(sample.unwrap()) / 32_768.0).collect()
}

fn power(samples: &[f32]) -> f32 {
    samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len() as f32
}

/// Syllables of noise, as a function of the index.
fn voice(index: usize) -> f32 {
    let noise = (index as u32).wrapping_mul(2_654_435_769).rotate_left(15).wrapping_mul(2_246_822_519) >> 8;
    let swell = (std::f32::consts::TAU * 2.5 * index as f32 / RATE_HZ as f32).sin().max(0.0);
    0.3 * swell * (noise as f32 / (1 << 23) as f32 - 1.0)
}

#[test]
fn an_echo_on_two_recordings_is_gone_in_the_third() {
    let folder = tempfile::tempdir().unwrap();
    let [far, mic, out] = ["far.wav", "mic.wav", "out.wav"].map(|name| folder.path().join(name));
    let seconds = RATE_HZ as usize * 8;
    write(&far, RATE_HZ, (0..seconds).map(voice));
    // The echo is 40 ms late and has half the amplitude.
    write(&mic, RATE_HZ, (0..seconds).map(|index| 0.5 * index.checked_sub(640).map_or(0.0, voice)));
    let (code, _, errors) =
        run(folder.path(), &["dsp", "echo", "--far", "far.wav", "--mic", "mic.wav", "--out", "out.wav"]);
    assert_eq!(code, 0, "{errors}");
    let (heard, left) = (read(&mic), read(&out));
    assert_eq!(heard.len(), left.len());
    let later = seconds / 2..;
    let db = 10.0 * (power(&left[later.clone()]) / power(&heard[later])).log10();
    assert!(db < -30.0, "{db}");
    write(&far, 48_000, (0..480).map(voice));
    let (code, _, errors) =
        run(folder.path(), &["dsp", "echo", "--far", "far.wav", "--mic", "mic.wav", "--out", "out.wav"]);
    assert_eq!(code, 1);
    assert!(errors.contains("far.wav: 48000 Hz, but the other file has 16000; give both at one rate"), "{errors}");
}

#[test]
fn a_recording_of_other_tools_is_played_and_one_that_lies_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("said.wav"), RATE_HZ, (0..RATE_HZ as usize * 2).map(voice));
    let (code, _, errors) = run(folder.path(), &["dsp", "send", "--input", "said.wav", "--trace", "ours.rtpdump"]);
    assert_eq!(code, 0, "{errors}");
    // The same packets as rtptools write them: the header names their destination, and Opus is payload type 96.
    let ours = std::fs::read(folder.path().join("ours.rtpdump")).unwrap();
    let header = ours.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let mut records = ours[header + 16..].to_vec();
    let mut theirs = b"#!rtpplay1.0 224.2.0.1/3456\n".to_vec();
    theirs.extend_from_slice(&[0x65, 0x53, 0xf1, 0x00, 0, 0, 0, 7, 10, 0, 0, 1, 0x0d, 0x80, 0, 0]);
    let (mut at, mut last) = (0, 0);
    while at < records.len() {
        last = at;
        records[at + 8 + 1] = records[at + 8 + 1] & 0x80 | 96;
        at += usize::from(u16::from_be_bytes([records[at], records[at + 1]]));
    }
    theirs.extend_from_slice(&records);
    std::fs::write(folder.path().join("theirs.rtpdump"), &theirs).unwrap();
    let receive = ["dsp", "receive", "--rate", "16000", "--trace", "theirs.rtpdump", "--out", "heard.wav"];
    let (code, _, errors) = run(folder.path(), &receive);
    assert_eq!(code, 1);
    assert!(errors.contains("no packet of Opus (111) or G.711 (0, 8); give --opus-type"), "{errors}");
    let (code, text, errors) = run(folder.path(), &[receive.as_slice(), &["--opus-type", "96"]].concat());
    assert_eq!(code, 0, "{errors}");
    assert!(text.contains("lost       0 packets"), "{text}");
    let heard = read(&folder.path().join("heard.wav"));
    assert!(power(&heard) > 0.3 * power(&read(&folder.path().join("said.wav"))), "{}", power(&heard));
    // The last packet comes after seven weeks.
    let last = theirs.len() - records.len() + last;
    theirs[last + 4..last + 8].copy_from_slice(&[0xff; 4]);
    std::fs::write(folder.path().join("theirs.rtpdump"), &theirs).unwrap();
    let (code, _, errors) = run(folder.path(), &[receive.as_slice(), &["--opus-type", "96"]].concat());
    assert_eq!(code, 1);
    assert!(errors.contains("minutes after the start; a recording may last an hour at most"), "{errors}");
}
