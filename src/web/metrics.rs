//! `GET /metrics`: the status in numbers, for Prometheus. There are no telephone numbers and no names of people in it.

use std::collections::BTreeMap;

use super::metrics_text::MetricsText;
use super::process::Usage;
use crate::control::{CallResult, FullStatus, Histogram, InterfaceStatus, faults};
use crate::core::{Direction, DoorState, Drive, SessionState};

/// The metrics of a station. `refused` are the requests over HTTP that were refused, by the code of their error.
pub(super) fn text(status: &FullStatus, refused: &BTreeMap<String, u64>, usage: Usage) -> String {
    let mut text = MetricsText::default();
    let version = [("version", status.version.as_str())];
    text.family("callbox_build_info", "gauge", "The version of callbox.", &[(&version, 1.0)]);
    text.gauge("callbox_uptime_seconds", "Time since the start.", status.uptime_s as f64);
    session(status, &mut text);
    hooks(status, &mut text);
    calls(status, &mut text);
    sound(status, &mut text);
    place(status, &mut text);
    let by_code: Vec<_> = refused.iter().map(|(code, count)| ([("code", code.as_str())], *count as f64)).collect();
    family(&mut text, "callbox_http_refused_total", "counter", "Requests over HTTP that were refused.", &by_code);
    if let Some(bytes) = usage.resident_bytes {
        text.gauge("process_resident_memory_bytes", "Memory of the process.", bytes as f64);
    }
    if let Some(seconds) = usage.processor_s {
        text.counter("process_cpu_seconds_total", "Processor time of the process.", seconds);
    }
    text.into_text()
}

/// A metric whose samples have the same labels.
fn family<const N: usize>(
    text: &mut MetricsText,
    name: &str,
    kind: &str,
    help: &str,
    samples: &[([(&str, &str); N], f64)],
) {
    let samples: Vec<(&[(&str, &str)], f64)> = samples.iter().map(|(labels, value)| (&labels[..], *value)).collect();
    text.family(name, kind, help, &samples);
}

fn number(flag: bool) -> f64 {
    f64::from(u8::from(flag))
}

fn session(status: &FullStatus, text: &mut MetricsText) {
    let session = &status.station.session;
    let up = session.state == SessionState::Registered;
    text.gauge("callbox_session_up", "Whether calls can be made.", number(up));
    let counters = &session.counters;
    let again = counters.sessions.saturating_sub(1) as f64;
    text.counter("callbox_reconnects_total", "Sessions after the first one.", again);
    text.counter("callbox_takeovers_total", "Takeovers of the session by other clients.", counters.takeovers as f64);
    let timed_out = counters.timed_out_requests as f64;
    text.counter("callbox_requests_timed_out_total", "Requests that the server did not answer.", timed_out);
    let all = faults(status);
    let vital = all.iter().filter(|fault| fault.vital).count();
    let samples = [([("vital", "true")], vital as f64), ([("vital", "false")], (all.len() - vital) as f64)];
    family(text, "callbox_faults", "gauge", "What does not work.", &samples);
    let up = |interface: &InterfaceStatus| number(interface.ready && interface.fault.is_none());
    let samples: Vec<_> =
        status.interfaces().map(|(interface, status)| ([("interface", interface.word())], up(status))).collect();
    family(text, "callbox_interface_up", "gauge", "Whether an interface to the house works.", &samples);
}

/// Requests of hooks that were given up.
fn hooks(status: &FullStatus, text: &mut MetricsText) {
    if let Some(hooks) = &status.hooks {
        let help = "Requests of hooks that were given up.";
        text.counter("callbox_hook_requests_given_up_total", help, hooks.given_up as f64);
    }
}

fn calls(status: &FullStatus, text: &mut MetricsText) {
    let counters = &status.counters;
    let direction = |direction| if direction == Direction::Incoming { "incoming" } else { "outgoing" };
    let count = |direction, result| {
        let known = counters.calls.iter().find(|of| (of.direction, of.result) == (direction, result));
        known.map_or(0.0, |of| of.count as f64)
    };
    // All of them from the start, so that the first one is an increase.
    let samples: Vec<_> = [Direction::Incoming, Direction::Outgoing]
        .into_iter()
        .flat_map(|way| CallResult::ALL.map(|result| (way, result)))
        .map(|(way, result)| ([("direction", direction(way)), ("result", result.word())], count(way, result)))
        .collect();
    family(text, "callbox_calls_total", "counter", "Calls that have ended.", &samples);
    let seconds = counters.call_ms as f64 / 1000.0;
    text.counter("callbox_call_seconds_total", "How long calls were up that have ended.", seconds);
    let active = status.station.lines.iter().filter(|line| line.call.is_some()).count();
    text.gauge("callbox_calls_active", "Calls on the lines now.", active as f64);
    let missed = status.station.missed_calls as f64;
    text.counter("callbox_missed_calls_total", "Calls that came while no line was free.", missed);
    let refused = status.station.refused_calls as f64;
    text.counter("callbox_refused_calls_total", "Incoming calls that were declined.", refused);
    text.gauge("callbox_alarms_active", "Alarms that are not over.", status.station.alarms.len() as f64);
    let samples: Vec<_> =
        counters.presses.iter().map(|(button, count)| ([("button", button.as_str())], *count as f64)).collect();
    family(text, "callbox_presses_total", "counter", "Presses of buttons.", &samples);
    text.counter("callbox_wrong_codes_total", "Codes that were wrong.", counters.wrong_codes as f64);
    let Histogram { buckets, count, sum_ms } = &counters.press_to_request;
    let bounds = Histogram::BOUNDS_MS.map(|bound| bound as f64 / 1000.0);
    let buckets: Vec<(f64, u64)> = bounds.into_iter().zip(buckets.iter().copied()).collect();
    let help = "From a press to the request for its call.";
    text.histogram("callbox_press_to_request_seconds", help, &buckets, *count, *sum_ms as f64 / 1000.0);
}

fn sound(status: &FullStatus, text: &mut MetricsText) {
    let sound = &status.sound;
    text.gauge("callbox_sound_up", "Whether the sound card works.", number(status.station.audio.fault.is_none()));
    text.counter("callbox_xruns_total", "Overruns and underruns of the sound card.", sound.xruns as f64);
    let longest = sound.longest_frame_us as f64 / 1e6;
    text.gauge("callbox_frame_longest_seconds", "The most processor time that a frame of sound has taken.", longest);
    let volume = f64::from(status.station.audio.volume) / 100.0;
    text.gauge("callbox_volume_ratio", "The volume of the loudspeaker.", volume);
    let media = &status.counters.media;
    let received = media.packets_received as f64;
    text.counter("callbox_media_packets_received_total", "Packets that came from far ends.", received);
    let lost = media.packets_lost as f64;
    text.counter("callbox_media_packets_lost_total", "Packets of far ends that came too late or never.", lost);
    let delay = f64::from(media.delay_ms) / 1000.0;
    text.gauge("callbox_media_delay_seconds", "For how long the sound of the far end is kept back.", delay);
    let dropped = status.dropped_datagrams.named();
    let samples: Vec<_> = dropped.iter().map(|(reason, count)| ([("reason", *reason)], *count as f64)).collect();
    let help = "Datagrams at the ports of calls that were dropped.";
    family(text, "callbox_datagrams_dropped_total", "counter", help, &samples);
}

fn place(status: &FullStatus, text: &mut MetricsText) {
    let station = &status.station;
    let outputs: Vec<_> = station
        .outputs
        .iter()
        .filter(|output| output.kind == "relay")
        .map(|output| ([("output", output.name.as_str())], number(output.drive == Drive::On)))
        .collect();
    family(text, "callbox_output_on", "gauge", "Whether a relay is on.", &outputs);
    let sensors: Vec<_> =
        station.sensors.iter().map(|pin| ([("sensor", pin.name.as_str())], number(pin.active))).collect();
    family(text, "callbox_sensor_open", "gauge", "Whether a sensor is open.", &sensors);
    let doors: Vec<_> = station
        .doors
        .iter()
        .map(|door| ([("door", door.name.as_str())], number(door.state != DoorState::Closed)))
        .collect();
    family(text, "callbox_door_open", "gauge", "Whether a watched door is open.", &doors);
    let modes: Vec<_> = station.modes.iter().map(|mode| ([("mode", mode.name.as_str())], number(mode.on))).collect();
    family(text, "callbox_mode_on", "gauge", "Whether a mode of the house is on.", &modes);
}
