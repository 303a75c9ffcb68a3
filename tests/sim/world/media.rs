//! The peer connections of the station.

use callbox::core::*;
use callbox::signaling::Candidate;

use super::World;
use super::agenda::Happening;
use crate::plan::between;
use crate::server::LegState;

/// A peer connection of the station.
#[derive(Debug, Default)]
pub struct Peer {
    /// The number of offers and answers that it made; the newest is valid.
    pub descriptions: u32,
    pub ours: String,
    pub theirs: bool,
    /// `World::addresses` at the newest description.
    pub addresses: u64,
    pub connected: bool,
    pub lost: u64,
    pub sounds: bool,
    pub told_at: u64,
}

impl World {
    pub(super) fn media(&mut self, media: u32, command: MediaCommand) {
        let described = |peer: &mut Peer, life: u32, kind: &str, addresses: u64| {
            peer.descriptions += 1;
            peer.addresses = addresses;
            peer.ours = format!("our {kind} {life}.{media}.{}", peer.descriptions);
            peer.ours.clone()
        };
        let (life, addresses) = (self.life, self.addresses);
        let pause = between(&mut self.random, 2, 40);
        match command {
            MediaCommand::Offer | MediaCommand::RestartIce => {
                let peer = self.peers.entry(media).or_default();
                peer.theirs = false;
                let sdp = described(peer, life, "offer", addresses);
                self.media_after(pause, media, MediaEvent::LocalOffer { sdp: sdp.into() });
                let candidate = Candidate { candidate: "candidate:1".into(), sdp_mid: None, sdp_m_line_index: None };
                self.media_after(pause + 5, media, MediaEvent::LocalCandidate(candidate));
                self.media_after(pause + 9, media, MediaEvent::CandidatesComplete);
            }
            MediaCommand::Answer { offer } | MediaCommand::AnswerUpdate { offer } => {
                let peer = self.peers.entry(media).or_default();
                peer.theirs = true;
                let sdp = described(peer, life, "answer", addresses);
                let far_end_holds = offer.ends_with("sendonly");
                self.media_after(pause, media, MediaEvent::LocalAnswer { sdp: sdp.into(), far_end_holds });
            }
            MediaCommand::ApplyAnswer { answer } => {
                let Some(peer) = self.peers.get_mut(&media) else {
                    return self.checks.fail("one peer connection a call", "an answer for one that is closed");
                };
                // An answer to an older offer is not applied.
                peer.theirs |= answer.ends_with(&peer.ours);
            }
            MediaCommand::Close => {
                if self.peers.remove(&media).is_none() {
                    self.checks.fail("one peer connection a call", format!("{media} is closed twice"));
                }
            }
            MediaCommand::AddCandidate(_) | MediaCommand::SendDigits(_) => {}
        }
        if self.peers.len() > 6 {
            self.checks.fail("bounds", format!("{} peer connections are open", self.peers.len()));
        }
    }

    pub(super) fn media_after(&mut self, ms: u64, media: u32, event: MediaEvent) {
        // Media take another way than the socket.
        let late = if self.now < self.troubles.media_late { between(&mut self.random, 0, 1_500) } else { 0 };
        let at = self.now + ms + late;
        // The events of one peer connection keep their order.
        let at = self.peers.get_mut(&media).map_or(at, |peer| {
            peer.told_at = peer.told_at.max(at);
            peer.told_at
        });
        let life = self.life;
        self.at(at, Happening::Input(life, Input::Media(MediaId(media), event)));
    }

    pub(super) fn media_path_is_good(&self) -> bool {
        self.now >= self.troubles.no_media && self.now >= self.troubles.no_network
    }

    /// The peer connection that a description of this life belongs to.
    pub(super) fn peer_of(&self, description: &str) -> Option<u32> {
        let (life, rest) = description.rsplit(' ').next()?.split_once('.')?;
        let media = rest.split('.').next()?.parse().ok()?;
        (life.parse() == Ok(self.life)).then_some(media)
    }

    pub(super) fn try_media(&mut self, media: u32, tries: u32) {
        let good = self.media_path_is_good();
        let addresses = self.addresses;
        let Some(peer) = self.peers.get_mut(&media) else { return };
        let leg = self.server.leg_described(&peer.ours);
        let may = leg.is_some() && peer.theirs && good && peer.addresses == addresses;
        if may {
            peer.lost += 1;
            let first = !std::mem::replace(&mut peer.sounds, true);
            peer.connected = true;
            self.media_after(1, media, MediaEvent::Connected);
            if first {
                let life = self.life;
                self.after(30, Happening::Sound(life, media));
            }
        } else if tries < 20 {
            let life = self.life;
            self.after(400, Happening::TryMedia(life, media, tries + 1));
        }
    }

    pub(super) fn lose_media(&mut self, media: u32) {
        let Some(peer) = self.peers.get(&media) else { return };
        if peer.connected {
            let (life, lost) = (self.life, peer.lost);
            let ms = between(&mut self.random, 2_000, 2_400);
            self.after(ms, Happening::MediaLost(life, media, lost));
        }
    }

    pub(super) fn sound(&mut self, media: u32) {
        let good = self.media_path_is_good();
        let Some(peer) = self.peers.get_mut(&media) else { return };
        let Some(leg) = self.server.leg_described(&peer.ours).filter(|_| peer.connected) else {
            peer.sounds = false;
            return;
        };
        let flows = leg.state == LegState::Up && !leg.muted && !leg.far_end_holds && !leg.station_holds && good;
        if flows {
            self.media_after(0, media, MediaEvent::Received);
        }
        let life = self.life;
        self.after(2_000, Happening::Sound(life, media));
    }

    /// Nothing has arrived for 2 s since the connection was lost, unless it has come back.
    pub(super) fn media_lost(&mut self, media: u32, lost: u64) {
        let good = self.media_path_is_good();
        let addresses = self.addresses;
        let life = self.life;
        let Some(peer) = self.peers.get_mut(&media) else { return };
        let lives = self.server.leg_described(&peer.ours).is_some() && good && peer.addresses == addresses;
        if peer.connected && peer.lost == lost && !lives {
            peer.connected = false;
            self.media_after(0, media, MediaEvent::Disconnected);
            self.after(400, Happening::TryMedia(life, media, 0));
        }
    }
}
