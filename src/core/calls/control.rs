//! Call control: the calls with what they need to act.

use std::net::IpAddr;

use super::call::Call;
use super::state::Calls;
use crate::config::Line;
use crate::core::access::Access;
use crate::core::api::{CallState, Effect, MediaCommand, MediaId, Refusal, Source};
use crate::core::context::Context;
use crate::core::session::{News, Session};
use crate::secret::DoorCode;
use crate::signaling::{CallId, RequestBody, TransactionId};

/// The calls with what they need to act.
///
/// It borrows the calls, the session that carries their requests, the lock after wrong codes, and the context. The
/// station makes one whenever somebody acts on calls. The other files of this folder add the behaviour.
pub(in crate::core) struct CallControl<'a> {
    pub(super) calls: &'a mut Calls,
    pub(super) session: &'a mut Session,
    pub(super) access: &'a mut Access,
    pub(super) cx: &'a mut Context,
}

impl<'a> CallControl<'a> {
    pub(in crate::core) fn new(
        calls: &'a mut Calls,
        session: &'a mut Session,
        access: &'a mut Access,
        cx: &'a mut Context,
    ) -> Self {
        Self { calls, session, access, cx }
    }

    /// Handles what the session has reported.
    pub(in crate::core) fn handle_news(&mut self, news: Vec<News>) {
        for item in news {
            match item {
                News::Up(state) => self.recover(*state),
                News::Down => self.session_lost(),
                News::Answered(pending, result) => self.answered(&pending, result),
                News::TimedOut(pending) => self.timed_out(&pending),
                News::Event(event) => self.event(*event),
            }
        }
    }

    /// The addresses of the machine have changed. The offer of the warm peer connection names addresses that may be
    /// gone. The candidate pair of an established call may be dead as well.
    pub(in crate::core) fn network_changed(&mut self, addresses: Vec<IpAddr>) {
        let Some(before) = self.calls.addresses.replace(addresses.clone()) else { return };
        if before == addresses {
            return;
        }
        self.close_warm();
        if before.iter().any(|address| !addresses.contains(address)) {
            for line in self.calls.lines.numbers() {
                self.address_lost(line);
            }
        }
    }

    pub(super) fn new_media(&mut self, command: MediaCommand) -> MediaId {
        let media = self.calls.new_media_id();
        self.media(media, command);
        media
    }

    pub(super) fn media(&mut self, media: MediaId, command: MediaCommand) {
        self.cx.push(Effect::Media(media, command));
    }

    pub(super) fn call(&self, line: Line) -> Option<&Call> {
        self.calls.lines.call(line)
    }

    pub(super) fn call_mut(&mut self, line: Line) -> Option<&mut Call> {
        self.calls.lines.call_mut(line)
    }

    pub(super) fn send(&mut self, line: Line, call_id: Option<CallId>, body: RequestBody) -> Option<TransactionId> {
        self.session.request(Some(line), call_id, body, self.cx)
    }

    pub(in crate::core) fn context(&mut self) -> &mut Context {
        self.cx
    }

    // What rules and commands ask before they act, and what they do with single calls.

    pub(in crate::core) fn check_line(&self, line: Line) -> Result<Line, Refusal> {
        let last = Line(u32::try_from(self.calls.lines.len().saturating_sub(1)).unwrap_or(u32::MAX));
        if self.calls.lines.has(line) { Ok(line) } else { Err(Refusal::NoSuchLine { line, last }) }
    }

    pub(in crate::core) fn any_active(&self) -> bool {
        self.calls.any_active()
    }

    pub(in crate::core) fn has_call(&self, line: Line) -> bool {
        self.call(line).is_some()
    }

    pub(in crate::core) fn has_call_of(&self, source: Source) -> bool {
        self.calls.has_call_of(source)
    }

    pub(in crate::core) fn ringing_line(&self) -> Option<Line> {
        self.calls.ringing_line()
    }

    /// Whether a call on this line waits to be answered here.
    pub(in crate::core) fn rings(&self, line: Line) -> bool {
        self.call(line).is_some_and(|call| call.state() == CallState::Incoming)
    }

    /// The line of the established call that we do not hold.
    pub(in crate::core) fn foreground_line(&self) -> Option<Line> {
        self.calls.lines.active().find(|(_, call)| call.is_established() && !call.is_held()).map(|(line, _)| line)
    }

    /// Whether there is a far end that hears the station, or may hear it soon.
    pub(in crate::core) fn has_far_end(&self) -> bool {
        self.calls.any_established()
    }

    pub(in crate::core) fn held_line(&self) -> Option<Line> {
        self.calls.lines.active().find(|(_, call)| call.is_held()).map(|(line, _)| line)
    }

    /// Sends digits as telephone events; `None` where the call has no peer connection.
    pub(in crate::core) fn send_digits(&mut self, line: Line, digits: DoorCode) -> Option<()> {
        let media = self.call(line)?.media?;
        self.media(media, MediaCommand::SendDigits(digits));
        Some(())
    }
}
