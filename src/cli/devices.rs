//! `callbox devices`: sound cards, PCM names, GPIO chips.

use serde::Serialize;

use super::{Exit, complain};
use crate::audio::{self, CardDescription, PcmDescription};
use crate::gpio::{self, ChipDescription};

#[derive(Serialize)]
struct Devices {
    cards: Vec<CardDescription>,
    pcms: Vec<PcmDescription>,
    gpio_chips: Vec<ChipDescription>,
}

pub(super) fn devices(json: bool) -> Exit {
    let devices = Devices { cards: audio::cards(), pcms: audio::pcms(), gpio_chips: gpio::chips() };
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
        let usb = card.usb.as_ref().map(|usb| format!("  {usb}")).unwrap_or_default();
        println!("  plughw:CARD={}{usb}  {}", card.id, card.name);
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
        match &pcm.problem {
            None => println!("  {}  ({what}, works) {}", pcm.name, pcm.description),
            Some(problem) => println!("  {}  ({what}) not now: {problem}", pcm.name),
        }
    }
    if devices.pcms.is_empty() {
        println!("  none");
    }
    println!("GPIO chips");
    for chip in &devices.gpio_chips {
        match &chip.problem {
            Some(problem) => println!("  {}  {problem}", chip.name),
            None => println!("  {} [{}]  {} lines", chip.name, chip.label, chip.lines.len()),
        }
        for line in chip.lines.iter().filter(|line| !line.name.is_empty() || line.held_by.is_some()) {
            let held = line.held_by.as_ref().map(|by| format!("  held by {by}")).unwrap_or_default();
            println!("    {:>3}  {}{held}", line.offset, line.name);
        }
    }
    if devices.gpio_chips.is_empty() {
        println!("  none");
    }
    if let Some(model) = gpio::raspberry_pi_model() {
        println!("This is a {model}: pins may be written as BCM numbers or as \"GPIO17\"");
    }
    Exit::Done
}
