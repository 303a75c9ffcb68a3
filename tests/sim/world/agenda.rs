//! What happens in the world, in the order of its times.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use callbox::core::{Input, SocketEvent};
use callbox::signaling::ClientMessage;

use crate::plan::Passage;
use crate::server::Doing;

/// What happens next. The station's life is the number of its process, counted from 1.
#[derive(Debug)]
pub enum Happening {
    Stimulus(usize),
    /// An event for the station: its life, its socket.
    Socket(u32, u32, SocketEvent),
    ToServer(u32, ClientMessage),
    Server(Doing),
    /// An input for the station of this life.
    Input(u32, Input),
    /// A peer connection tries to reach the far end: the station's life, the peer connection, earlier tries.
    TryMedia(u32, u32, u32),
    /// Nothing has arrived for 2 s: the station's life, the peer connection, its `lost` at that time.
    MediaLost(u32, u32, u64),
    Sound(u32, u32),
    FaultEnds(u64),
    WellAgain(u64),
    MustAnswer(u64, u64),
    /// A press on a button that was at rest must have counted as one press, however much it bounced.
    PressCounted {
        life: u32,
        before: u64,
        hands: u64,
    },
    /// The contact of the watched door changes.
    Contact(bool),
    /// Somebody has moved for a while, in this life of the process.
    MotionStayed(u32),
    /// Somebody goes through the watched door.
    Passage(Passage),
    Restart(bool),
    Sweep,
}

struct Queued {
    at: u64,
    order: u64,
    what: Happening,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl Eq for Queued {}
impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// All that is going to happen, the next first.
#[derive(Default)]
pub struct Agenda {
    order: u64,
    queue: BinaryHeap<Reverse<Queued>>,
}

impl Agenda {
    /// What is added first happens first if both are for the same moment.
    pub fn add(&mut self, at: u64, what: Happening) {
        self.order += 1;
        self.queue.push(Reverse(Queued { at, order: self.order, what }));
    }

    /// When the next thing happens; `u64::MAX` if nothing is left.
    pub fn next_at(&self) -> u64 {
        self.queue.peek().map_or(u64::MAX, |Reverse(queued)| queued.at)
    }

    pub fn pop(&mut self) -> Option<(u64, Happening)> {
        self.queue.pop().map(|Reverse(queued)| (queued.at, queued.what))
    }
}
