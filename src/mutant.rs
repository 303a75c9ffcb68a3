//! Deliberate bugs, each of which the simulator must find (`make mutants`).
//!
//! They are code behind the feature `mutants`, which no build of the daemon has. Without it [`mutant`] is constantly
//! `false`.

/// The bugs, by what they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Mutant {
    /// The microphone is open while the far end rings.
    MicrophoneWhileAlerting = 1,
    /// A pulse may be longer than `max_on_ms`.
    EndlessPulse,
    /// Anybody who calls may open the door.
    CodesForEverybody,
    /// The list of numbers goes on after somebody has answered.
    HuntAfterAnswer,
    /// A hangup that went down with its socket is not sent again.
    ForgottenHangup,
    /// A dead link is found too late.
    LateKeepalive,
    /// A call without media is dialled again and again.
    EndlessRedial,
    /// An announcement opens the microphone.
    MicrophoneInAnnouncement,
    /// Presses are kept for ever and dialled in the night.
    EndlessPress,
    /// A second press is met with silence.
    SilentSecondPress,
    /// A door that nobody may open is taken for one that somebody opened.
    UnnoticedForcedDoor,
    /// A door may stand open for ever.
    UnnoticedHeldDoor,
    /// A contact that bounces while its door falls shut is one closing after the other.
    DoorClosedWhileItBounces,
    /// Who has opened a door once may open it for ever.
    EndlessGrace,
    /// An alarm tries once and no more.
    AlarmGivesUp,
    /// A right code opens although the codes of its reader are off.
    CodesWhileLocked,
    /// A restart ends an alarm.
    AlarmForgotten,
    /// Whoever takes the call of an alarm has confirmed it.
    MailboxConfirms,
    /// Half a code is still there when its reader is plugged in again.
    HalfCodeSurvives,
    /// Wrong codes at a reader cost nothing.
    WrongCodesAreFree,
    /// The first rule runs, whatever its conditions say.
    RuleOfAnotherTime,
    /// A rule with `for_ms` runs, though it does not hold any more.
    RuleThatHeldBefore,
    /// A rule runs again within its cooldown.
    EndlessMotion,
    /// A schedule runs while nobody knows what time it is.
    ScheduleWithoutClock,
    /// A restart loses a run that waits for its jitter.
    ScheduleForgotten,
}

impl Mutant {
    pub const ALL: [Self; 25] = [
        Self::MicrophoneWhileAlerting,
        Self::EndlessPulse,
        Self::CodesForEverybody,
        Self::HuntAfterAnswer,
        Self::ForgottenHangup,
        Self::LateKeepalive,
        Self::EndlessRedial,
        Self::MicrophoneInAnnouncement,
        Self::EndlessPress,
        Self::SilentSecondPress,
        Self::UnnoticedForcedDoor,
        Self::UnnoticedHeldDoor,
        Self::DoorClosedWhileItBounces,
        Self::EndlessGrace,
        Self::AlarmGivesUp,
        Self::CodesWhileLocked,
        Self::AlarmForgotten,
        Self::MailboxConfirms,
        Self::HalfCodeSurvives,
        Self::WrongCodesAreFree,
        Self::RuleOfAnotherTime,
        Self::RuleThatHeldBefore,
        Self::EndlessMotion,
        Self::ScheduleWithoutClock,
        Self::ScheduleForgotten,
    ];
}

#[cfg(feature = "mutants")]
static ACTIVE: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);

/// Turns one bug on, in the whole process, or all of them off.
#[cfg(feature = "mutants")]
pub fn activate(mutant: Option<Mutant>) {
    ACTIVE.store(mutant.map_or(0, |mutant| mutant as u8), std::sync::atomic::Ordering::Relaxed);
}

/// Whether this bug is on.
#[cfg(feature = "mutants")]
pub(crate) fn mutant(mutant: Mutant) -> bool {
    ACTIVE.load(std::sync::atomic::Ordering::Relaxed) == mutant as u8
}

/// Whether this bug is on: never, in a build without the feature.
#[cfg(not(feature = "mutants"))]
pub(crate) const fn mutant(_: Mutant) -> bool {
    false
}
