//! What happens at a door in a month: presses, calls of residents, and everything that breaks.

use std::time::Duration;

use callbox::config::ModeChange;
use callbox::core::Random;

use crate::house::{AWAY, NIGHT};

/// 30 days.
pub const MONTH_MS: u64 = 30 * DAY_MS;
const DAY_MS: u64 = 86_400_000;
const HOUR_MS: u64 = 3_600_000;
/// The largest number of presses, calls and faults in a day.
const EVENTS_PER_DAY: u64 = 62;

/// One thing that the world does.
#[derive(Debug, Clone)]
pub enum Stimulus {
    /// A visitor presses the bell, whose contacts bounce.
    Press {
        bounces: u64,
        held_ms: u64,
    },
    /// Somebody calls the door.
    Call {
        from: &'static str,
        gives_up_ms: u64,
        offerless: bool,
    },
    /// Somebody goes through the watched door.
    Passage(Passage),
    /// Somebody in trouble presses the button for help.
    Help,
    /// Somebody types at the keypad: so many wrong codes, and then perhaps the right one. The reader may be unplugged in
    /// the middle of it.
    Keypad {
        wrong: u64,
        right: bool,
        unplugged: bool,
    },
    /// Somebody moves in front of the door for so long.
    Motion {
        ms: u64,
    },
    Mode(ModeSwitch),
    Fault(Fault),
}

/// How somebody switches a mode.
#[derive(Debug, Clone, Copy)]
pub enum ModeSwitch {
    /// The key switch at the door, which toggles "away".
    Key,
    Command {
        mode: usize,
        change: ModeChange,
    },
}

/// How the watched door is opened and falls shut.
#[derive(Debug, Clone, Copy)]
pub struct Passage {
    /// The exit button is pressed this much before the door opens, if it is pressed.
    pub exit_ms: Option<u64>,
    pub open_ms: u64,
    /// How often the contact bounces when the door opens.
    pub bounces: u64,
    /// When it falls shut it swings open again this often, each time for the milliseconds that follow.
    pub swings: (u64, u64),
}

impl Passage {
    pub fn new(random: &mut Random) -> Self {
        Self {
            exit_ms: (random.below(3) != 0).then(|| between(random, 0, 8_000)),
            open_ms: if random.below(4) == 0 { between(random, 30_000, 400_000) } else { between(random, 200, 20_000) },
            bounces: random.below(5),
            swings: (random.below(4), between(random, 30, 1_500)),
        }
    }
}

/// What breaks. `ms` is how long it lasts.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The socket is reset, and both sides notice.
    Reset,
    /// The connection is dead and nobody notices: a NAT has forgotten it.
    SilentLoss,
    /// There is no network; the machine loses its address or keeps it.
    Outage { ms: u64, address_goes: bool },
    /// Every message is late.
    Delay { ms: u64, by_ms: u64 },
    /// Messages of the server arrive twice.
    Duplicates { ms: u64 },
    /// Messages of the server get lost.
    Drops { ms: u64 },
    /// Requests are carried out, but their `ack` gets lost.
    LostAcks { ms: u64 },
    /// Responses arrive after the time-out.
    LateResponses { ms: u64 },
    /// Frames arrive that are not messages.
    Garbage { ms: u64 },
    /// The server closes with this code.
    Close(u16),
    /// The server goes down and comes back; it forgets its calls or keeps them.
    ServerRestart { ms: u64, forgets: bool, retry_after_s: Option<u64>, code: u16 },
    /// Another client takes the session over; if it `fights`, it takes it back again.
    Takeover { ms: u64, fights: bool },
    /// The token is refused for this time, or until it is renewed.
    TokenExpires { ms: u64 },
    /// The account is not registered.
    Unregistered { ms: u64 },
    /// The media path is dead.
    MediaDead { ms: u64 },
    /// Media and signaling take different ways: media events arrive late compared with those of the socket.
    MediaLate { ms: u64 },
    /// Idle lines of the next handshake are objects whose `call_id` is null.
    NullCallIds,
    /// The sound card is gone.
    NoCard { ms: u64 },
    /// The audio thread stands still.
    CardStalls { ms: u64 },
    /// The wall clock is not set. With `certificates`, those of the server seem to be not yet valid.
    ClockLost { ms: u64, certificates: bool },
    /// The wall clock is ahead by this number of minutes, and perhaps the server's as well.
    ClockJumps { ms: u64, minutes: u64, agreed: bool },
    /// The button is stuck.
    StuckButton { ms: u64 },
    /// The process dies, alone or because the power fails.
    Crash { ms: u64, power: bool },
}

/// A stimulus with its time and its own source of randomness.
#[derive(Debug, Clone)]
pub struct Planned {
    pub at_ms: u64,
    pub seed: u64,
    pub what: Stimulus,
}

/// The month that belongs to a seed.
pub fn month(seed: u64) -> Vec<Planned> {
    let mut random = Random::new(seed);
    let mut plan = Vec::new();
    for day in 0..30 {
        if random.below(3) == 0 {
            // The clock is lost while the schedule of the night waits for its jitter.
            let at_ms = day * DAY_MS + between(&mut random, 3 * HOUR_MS, 3 * HOUR_MS + 600_000);
            let fault = Fault::ClockLost { ms: between(&mut random, 1_000, 600_000), certificates: false };
            plan.push(Planned { at_ms, seed: random.next_u64(), what: Stimulus::Fault(fault) });
        }
        for _ in 0..between(&mut random, 44, EVENTS_PER_DAY) {
            let at_ms = day * DAY_MS + between(&mut random, 0, DAY_MS - 1);
            let event_seed = random.next_u64();
            if random.below(10) != 0 {
                let what = everyday(&mut random);
                if matches!(what, Stimulus::Motion { .. }) {
                    // Somebody comes home, or goes, or moves again.
                    let again = random.below(2) == 0;
                    let at_ms = at_ms + between(&mut random, 0, if again { 60_000 } else { 20_000 });
                    let what = if again { what.clone() } else { Stimulus::Mode(mode_switch(&mut random)) };
                    plan.push(Planned { at_ms, seed: random.next_u64(), what });
                }
                plan.push(Planned { at_ms, seed: event_seed, what });
                continue;
            }
            plan.push(Planned { at_ms, seed: event_seed, what: Stimulus::Fault(fault(&mut random)) });
            // A fault tests little unless somebody is at the door.
            for _ in 0..random.below(3) {
                let at_ms = (at_ms + between(&mut random, 0, 60_000)).saturating_sub(25_000);
                let seed = random.next_u64();
                plan.push(Planned { at_ms, seed, what: everyday(&mut random) });
            }
            if random.below(4) == 0 {
                let at_ms = at_ms + between(&mut random, 0, 40_000);
                let seed = random.next_u64();
                plan.push(Planned { at_ms, seed, what: Stimulus::Fault(fault(&mut random)) });
            }
        }
    }
    plan.sort_by_key(|planned| planned.at_ms);
    plan
}

pub fn between(random: &mut Random, low: u64, high: u64) -> u64 {
    let duration = random.between(Duration::from_millis(low), Duration::from_millis(high));
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn everyday(random: &mut Random) -> Stimulus {
    match random.below(12) {
        0..6 => Stimulus::Press { bounces: random.below(5), held_ms: between(random, 40, 600) },
        6 => match random.below(6) {
            0 => Stimulus::Help,
            1 | 2 => Stimulus::Keypad {
                wrong: random.below(8),
                right: random.below(3) != 0,
                unplugged: random.below(5) == 0,
            },
            _ => Stimulus::Passage(Passage::new(random)),
        },
        7 => match random.below(3) {
            0 => Stimulus::Mode(mode_switch(random)),
            1 => Stimulus::Motion { ms: between(random, 100, 800) },
            _ => Stimulus::Motion { ms: between(random, 100, 60_000) },
        },
        _ => {
            let from = ["100", "100", "200", "300", "999"];
            Stimulus::Call {
                from: from[usize::try_from(random.below(5)).unwrap_or(0)],
                gives_up_ms: between(random, 300, 45_000),
                offerless: random.below(8) == 0,
            }
        }
    }
}

fn mode_switch(random: &mut Random) -> ModeSwitch {
    let changes = [ModeChange::On, ModeChange::Off, ModeChange::Toggle, ModeChange::Auto, ModeChange::Auto];
    let change = changes[usize::try_from(random.below(5)).unwrap_or(0)];
    match random.below(3) {
        0 => ModeSwitch::Key,
        1 => ModeSwitch::Command { mode: AWAY, change },
        _ => ModeSwitch::Command { mode: NIGHT, change },
    }
}

fn fault(random: &mut Random) -> Fault {
    let short = between(random, 200, 20_000);
    let long = between(random, 1_000, 180_000);
    let codes = [
        1000, 1001, 1006, 1011, 1012, 4101, 4201, 4300, 4301, 4302, 4400, 4401, 4402, 4410, 4411, 4412, 4420, 4431,
        4432, 4441, 4501, 4502, 4600, 4601, 4602, 4610, 4999,
    ];
    match random.below(26) {
        0 | 1 => Fault::Reset,
        2 => Fault::SilentLoss,
        3 | 4 => Fault::Outage { ms: long, address_goes: random.below(2) == 0 },
        5 => Fault::Delay { ms: long, by_ms: between(random, 100, 12_000) },
        6 => Fault::Duplicates { ms: long },
        7 => Fault::Drops { ms: short },
        8 => Fault::LostAcks { ms: long },
        9 => Fault::LateResponses { ms: long },
        10 => Fault::Garbage { ms: long },
        11 | 12 => {
            let index = random.below(codes.len() as u64);
            Fault::Close(codes[usize::try_from(index).unwrap_or(0)])
        }
        13 | 14 => Fault::ServerRestart {
            ms: long,
            forgets: random.below(2) == 0,
            retry_after_s: (random.below(3) == 0).then(|| 1 + random.below(120)),
            code: [1001, 1006, 1012, 4402][usize::try_from(random.below(4)).unwrap_or(0)],
        },
        15 => Fault::Takeover { ms: long, fights: random.below(3) == 0 },
        16 => Fault::TokenExpires { ms: long * 3 },
        17 => Fault::Unregistered { ms: long },
        18 => Fault::MediaDead { ms: if random.below(2) == 0 { short } else { long } },
        19 => Fault::MediaLate { ms: long },
        20 => Fault::NullCallIds,
        21 => Fault::NoCard { ms: long },
        22 => Fault::CardStalls { ms: short },
        23 if random.below(2) == 0 => Fault::ClockLost { ms: long, certificates: random.below(2) == 0 },
        23 => Fault::ClockJumps {
            ms: long * 20,
            minutes: if random.below(2) == 0 { random.below(240) } else { random.below(7 * 1440) },
            agreed: random.below(2) == 0,
        },
        24 => Fault::StuckButton { ms: long * 10 },
        _ => Fault::Crash { ms: between(random, 500, 30_000), power: random.below(3) == 0 },
    }
}
