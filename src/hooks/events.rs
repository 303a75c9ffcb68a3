//! Which events a hook is for.

use crate::config::HookEvent;
use crate::core::Fact;

/// Decides which facts a hook is for.
#[derive(Default)]
pub(super) struct Filter {
    card_has_failed: bool,
}

impl Filter {
    /// Whether one of these events is this fact. That the sound card works is news only after a fault.
    pub(super) fn passes(&mut self, events: &[HookEvent], fact: &Fact) -> bool {
        if let Fact::Audio { ready, .. } = fact
            && !std::mem::replace(&mut self.card_has_failed, !ready)
            && *ready
        {
            return false;
        }
        events.iter().any(|event| is_for(*event, fact))
    }
}

/// Whether an event of this word is this fact.
fn is_for(event: HookEvent, fact: &Fact) -> bool {
    match event {
        HookEvent::Press => matches!(fact, Fact::Press { .. }),
        HookEvent::Refused => matches!(
            fact,
            Fact::PressRefused { .. }
                | Fact::SensorRefused { .. }
                | Fact::DoorRefused { .. }
                | Fact::ScheduleRefused { .. }
                | Fact::ReaderRefused { .. }
                | Fact::OutputRefused { .. }
                | Fact::CallRefused { .. }
        ),
        HookEvent::Call => matches!(fact, Fact::Call { .. }),
        HookEvent::CallEnded => fact.ends_call(),
        HookEvent::MissedCall => matches!(fact, Fact::MissedCall { .. }),
        HookEvent::Door => matches!(fact, Fact::Door { .. }),
        HookEvent::Sensor => matches!(fact, Fact::Sensor { .. }),
        HookEvent::Code => matches!(fact, Fact::Code { .. } | Fact::Dtmf { .. }),
        HookEvent::Output => matches!(fact, Fact::Output { .. }),
        HookEvent::Mode => matches!(fact, Fact::Mode { .. }),
        HookEvent::Alarm => matches!(fact, Fact::Alarm { .. }),
        HookEvent::Session => matches!(fact, Fact::Session { .. }),
        HookEvent::Fault => matches!(
            fact,
            Fact::Pin { .. }
                | Fact::Audio { .. }
                | Fact::Microphone { .. }
                | Fact::Reader { .. }
                | Fact::ScheduleFault { .. }
                | Fact::IceServers { fault: Some(_), .. }
                | Fact::Clock { .. }
                | Fact::Interface { .. }
        ),
        HookEvent::Custom => matches!(fact, Fact::Custom { .. }),
    }
}
