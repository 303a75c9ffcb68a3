//! When the server is asked for its STUN and TURN servers (docs/protocol.md, "ICE servers").
//!
//! They are asked for whenever the session comes up, and again before their credentials end. Nothing waits for them: a
//! call takes those that the adapter has at that moment.

use std::time::Duration;

use super::ice_server_lease::Step;
use super::state::Session;
use crate::config::{IceServers, MediaConfig};
use crate::core::api::{Effect, Fact, IceServerCounts, IceServerSource, IceServersAnswer, IceServersStatus};
use crate::core::context::Context;
use crate::core::time::Time;

/// The adapter must have answered within this time.
const PATIENCE: Duration = Duration::from_secs(60);

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
                lease.clear();
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
        if lease.reported != now {
            cx.fact(Fact::IceServers { counts: now.0, fault: now.1.clone() });
            lease.reported = now;
        }
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
