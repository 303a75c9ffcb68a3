//! The status of the whole station: that of the core, and what the adapters know.

use std::sync::atomic::Ordering;

use super::event_loop::EventLoop;
use crate::audio::{CardControls, CardTiming, Meters};
use crate::control::{Counters, FullStatus, InterfaceStatus, MediaCounts, SoundStatus};
use crate::core::Interface;

impl EventLoop {
    pub(super) fn status(&self) -> FullStatus {
        let mut station = self.station.status();
        // The core knows why there are no servers, and the adapter which of them is of no use.
        let fault = &mut station.ice_servers.fault;
        *fault = fault.take().or_else(|| self.turn_faults.first());
        FullStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            server: self.server_address(),
            identifier: self.identifier.clone(),
            gpio_backend: self.pins.backend().to_owned(),
            uptime_s: self.clock.uptime_s(),
            dropped_datagrams: self.dropped.read(),
            sound: sound_status(&self.audio.meters),
            http: self.interface(Interface::Http),
            mqtt: self.interface(Interface::Mqtt),
            hooks: self.interface(Interface::Hooks),
            recent_calls: self.counter.recent_calls.iter().cloned().collect(),
            counters: self.counters(),
            station,
        }
    }
}

impl EventLoop {
    fn interface(&self, interface: Interface) -> Option<InterfaceStatus> {
        self.interfaces.get(&interface).cloned()
    }

    fn counters(&self) -> Counters {
        let meters = &self.media_meters;
        let media = MediaCounts {
            packets_received: meters.received.load(Ordering::Relaxed),
            packets_lost: meters.lost.load(Ordering::Relaxed),
            delay_ms: meters.delay_ms.load(Ordering::Relaxed),
        };
        Counters { media, ..self.counter.counters.clone() }
    }
}

fn sound_status(meters: &Meters) -> SoundStatus {
    let CardControls { playback, capture } = meters.controls().clone();
    let CardTiming { capture_period_ms, playback_period_ms, lead_ms } = meters.card_timing();
    SoundStatus {
        microphone_dbfs: meters.microphone_dbfs(),
        loudspeaker_dbfs: meters.loudspeaker_dbfs(),
        xruns: meters.xruns.load(Ordering::Relaxed),
        synthetic: meters.synthetic.load(Ordering::Relaxed),
        realtime: meters.realtime.load(Ordering::Relaxed),
        longest_frame_us: meters.longest_frame_us.load(Ordering::Relaxed),
        longest_frame_wall_us: meters.longest_frame_wall_us.load(Ordering::Relaxed),
        capture_period_ms,
        playback_period_ms,
        lead_ms,
        playback_control: playback,
        capture_control: capture,
    }
}
