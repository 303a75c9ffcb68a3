//! When the core needs [`super::Input::Tick`], and what for.

use super::time::Time;

/// A moment at which [`super::Input::Tick`] is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    pub at: Time,
    pub reason: DeadlineReason,
}

impl Deadline {
    pub(super) fn new(at: Time, reason: DeadlineReason) -> Self {
        Self { at, reason }
    }

    /// The earliest of several deadlines. If two are at the same moment, the first one in the list.
    pub(super) fn earliest(deadlines: impl IntoIterator<Item = Self>) -> Option<Self> {
        deadlines.into_iter().min_by_key(|deadline| deadline.at)
    }
}

/// What a deadline is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadlineReason {
    /// The back-off of the session is over.
    Reconnect,
    /// The clock may have been set.
    ClockCheck,
    /// An attempt to connect takes too long.
    ConnectTimeout,
    /// A login takes too long.
    LoginTimeout,
    /// The server has not sent its `state`.
    StateTimeout,
    /// A keepalive must be sent.
    Keepalive,
    /// The echo of a keepalive is missing.
    KeepaliveTimeout,
    /// The session has been up for long enough to forget its failures.
    SessionHealthy,
    /// The server has not responded to a request.
    ResponseTimeout,
    /// The preferred server is probed again.
    ServerProbe,
    /// The server is asked for its STUN and TURN servers again, or has not answered.
    IceServers,
    /// A level of a pin has lasted long enough, or a gesture is complete.
    Debounce,
    /// An output goes off.
    OutputOff,
    /// A door is forced, held or closed.
    DoorWatch,
    /// An action with `after_ms` or `for_ms` runs.
    DelayedAction,
    /// What was typed at a reader is forgotten, or checking it takes too long.
    Reader,
    /// An announcement is over, or is given up.
    Announcement,
    /// A changed volume or mute ends.
    SettingEnds,
    /// The hours of a mode may have begun or ended.
    ModeHours,
    /// A schedule may be due.
    Schedule,
    /// The answer tone is over, and the loudspeaker gets its usual volume back.
    AnswerToneEnds,
    /// A press that waits for the session or for a line is given up.
    PressTooOld,
    /// An alarm calls all of its numbers again.
    AlarmRound,
    /// A call is not answered in time.
    RingTimeout,
    /// An incoming call is answered.
    AutoAnswer,
    /// Our answer is not confirmed in time.
    AnswerTimeout,
    /// The talk time of a call is over, or its warning is due.
    TalkTime,
    /// Media liveness must be checked.
    Liveness,
    /// The peer connection of a call that we hung up is closed.
    MediaClose,
    /// Our hangup is not confirmed in time.
    HangupTimeout,
    /// An `update` is tried again, or takes too long.
    Update,
    /// The digits typed so far become a wrong code.
    DigitTimeout,
    /// The media server has had time to clean up a line.
    LineCooling,
    /// The warm peer connection is replaced by a new one.
    WarmPeerConnection,
}

impl std::fmt::Display for Deadline {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.reason.fmt(formatter)
    }
}

impl std::fmt::Display for DeadlineReason {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Reconnect => "time to connect",
            Self::ClockCheck => "time to check the clock",
            Self::ConnectTimeout => "the connection takes too long",
            Self::LoginTimeout => "the login takes too long",
            Self::StateTimeout => "the server has not sent its state",
            Self::Keepalive => "time for a keepalive",
            Self::KeepaliveTimeout => "the server has not answered a keepalive",
            Self::SessionHealthy => "the session is healthy",
            Self::ResponseTimeout => "the server has not responded to a request",
            Self::ServerProbe => "time to probe the preferred server",
            Self::IceServers => "time to renew STUN and TURN servers",
            Self::Debounce => "a pin has settled, or a gesture is complete",
            Self::OutputOff => "an output goes off",
            Self::DoorWatch => "it is judged whether a door is forced, held or closed",
            Self::DelayedAction => "a delayed action runs",
            Self::Reader => "what was typed at a reader is forgotten",
            Self::Announcement => "an announcement is over, or is given up",
            Self::SettingEnds => "a changed setting ends",
            Self::Schedule => "a schedule may be due",
            Self::ModeHours => "the hours of a mode may have begun or ended",
            Self::AnswerToneEnds => "the louder answer tone ends",
            Self::PressTooOld => "a press has waited for too long",
            Self::AlarmRound => "an alarm calls again",
            Self::RingTimeout => "nobody has answered",
            Self::AutoAnswer => "time to answer",
            Self::AnswerTimeout => "the server has not confirmed our answer",
            Self::TalkTime => "the talk time is over, or nearly over",
            Self::Liveness => "the media of a call must be checked",
            Self::MediaClose => "time to close a peer connection",
            Self::HangupTimeout => "the server has not confirmed our hangup",
            Self::Update => "a renegotiation is due",
            Self::DigitTimeout => "the digits so far become a wrong code",
            Self::LineCooling => "a line is free again",
            Self::WarmPeerConnection => "time to replace the warm peer connection",
        })
    }
}
