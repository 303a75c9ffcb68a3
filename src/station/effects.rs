//! Carries out what the core decides.

use std::sync::Arc;

use super::clock::wall_clock_ms;
use super::event_loop::EventLoop;
use super::{fact_log, login, watchdog};
use crate::control::EventRecord;
use crate::core::{Effect, Fact, Input, ServerIndex};
use crate::signaling::{Endpoint, SessionApi, Socket};

impl EventLoop {
    /// Drains the effects of the last input.
    pub(super) fn carry_out_effects(&mut self) {
        while let Some(effect) = self.station.poll_effect() {
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Connect { server, force } => self.connect(server, force),
            Effect::Disconnect { code } => {
                self.generation += 1;
                if let Some(socket) = self.socket.take() {
                    socket.close(code);
                }
            }
            Effect::Send(message) => {
                let sent = self.socket.as_ref().is_some_and(|socket| socket.send(&message));
                if !sent {
                    tracing::warn!("a message could not be queued: the socket is gone or stands still");
                }
            }
            Effect::Probe(server) => self.probe(server),
            Effect::Remember(memory) => self.keeper.keep(memory),
            Effect::TokenRefused => {
                let tokens = Arc::clone(&self.tokens);
                tokio::spawn(async move { tokens.refuse().await });
            }
            Effect::ObtainToken => self.obtain_token(),
            Effect::ObtainIceServers => self.obtain_ice_servers(),
            Effect::Media(media, command) => self.media.command(media, command),
            Effect::Scene(scene) => self.audio.set_scene(&scene),
            Effect::Play { sound, to_calls } => self.audio.play(sound, to_calls),
            Effect::CheckCode { check, typed, codes } => {
                let (verifier, results) = (self.verifier.clone(), self.results.readers.clone());
                tokio::task::spawn_blocking(move || {
                    let matched = verifier.check(&typed, &codes);
                    // The station may have stopped.
                    let _ = results.blocking_send(Input::CodeChecked { check, matched });
                });
            }
            Effect::Announce(what) => self.audio.announce(what),
            Effect::Drive(output, drive) => self.player.drive(output.0, drive),
            Effect::Reply(id, result) => {
                if let Some(index) = self.replies.iter().position(|(of, _)| *of == id) {
                    let (_, reply) = self.replies.swap_remove(index);
                    // The client may be gone.
                    let _ = reply.send(result);
                }
            }
            Effect::Fact(fact) => self.report(fact),
        }
    }

    fn connect(&mut self, server: ServerIndex, force: bool) {
        self.generation += 1;
        self.server = server;
        let (connector, tokens) = (self.connector.clone(), Arc::clone(&self.tokens));
        let reports = self.results.sockets.clone();
        self.socket = self
            .endpoint(server)
            .map(|endpoint| Socket::open(endpoint, connector, tokens, force, self.generation, reports));
    }

    fn probe(&self, server: ServerIndex) {
        let Some(endpoint) = self.endpoint(server) else { return };
        let api = SessionApi::new(endpoint, self.connector.clone());
        let results = self.results.probes.clone();
        tokio::spawn(async move {
            let _ = results.send(api.answers().await).await;
        });
    }

    fn obtain_token(&self) {
        let Some(endpoint) = self.endpoint(self.server) else { return };
        let api = SessionApi::new(endpoint, self.connector.clone());
        let tokens = Arc::clone(&self.tokens);
        let credentials = self.config.core.credentials.clone();
        let identifier = self.identifier.clone();
        let results = self.results.tokens.clone();
        tokio::spawn(async move {
            tokens.refuse().await;
            let result = match login::log_in(&api, credentials, identifier).await {
                Ok(token) => {
                    tokens.renew(token).await;
                    Ok(())
                }
                Err(error) => Err(error),
            };
            let _ = results.send(result).await;
        });
    }

    fn obtain_ice_servers(&self) {
        let Some(endpoint) = self.endpoint(self.server) else { return };
        let api = SessionApi::new(endpoint, self.connector.clone());
        let (tokens, store) = (Arc::clone(&self.tokens), self.ice_servers.clone());
        let results = self.results.ice_servers.clone();
        tokio::spawn(async move {
            let answer = store.obtain(&api, tokens.in_use().await).await;
            let _ = results.send(answer).await;
        });
    }

    /// A fact goes to the log, to systemd, into the history, and to everybody who follows.
    pub(super) fn report(&mut self, fact: Fact) {
        fact_log::log(&fact);
        if fact.changes_summary() {
            let summary = watchdog::summary(&self.station.status());
            if summary != self.told_summary {
                // Without systemd, nobody receives this.
                let _ = sd_notify::notify(&[sd_notify::NotifyState::Status(&summary)]);
                self.told_summary = summary;
            }
        }
        let record = EventRecord { at_ms: wall_clock_ms(), fact };
        self.counter.count(&record, self.happened.0, self.clock.now().at.0);
        self.history.push(record.clone());
        // There may be nobody who listens.
        let _ = self.events.send(record);
    }

    fn endpoint(&self, ServerIndex(index): ServerIndex) -> Option<Endpoint> {
        self.endpoints.get(index).or_else(|| self.endpoints.first()).cloned()
    }

    /// The address of the server that was connected to last.
    pub(super) fn server_address(&self) -> String {
        self.endpoint(self.server).map(|endpoint| endpoint.shown()).unwrap_or_default()
    }
}
