//! `callbox devices`: sound cards, PCM names, GPIO chips.

use serde::Serialize;

use super::{Exit, complain};
use crate::audio::{self, CardDescription, PcmDescription};

#[derive(Serialize)]
struct Devices {
    cards: Vec<CardDescription>,
    pcms: Vec<PcmDescription>,
    gpio_chips: Vec<String>,
}

pub(super) fn devices(json: bool) -> Exit {
    let devices = Devices { cards: audio::cards(), pcms: audio::pcms(), gpio_chips: gpio_chips() };
    if json {
        return match serde_json::to_string_pretty(&devices) {
            Ok(text) => {
                println!("{text}");
                Exit::Done
            }
            Err(error) => {
                complain(error);
                Exit::Failed
            }
        };
    }
    println!("Sound cards");
    for card in &devices.cards {
        println!("  hw:CARD={}  {}", card.id, card.name);
    }
    if devices.cards.is_empty() {
        println!("  none");
    }
    println!("PCM names");
    for pcm in &devices.pcms {
        let what = match (pcm.capture, pcm.playback) {
            (true, true) => "capture, playback",
            (true, false) => "capture",
            _ => "playback",
        };
        println!("  {}  ({what}) {}", pcm.name, pcm.description);
    }
    if devices.pcms.is_empty() {
        println!("  none");
    }
    println!("GPIO chips (hardware pins are not built yet: pins are simulated)");
    for chip in &devices.gpio_chips {
        println!("  {chip}");
    }
    if devices.gpio_chips.is_empty() {
        println!("  none");
    }
    Exit::Done
}

/// Character devices of the kernel's GPIO subsystem.
fn gpio_chips() -> Vec<String> {
    let Ok(entries) = std::fs::read_dir("/dev") else { return Vec::new() };
    let mut chips: Vec<String> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("gpiochip"))
        .collect();
    chips.sort();
    chips
}
