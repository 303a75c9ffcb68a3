//! Prompts, as a person sees them: files that cannot be played, `check`, and `callbox play`.

use std::path::Path;

use crate::daemon::Daemon;
use crate::run;

const HEAD: &str = "[core]\nurl = \"http://127.0.0.1:9\"\nallow_insecure = true\ntoken = \"t\"\n\
                    [audio]\ncapture = \"no-such-card\"\nplayback = \"no-such-card\"\n\
                    [control]\nsocket = \"control.sock\"\n";

fn wav(path: &Path, channels: u16, rate_hz: u32, bits: u16, seconds: u32) {
    let sample_format = hound::SampleFormat::Int;
    let spec = hound::WavSpec { channels, sample_rate: rate_hz, bits_per_sample: bits, sample_format };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for index in 0..seconds * rate_hz {
        for _ in 0..channels {
            writer.write_sample(if index % 20 < 10 { 60_i32 } else { -60 }).unwrap();
        }
    }
    writer.finalize().unwrap();
}

/// A file that claims to be a sound of some minutes, and takes no room on the disk.
fn large(path: &Path) {
    wav(path, 1, 48_000, 16, 1);
    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(200_000_000).unwrap();
}

#[test]
fn files_of_any_common_kind_are_prompts_and_others_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    wav(&file("eight-bit.wav"), 1, 8_000, 8, 1);
    wav(&file("studio.wav"), 2, 96_000, 24, 1);
    let good = format!(
        "{HEAD}[prompts]\ngreeting = \"eight-bit.wav\"\nhere_is = \"studio.wav\"\n\
         [[button]]\nname = \"bell\"\npin = 1\n\
         press = [{{ play = \"greeting\", to = \"both\", repeat = 2 }}, {{ play = \"here_is\", in_call = \"wait\" }}]\n"
    );
    std::fs::write(file("callbox.toml"), good).unwrap();
    let (code, out, errors) = run(folder.path(), &["check", "--config", "callbox.toml"]);
    assert_eq!((code, errors.as_str()), (0, ""), "{out}");
    assert!(
        out.contains("bell: play greeting here and to the far end, 2 times, play here_is, after a call\n"),
        "{out}"
    );
    assert!(out.contains("prompts   greeting 1.0 s, here_is 1.0 s\n"), "{out}");

    wav(&file("whole.wav"), 1, 8_000, 16, 1);
    let whole = std::fs::read(file("whole.wav")).unwrap();
    std::fs::write(file("cut.wav"), &whole[..30]).unwrap();
    std::fs::write(file("half.wav"), &whole[..4_044]).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(file("pipe.wav")).status().unwrap();
    assert!(pipe.success());
    std::fs::write(file("empty.wav"), "").unwrap();
    std::fs::write(file("voice.mp3"), b"ID3\x04and so on and on").unwrap();
    wav(&file("cinema.wav"), 6, 48_000, 16, 1);
    wav(&file("sermon.wav"), 1, 8_000, 8, 121);
    large(&file("large.wav"));
    for (name, problem) in [
        ("cut.wav", "damaged or cut off"),
        ("half.wav", "it has 4000 of its 16000 bytes of sound; copy it again"),
        ("pipe.wav", "it is not a regular file"),
        ("empty.wav", "it is empty"),
        ("voice.mp3", "but MP3"),
        ("cinema.wav", "has 6 channels; make it mono or stereo"),
        ("sermon.wav", "lasts 121 s; name a file of at most 120 s"),
        ("large.wav", "lasts 2083 s; name a file of at most 120 s"),
        ("missing.wav", "cannot be read"),
    ] {
        std::fs::write(file("callbox.toml"), format!("{HEAD}[prompts]\ngreeting = \"{name}\"\n")).unwrap();
        let (code, _, errors) = run(folder.path(), &["check", "--config", "callbox.toml"]);
        assert_eq!(code, 2, "{name}: {errors}");
        assert!(errors.contains("prompts.greeting: ") && errors.contains(problem), "{name}: {errors}");
    }
}

#[test]
fn names_of_prompts_and_the_keys_of_play_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    wav(&folder.path().join("a.wav"), 1, 8_000, 8, 1);
    let press = |action: &str| format!("[[button]]\nname = \"bell\"\npin = 1\npress = {action}\n");
    for (text, problem) in [
        ("[prompts]\n\"Guten Tag\" = \"a.wav\"\n".to_owned(), "\"Guten Tag\" is not a name"),
        ("[prompts]\nbusy = \"a.wav\"\n".to_owned(), "prompts.busy: is the name of a built-in sound"),
        ("[prompts]\nhello = 5\n".to_owned(), "prompts.hello: is not a text"),
        (press("{ play = \"hallo\" }"), "there is no prompt or sound \"hallo\"; add it to [prompts], or write one of"),
        (press("{ play = \"busy\", repeat = 0 }"), "repeat: 0 is out of range"),
        (press("{ play = \"busy\", to = \"all\" }"), "to: "),
        (press("{ call = \"1\", repeat = 2 }"), "repeat: means nothing without play"),
        (press("{ play = \"busy\", to = \"far\", in_call = \"wait\" }"), "in_call: \"wait\" waits for the end"),
        (press("{ hook = \"a\\u0007b\" }"), "hook: \"a\u{FFFD}b\" has control characters"),
        (press("{ talk = \"loud\" }"), "talk: "),
    ] {
        std::fs::write(folder.path().join("callbox.toml"), format!("{HEAD}{text}")).unwrap();
        let (code, _, errors) = run(folder.path(), &["check", "--config", "callbox.toml"]);
        assert_eq!(code, 2, "{text}: {errors}");
        assert!(errors.contains(problem), "{problem}: {errors}");
    }
}

#[test]
fn play_names_what_there_is_and_says_why_it_plays_nothing() {
    let daemon = Daemon::start_with(HEAD);
    let (code, _, errors) = daemon.command(&["play", "hallo"]);
    assert_eq!(code, 2);
    assert!(errors.contains("there is no prompt or sound \"hallo\"; there are: \"ringback\""), "{errors}");
    let (code, _, errors) = daemon.command(&["play", "busy"]);
    assert_eq!((code, errors.as_str()), (4, "callbox: the sound card does not work; see `callbox status`\n"));
    let (code, _, errors) = daemon.command(&["play", "busy", "--to", "far"]);
    assert_eq!((code, errors.as_str()), (4, "callbox: no call is up\n"));
    assert_eq!(daemon.command(&["play", "busy", "--to", "all"]).0, 2);
}
