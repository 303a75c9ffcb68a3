//! `callbox status`: the station on one screen.

use super::narrate;
use super::output::say;
use crate::audio::CardTiming;
use crate::control::{FullStatus, InterfaceStatus, SoundStatus};
use crate::core::{
    AlarmState, AlarmStatus, Direction, IceServerCounts, IceServersStatus, Interface, LineStatus, ModeStatus, Status,
    called,
};

pub(super) fn print_status(status: &FullStatus) {
    let station = &status.station;
    let reason = station.session.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    say!("callbox   {}, up {}", status.version, duration(status.uptime_s));
    say!("server    {}", status.server);
    say!("session   {}{reason}", station.session.state);
    print_ice_servers(&station.ice_servers);
    if let Some(fault) = &station.clock_fault {
        say!("clock     fault: {fault}");
    }
    station.alarms.iter().for_each(print_alarm);
    station.lines.iter().for_each(print_line);
    print_sound(station, &status.sound);
    print_pins(station, &status.gpio_backend);
    let dropped = &status.dropped_datagrams;
    if dropped.sum() > 0 {
        let named = dropped.named().into_iter().filter(|(_, count)| *count > 0);
        let reasons: Vec<String> = named.map(|(name, count)| format!("{name} {count}")).collect();
        say!("network   {} datagrams at the media port dropped: {}", dropped.sum(), reasons.join(", "));
    }
    print_interfaces(status);
    if let Some(end) = &station.last_end {
        let why = end.cause.unanswered.map(|why| format!("{why}, ")).unwrap_or_default();
        say!("last call ended: {why}{}", end.cause);
    }
}

fn print_interfaces(status: &FullStatus) {
    for (interface, InterfaceStatus { ready, fault, given_up }) in status.interfaces() {
        let name = if interface == Interface::Http { "page" } else { interface.word() };
        match fault {
            Some(fault) => say!("{name:<9} fault: {fault} (the station keeps trying)"),
            None => say!("{name:<9} {}", if *ready { "ready" } else { "connecting" }),
        }
        if *given_up > 0 {
            say!("          {given_up} requests were given up");
        }
    }
}

fn print_ice_servers(servers: &IceServersStatus) {
    let IceServersStatus { counts, until, fault, .. } = servers;
    if *counts != IceServerCounts::default() {
        let until = until.as_ref().map(|until| format!(", until {until}")).unwrap_or_default();
        say!("ice       {counts}{until}");
    }
    if let Some(fault) = fault {
        say!("ice       fault: {fault} (the station keeps trying)");
    }
}

/// How an alarm stands.
pub(super) fn print_alarm(alarm: &AlarmStatus) {
    let AlarmStatus { state, by, for_s, rounds } = alarm;
    let rounds = if *state == AlarmState::Raised { format!(", round {rounds}") } else { String::new() };
    say!("ALARM     {state} {by}, for {}{rounds}", duration(*for_s));
}

fn print_line(line: &LineStatus) {
    let Some(call) = &line.call else { return say!("line {}    {}", line.line, line.state) };
    let way = if call.direction == Direction::Outgoing { "to" } else { "from" };
    let name = call.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    let talk = call.talk_s.map(|talk| format!(", {}", duration(talk))).unwrap_or_default();
    let media = narrate::media(call);
    say!("line {}    {} {way} {}{name}{talk}{media}", line.line, line.state, called(&call.number));
    if call.codes_unreachable {
        say!("          the far end has no telephone events: no code can be typed in this call");
    }
    if call.unusable_candidates > 0 {
        say!("          {} candidates of the far end cannot be used", call.unusable_candidates);
    }
}

fn print_sound(station: &Status, sound: &SoundStatus) {
    match &station.audio.fault {
        Some(fault) => say!("sound     fault: {fault}"),
        None if !station.audio.ready => say!("sound     starting"),
        None => print_card(station, sound),
    }
    if let Some(playing) = &station.audio.playing {
        say!("          plays {playing}");
    }
    if let Some(lasting) = station.audio.volume_changed {
        say!("          the volume is not as configured, {lasting}");
    }
    if let Some(lasting) = station.audio.mute_changed {
        say!("          the microphone is off, {lasting}");
    }
    if let Some(fault) = &station.audio.microphone_fault {
        say!("          {fault}");
    }
}

/// A card that works.
fn print_card(station: &Status, sound: &SoundStatus) {
    let source = if sound.synthetic { "built-in microphone: there is no sound card" } else { "ready" };
    // There are no levels between calls, because the card is stopped.
    let in_a_call = station.lines.iter().any(|line| line.call.is_some());
    let levels = if in_a_call {
        format!(", microphone {} dBFS, loudspeaker {} dBFS", sound.microphone_dbfs, sound.loudspeaker_dbfs)
    } else {
        String::new()
    };
    let controls = [&sound.playback_control, &sound.capture_control].into_iter().flatten();
    let controls: String = controls.map(|control| format!(", {} {:.1} dB", control.name, control.db)).collect();
    let muted = if station.audio.muted { ", muted" } else { "" };
    say!("sound     {source}{levels}, volume {}{controls}{muted}", station.audio.volume);
    let SoundStatus { capture_period_ms, playback_period_ms, lead_ms, .. } = *sound;
    if let Some(remark) = (CardTiming { capture_period_ms, playback_period_ms, lead_ms }).remark() {
        say!("          {lead_ms} ms of sound wait in the card: {remark}");
    }
}

fn print_pins(station: &Status, gpio_backend: &str) {
    say!("pins      {gpio_backend}");
    for output in &station.outputs {
        say!("{:<9} {}: {}", output.kind, output.name, format!("{:?}", output.drive).to_lowercase());
    }
    for door in &station.doors {
        let by = door.by.as_ref().map(|by| format!(", {by}")).unwrap_or_default();
        say!("door      {}: {} for {}{by}", door.name, door.state, duration(door.for_s));
    }
    for reader in &station.readers {
        let state = reader.fault.as_ref().map_or_else(|| "works".to_owned(), |fault| format!("fault: {fault}"));
        let locked = reader.locked_s.map(|seconds| format!(", codes are off for {seconds} s")).unwrap_or_default();
        say!("reader    {}: {state}{locked}", reader.name);
    }
    for schedule in &station.schedules {
        let next = schedule.next.as_deref().unwrap_or("when the clock is set");
        let waiting = if schedule.waiting { ", one run waits" } else { "" };
        say!("schedule  {}: next {next}{waiting}", schedule.name);
        if let Some(fault) = &schedule.fault {
            say!("          fault: nobody has taken its last call: {fault}");
        }
    }
    for mode in &station.modes {
        say!("mode      {}", mode_line(mode));
    }
    for pin in station.buttons.iter().filter(|pin| pin.active) {
        say!("button    {}: down", pin.name);
    }
    for pin in &station.sensors {
        say!("sensor    {}: {}", pin.name, if pin.active { "open" } else { "closed" });
    }
}

/// Whether a mode is on, and why.
pub(super) fn mode_line(mode: &ModeStatus) -> String {
    let why = match (&mode.by, &mode.hours) {
        (Some(by), _) => by.to_string(),
        (None, Some(hours)) => format!("by its hours, {hours}"),
        (None, None) => "nobody has switched it".to_owned(),
    };
    format!("{}: {}, {why}", mode.name, if mode.on { "on" } else { "off" })
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}
