//! When the core must be asked again, and what for.

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

    /// The earliest of several; of two at one moment the first one named.
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
    /// A level of a pin has lasted long enough, or a gesture is complete.
    Debounce,
    /// An output goes off.
    OutputOff,
    /// An action with `after_ms` or `for_ms` runs.
    DelayedAction,
    /// A changed volume or mute ends.
    SettingEnds,
    /// The louder loudspeaker at the start of a call ends.
    AnswerSignEnds,
    /// A press that waits for the session or for a line is given up.
    PressTooOld,
    /// A call is not answered in time.
    RingTimeout,
    /// An incoming call is answered.
    AutoAnswer,
    /// Our answer is not confirmed in time.
    AnswerTimeout,
    /// The warning before the longest talk time, or its end.
    TalkTime,
    /// Media liveness must be judged.
    Liveness,
    /// The peer connection of a call that we hung up is closed.
    MediaClose,
    /// Our hangup is not confirmed in time.
    HangupTimeout,
    /// An `update` is tried again, or takes too long.
    Update,
    /// The digits typed so far become a code.
    DigitTimeout,
    /// The media server has had time to clean a line up.
    LineCooling,
    /// The peer connection for the next call is remade.
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
            Self::Debounce => "a pin has settled",
            Self::OutputOff => "an output goes off",
            Self::DelayedAction => "a delayed action runs",
            Self::SettingEnds => "a changed setting ends",
            Self::AnswerSignEnds => "the louder answer tone ends",
            Self::PressTooOld => "a press has waited for too long",
            Self::RingTimeout => "nobody has answered",
            Self::AutoAnswer => "time to answer",
            Self::AnswerTimeout => "the server has not confirmed our answer",
            Self::TalkTime => "the talk time",
            Self::Liveness => "the media of a call must be judged",
            Self::MediaClose => "time to close a peer connection",
            Self::HangupTimeout => "the server has not confirmed our hangup",
            Self::Update => "a renegotiation is due",
            Self::DigitTimeout => "the digits so far become a code",
            Self::LineCooling => "a line is free again",
            Self::WarmPeerConnection => "time to remake the warm peer connection",
        })
    }
}
