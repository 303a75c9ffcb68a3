//! `callbox devices`: sound cards, PCM names, GPIO chips.

use std::process::Stdio;
use std::time::Duration;

use serde::Serialize;

use super::output::say;
use super::{Exit, complain};
use crate::audio::{self, CardDescription, PcmDescription};
use crate::gpio::{self, ChipDescription};
use crate::reader::{self, DescribedDevice};

/// How long one PCM is tried before it counts as one that does not answer.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Serialize)]
struct Devices {
    cards: Vec<CardDescription>,
    pcms: Vec<PcmDescription>,
    gpio_chips: Vec<ChipDescription>,
    /// Keypads and card readers.
    readers: Vec<DescribedDevice>,
}

pub(super) async fn devices(json: bool) -> Exit {
    let (cards, pcms, gpio_chips) = (audio::cards(), audio::pcms(), gpio::chips());
    let mut devices = Devices { cards, pcms, gpio_chips, readers: reader::devices() };
    for pcm in &mut devices.pcms {
        match try_in_child(pcm).await {
            Ok(remark) => pcm.remark = remark,
            Err(problem) => pcm.problem = Some(problem),
        }
    }
    if json {
        return match serde_json::to_string_pretty(&devices) {
            Ok(text) => {
                say!("{text}");
                Exit::Done
            }
            Err(error) => {
                complain(error);
                Exit::Failed
            }
        };
    }
    print_cards(&devices.cards);
    print_pcms(&devices.pcms);
    print_chips(&devices.gpio_chips);
    print_readers(&devices.readers);
    if let Some(model) = gpio::raspberry_pi_model() {
        say!("This is a {model}: pins may be written as BCM numbers or as \"GPIO17\"");
    }
    Exit::Done
}

fn print_readers(readers: &[DescribedDevice]) {
    say!("Keypads and card readers");
    for DescribedDevice { path, name, usb } in readers {
        let usb = usb.as_ref().map(|usb| format!("{usb}  ")).unwrap_or_default();
        say!("  {usb}{path}  {name}");
    }
    if readers.is_empty() {
        say!("  none that this user may open (group input)");
    }
}

fn print_cards(cards: &[CardDescription]) {
    say!("Sound cards");
    for card in cards {
        let usb = card.usb.as_ref().map(|usb| format!("  {usb}")).unwrap_or_default();
        say!("  plughw:CARD={}{usb}  {}", card.id, card.name);
        let controls = [("loudspeaker", &card.playback_control), ("microphone", &card.capture_control)];
        let controls = controls.iter().filter_map(|(what, control)| Some(format!("{} ({what})", control.as_ref()?)));
        let controls = controls.collect::<Vec<_>>().join(", ");
        if !controls.is_empty() {
            say!("    levels are set with {controls}");
        }
    }
    if cards.is_empty() {
        say!("  none");
    }
}

fn print_pcms(pcms: &[PcmDescription]) {
    say!("PCM names");
    for pcm in pcms {
        let what = match (pcm.capture, pcm.playback) {
            (true, true) => "capture, playback",
            (true, false) => "capture",
            _ => "playback",
        };
        match &pcm.problem {
            None => {
                say!("  {}  ({what}, works) {}", pcm.name, pcm.description);
                if let Some(remark) = &pcm.remark {
                    say!("    warning: {remark}");
                }
            }
            Some(problem) => say!("  {}  ({what}) does not work now: {problem}", pcm.name),
        }
    }
    if pcms.is_empty() {
        say!("  none");
    }
}

fn print_chips(chips: &[ChipDescription]) {
    say!("GPIO chips");
    for chip in chips {
        match &chip.problem {
            Some(problem) => say!("  {}  {problem}", chip.name),
            None => say!("  {} [{}]  {} lines", chip.name, chip.label, chip.lines.len()),
        }
        for line in chip.lines.iter().filter(|line| !line.name.is_empty() || line.held_by.is_some()) {
            let held = line.held_by.as_ref().map(|by| format!("  held by {by}")).unwrap_or_default();
            say!("    {:>3}  {}{held}", line.offset, line.name);
        }
    }
    if chips.is_empty() {
        say!("  none");
    }
}

/// Tries the directions of a PCM until one works, and returns the remark about that one. Each attempt has a process of
/// its own (docs/workarounds.md, "alsa: plug-ins can crash the process").
///
/// # Errors
///
/// No direction works: the reason is that of the first direction.
async fn try_in_child(pcm: &PcmDescription) -> Result<Option<String>, String> {
    let mut problem = None;
    for (has, capture) in [(pcm.capture, true), (pcm.playback, false)] {
        if !has {
            continue;
        }
        match child(&pcm.name, capture).await {
            Ok(remark) => return Ok(remark),
            Err(message) => problem = problem.or(Some(message)),
        }
    }
    problem.map_or(Ok(None), Err)
}

async fn child(name: &str, capture: bool) -> Result<Option<String>, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = tokio::process::Command::new(program);
    command.args(["try-pcm", name]).args(capture.then_some("--capture"));
    command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = match tokio::time::timeout(PATIENCE, command.output()).await {
        Ok(output) => output.map_err(|error| error.to_string())?,
        Err(_) => return Err(format!("no answer after {} s", PATIENCE.as_secs())),
    };
    let message = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() {
        return Ok(Some(message).filter(|message| !message.is_empty()));
    }
    Err(if message.is_empty() { format!("its plug-in crashes the program ({})", output.status) } else { message })
}

/// The child's side of `try_in_child`: prints the remark or the problem to standard output.
pub(super) fn try_pcm(name: &str, capture: bool) -> Exit {
    match audio::try_pcm(name, capture) {
        Ok(timing) => {
            if let Some(remark) = timing.remark() {
                say!("{remark}");
            }
            Exit::Done
        }
        Err(message) => {
            say!("{message}");
            Exit::Failed
        }
    }
}
