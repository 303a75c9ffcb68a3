//! When the server is asked for its STUN and TURN servers (docs/protocol.md, "ICE servers").
//!
//! They are asked for whenever the session comes up, and again before their credentials end. Nothing waits for them: a
//! call takes those that the adapter has at that moment.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::backoff::Backoff;
use super::state::Session;
use crate::config::{IceServers, MediaConfig};
use crate::core::api::{Effect, Fact, IceServerCounts, IceServerSource, IceServersAnswer, IceServersStatus};
use crate::core::context::Context;
use crate::core::random::Random;
use crate::core::time::Time;

/// Servers that live for long are renewed this long before their end.
const RENEW_BEFORE_END: Duration = Duration::from_secs(15 * 60);
/// Servers that live for less than twice that are renewed at half of their life.
const SHORT_LIFE: Duration = Duration::from_secs(30 * 60);
/// The renewal comes earlier by up to this part of the wait, at random, so that the stations of a whole street do not
/// ask in the same moment.
const SPREAD: u32 = 10;
/// The adapter must have answered within this time.
const PATIENCE: Duration = Duration::from_secs(60);

/// The STUN and TURN servers that the server hands out: what is known of them, and when they are asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct IceServerLease {
    /// What is due next, while the session is up.
    next: Option<Step>,
    backoff: Backoff,
    counts: IceServerCounts,
    until: Option<String>,
    fault: Option<String>,
    /// What was reported last.
    reported: Option<(IceServerCounts, Option<String>)>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Step {
    /// Ask at this time.
    Ask(Time),
    /// The answer must have come by this time.
    Answer(Time),
}

impl IceServerLease {
    fn fail(&mut self, message: String, now: Time, random: &mut Random) {
        self.fault = Some(message);
        self.next = Some(Step::Ask(now + self.backoff.next_wait(false, random)));
    }

    fn obtained(&mut self, lifetime: Option<Duration>, now: Time, random: &mut Random) {
        self.fault = None;
        let wait = match lifetime {
            Some(lifetime) => {
                self.backoff.reset();
                let wait = if lifetime < SHORT_LIFE { lifetime / 2 } else { lifetime - RENEW_BEFORE_END };
                random.between(wait - wait / SPREAD, wait).max(Duration::from_secs(1))
            }
            // They were stale when they came: the next ones may be better.
            None => self.backoff.next_wait(false, random),
        };
        self.next = Some(Step::Ask(now + wait));
    }
}

impl Session {
    /// The session has come up.
    pub(super) fn ask_for_ice_servers(&mut self, cx: &mut Context) {
        if cx.config.media.ice_servers == IceServers::FromServer {
            self.ice_servers.next = Some(Step::Answer(cx.now.at + PATIENCE));
            cx.push(Effect::ObtainIceServers);
        }
    }

    /// Does what is due.
    pub(super) fn tick_ice_servers(&mut self, cx: &mut Context) {
        let now = cx.now.at;
        match self.ice_servers.next {
            Some(_) if !self.is_up() => self.ice_servers.next = None,
            Some(Step::Ask(at)) if now >= at => self.ask_for_ice_servers(cx),
            Some(Step::Answer(at)) if now >= at => {
                self.ice_servers.fail(
                    "the request for STUN and TURN servers was not answered".into(),
                    now,
                    &mut cx.random,
                );
                self.report_ice_servers(cx);
            }
            Some(Step::Ask(_) | Step::Answer(_)) | None => {}
        }
    }

    pub(super) fn ice_servers_deadline(&self) -> Option<Time> {
        self.ice_servers.next.filter(|_| self.is_up()).map(|step| match step {
            Step::Ask(at) | Step::Answer(at) => at,
        })
    }

    /// Handles the answer to `Effect::ObtainIceServers`. Returns whether the servers have changed, so that a peer
    /// connection with the ones from before is of less use.
    pub(in crate::core) fn ice_servers(&mut self, answer: IceServersAnswer, cx: &mut Context) -> bool {
        let now = cx.now.at;
        let lease = &mut self.ice_servers;
        let changed = match answer {
            IceServersAnswer::Obtained { counts, changed, lifetime, until } => {
                (lease.counts, lease.until) = (counts, until);
                lease.obtained(lifetime, now, &mut cx.random);
                changed
            }
            IceServersAnswer::NotOffered => {
                let had = lease.counts != IceServerCounts::default();
                let reported = lease.reported.take();
                *lease = IceServerLease { reported, ..IceServerLease::default() };
                had
            }
            IceServersAnswer::Failed(message) => {
                lease.fail(message, now, &mut cx.random);
                false
            }
        };
        self.report_ice_servers(cx);
        changed
    }

    /// Reports the servers, once for each change.
    fn report_ice_servers(&mut self, cx: &mut Context) {
        let lease = &mut self.ice_servers;
        let now = (lease.counts, lease.fault.clone());
        let before = lease.reported.clone().unwrap_or_default();
        if before != now {
            cx.fact(Fact::IceServers { counts: now.0, fault: now.1.clone() });
        }
        lease.reported = Some(now);
    }

    pub(in crate::core) fn ice_servers_status(&self, media: &MediaConfig) -> IceServersStatus {
        match &media.ice_servers {
            IceServers::FromServer => IceServersStatus {
                source: IceServerSource::Server,
                counts: self.ice_servers.counts,
                until: self.ice_servers.until.clone(),
                fault: self.ice_servers.fault.clone(),
            },
            IceServers::Listed(servers) => IceServersStatus {
                source: IceServerSource::Configuration,
                counts: IceServerCounts::of(servers),
                until: None,
                fault: None,
            },
        }
    }
}
