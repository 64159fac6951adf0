//! [`Image`]: what a machine holds, as a few bytes that can be compared, kept, and put back (feature `inspect`).
//!
//! Two machines with one image do the same from then on, whatever happens to them. So an image leaves out what has no
//! bearing on that, and a state space of images is finite where that of machines is not:
//!
//! - times are counted from now, in milliseconds; one that has passed is 0, and a wait beyond every limit is as good as one
//!   just beyond it;
//! - generations: an image that is put back has the generation [`GENERATION`] in every slot, so that one less is stale;
//! - statistics, serial numbers, what was logged, and how many iterations in a row had a stale event;
//! - the peer's address: every connection that has one has [`PEER`];
//! - which fault it was that closed a connection, and all else about it once it is being closed but for what is in flight
//!   and registered; what was received and left by an application that has finished;
//! - which of the free slots is which;
//! - how many fresh sources have gone in a row, where one is a row and none continues: `Schedule::progress` says why;
//! - the inside of a free list or a queue: a source has its position in it. So the connections of an image may be put
//!   into any order: they change names, and nothing else.
//!
//! For small machines whose kernel holds no more bytes of a connection than its send window: windows of at most 15
//! bytes, one listener without priority, behind it at most one datagram socket, at most [`CONNECTIONS`] connections, a
//! quantum and a poll interval of at most 15 × [`OPERATION_MIN`](crate::OPERATION_MIN), lengths of whole milliseconds below a minute, no class switched off,
//! no timer, one accept for each event; what is outbound is for no other connection.

mod datagrams;
mod fairness;
mod matter;
mod numbers;
mod stopping;

pub use fairness::RUN_QUEUES;
pub use matter::{forget_armed, forget_claims, forget_closing, forget_spent};

use super::Dispatcher;
use crate::config::Class;
use crate::deadlines::LATE;
use crate::destination::Destination;
use crate::event::Peer;
use crate::output::Reason;
use crate::queue::NONE;
use crate::readiness::{Directions, Readiness, Trigger};
use crate::record::Record;
use crate::schedule::Progress;
use crate::slot::{ALL_SENT, Attempts, Call, Cursors, Flags, Queued, Slot, State};
use crate::source::Source;
use crate::stats::Stats;
use crate::time::Instant;
use crate::token::{LISTENER_BIT, Token};
use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use heapless::Vec;
use numbers::{
    bits, cursors, directions, halves, millis, nanos, number, number_of, pair, reason_of,
};

/// The most connections of an image.
pub const CONNECTIONS: usize = 4;
/// Bytes of an image for what is of no source.
pub const MACHINE: usize = 6 + STOP;
/// Bytes of those for a stop.
const STOP: usize = 4;
/// Bytes of an image for each source.
pub const SOURCE: usize = 18;
/// The offset in the bytes of a source of how much was sent since the query of the peer's acknowledgements: it matters
/// only if the query completes.
pub const ACKNOWLEDGED: usize = 16;
/// The generation of every slot of a machine that was put back.
pub const GENERATION: u32 = 2;
/// The time of a machine that was put back.
pub const NOW: Instant = Instant::from_nanos(MILLI << 32);
/// The address of every peer that has one, in a machine that was put back.
pub const PEER: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 51234));

/// The states, as they are numbered in the first byte of a source.
pub const STATES: [&str; 13] = [
    "Free",
    "Reserved",
    "Open",
    "Finishing",
    "Lingering",
    "Closing",
    "Listening",
    "Retired",
    "Connecting",
    "HalfClosed",
    "HalfClosing",
    "Cancelling",
    "Datagrams",
];

const MILLI: u64 = 1_000_000;
/// In place of how long ago a connect was tried first: it was not.
const NEVER: [u8; 2] = u16::MAX.to_le_bytes();
const ALL: [State; 13] = [
    State::Free,
    State::Reserved,
    State::Open,
    State::Finishing,
    State::Lingering,
    State::Closing,
    State::Listening,
    State::Retired,
    State::Connecting,
    State::HalfClosed,
    State::HalfClosing,
    State::Cancelling,
    State::Datagrams,
];
/// The calls, as they are numbered from 1 on.
const CALLS: [Call; 5] = [
    Call::Connect,
    Call::Unsent,
    Call::Shutdown,
    Call::Refuse,
    Call::Close,
];
/// Bytes sent by a machine that was put back: more than any number that is subtracted from it.
const SENT: u32 = 1 << 16;

/// What a machine holds.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Image {
    /// What is of no source.
    pub machine: [u8; MACHINE],
    /// The listener.
    pub listener: [u8; SOURCE],
    /// The datagram socket, if there ever was one.
    pub datagrams: Option<[u8; SOURCE]>,
    /// The slots that were ever used.
    pub connections: Vec<[u8; SOURCE], CONNECTIONS>,
}

/// The offset in the bytes of a source of its positions in its run queue (low half) and in its class (high half).
const PLACES: usize = 9;
/// The index of the datagram socket.
const DATAGRAMS: u32 = LISTENER_BIT | 1;
/// Where in the bytes of a listener or a datagram socket stands whether it pauses: a connection has the first of its waits
/// there.
const PAUSES: usize = 12;
/// Where in the bytes of a source stands what attempts have come to.
const ATTEMPTS: usize = 17;
/// Bits of the ninth byte of a source: what is registered as one-shot was reported; what is registered is
/// [`Directions::HANGUP`].
const SPENT: u8 = 64;
const HANGUP: u8 = 128;

/// Images.
impl Dispatcher<'_> {
    /// What this machine holds. `turn`: an iteration is in progress, so what was done in it counts.
    #[must_use]
    pub fn image(&self, turn: bool) -> Image {
        let mut image = Image {
            machine: self.machine_image(turn),
            listener: self.source_image(LISTENER_BIT, turn),
            datagrams: (self.places().contains(&DATAGRAMS))
                .then(|| self.source_image(DATAGRAMS, turn)),
            connections: Vec::new(),
        };
        for index in 0..self.slots.used() {
            let full = (image.connections)
                .push(self.source_image(index, turn))
                .is_err();
            debug_assert!(!full, "an image holds {CONNECTIONS} connections");
        }
        for queue in self.m.schedule.queues() {
            let run = core::iter::successors(queue.head(), |index| {
                let next = self.slots.at(*index).run.next;
                (next != NONE).then_some(next)
            });
            write_positions(&mut image, run, 0);
        }
        for members in self.m.deadlines.queues(&self.slots) {
            write_positions(&mut image, members, 4);
        }
        image
    }

    /// Makes this machine one that holds what the image holds, in a table of the same size with the same configuration.
    pub fn put_back(&mut self, image: &Image) {
        // Which functions are linked is none of its state.
        self.will_fill();
        self.m.now = NOW;
        self.m.deadlines.empty();
        self.m.stats = Stats::default();
        self.sources.fill(0);
        self.blocks.fill(0);
        self.timers.clear();
        self.may_connect();
        self.slots.forget_used();
        self.put_machine(image);
        let waits_for_look = image.machine[0] & 32 != 0;
        let mut places = Places([[NONE; CONNECTIONS + 2]; QUEUES]);
        for (source, index) in image.connections.iter().zip(0u32..) {
            let used = self.slots.use_another();
            debug_assert_eq!(used, Some(index), "a table of the same size");
            *self.records.at_mut(index) = Record::NEW;
            self.put_source(index, source, &mut places, waits_for_look);
        }
        self.put_source(LISTENER_BIT, &image.listener, &mut places, waits_for_look);
        if let Some(datagrams) = &image.datagrams {
            self.put_source(DATAGRAMS, datagrams, &mut places, waits_for_look);
        }
        self.put_queues(&places);
        let accepted = |index: &u32| {
            let gone = self.slots.at(*index).state().is_gone();
            !gone && !self.records.at(*index).is_outbound()
        };
        let held = (0..self.slots.used()).filter(accepted).count();
        if let Some(source) = self.slots.source_mut(LISTENER_BIT) {
            source.held = u32::try_from(held).unwrap_or(u32::MAX);
        }
    }

    /// What a source could use now: the one of the three sets that is never stored.
    #[must_use]
    pub fn wanted(&self, token: Token) -> Directions {
        let Some(index) = self.find(token) else {
            return Directions::NONE;
        };
        let listens = self.slots.at(index).state() == State::Listening;
        self.wanted_by(index, listens && self.admits(index))
    }

    /// The three sets of a source: ready, in flight, armed.
    #[must_use]
    pub fn sets(&self, token: Token) -> [Directions; 3] {
        let slot = self.slots.at(token.slot());
        let sets = slot.readiness;
        [sets.ready(), sets.in_flight(), sets.armed()]
    }

    /// The state of a source, alive or not, as its index in [`STATES`].
    #[must_use]
    pub fn state(&self, token: Token) -> usize {
        let state = self.slots.at(token.slot()).state();
        ALL.iter().position(|other| *other == state).unwrap_or(0)
    }

    /// The deadline of a connection, and its class.
    #[must_use]
    pub fn deadline(&self, token: Token) -> Option<(Class, Instant)> {
        let slot = self.slots.at(token.slot());
        slot.class.map(|class| (class, slot.deadline))
    }

    /// Names the connection in a slot, free or not.
    #[must_use]
    pub fn token_of(&self, place: u32) -> Token {
        self.token(place)
    }

    /// The connection that is being serviced.
    #[must_use]
    pub fn serviced(&self) -> Option<Token> {
        let serving = self.m.schedule.serving();
        let connection = serving.filter(|index| index & LISTENER_BIT == 0);
        connection.map(|index| self.token(index))
    }

    fn machine_image(&self, turn: bool) -> [u8; MACHINE] {
        let m = &*self.m;
        let goes_on = turn && self.has_outputs();
        let progress = m.schedule.progress(goes_on, self.has_outputs());
        let (received, sent, yields) = progress.spent;
        let facts = u8::from(m.admission.is_starved())
            | u8::from(m.staleness.rebuilds()) << 1
            | u8::from(goes_on) << 2
            | u8::from(yields) << 3
            | u8::from(progress.bounds) << 4
            | u8::from(progress.waits_for_poll) << 5;
        let pause = self.slots.source(LISTENER_BIT);
        let pause = pause.map_or(0, |source| source.pace.parts().1);
        let [pause_low, pause_high] = millis(pause);
        let (moved, served, left) = progress.iteration.unwrap_or((0, 0, 0));
        let (done, fresh) = (pair(moved, served), pair(progress.fresh, left));
        let spent = pair(received, sent);
        let [stops, waiting, stop_low, stop_high] = self.stop_image();
        [
            facts, spent, pause_low, pause_high, done, fresh, stops, waiting, stop_low, stop_high,
        ]
    }

    fn put_machine(&mut self, image: &Image) {
        let [
            facts,
            spent,
            pause_low,
            pause_high,
            moved,
            fresh,
            ref stop @ ..,
        ] = image.machine;
        self.put_stop_image(*stop);
        self.m.admission.empty(facts & 1 != 0);
        self.m.staleness.put_back(facts & 2 != 0);
        let (received, sent) = halves(spent);
        if let Some(source) = self.slots.source_mut(LISTENER_BIT) {
            source.pace.put_pause(nanos([pause_low, pause_high]));
        }
        let (moved, served) = halves(moved);
        let (fresh, left) = halves(fresh);
        let progress = Progress {
            spent: (received, sent, facts & 8 != 0),
            bounds: facts & 16 != 0,
            waits_for_poll: facts & 32 != 0,
            iteration: (facts & 4 != 0).then_some((moved, served, left)),
            fresh,
        };
        let serviced = |bytes: &[u8; SOURCE]| bytes[0] & 32 != 0;
        let connections = image.connections.iter().zip(0..);
        let sources = connections.chain([(&image.listener, LISTENER_BIT)]);
        let sources = sources.chain(image.datagrams.as_ref().map(|bytes| (bytes, DATAGRAMS)));
        let serving = (sources.filter(|(bytes, _)| serviced(bytes))).map(|(_, index)| index);
        let windows = self.m.windows;
        (self.m.schedule).put_back(windows, progress, serving.last());
    }

    fn source_image(&self, index: u32, turn: bool) -> [u8; SOURCE] {
        let slot = self.slots.at(index);
        let record = self.records.at(index);
        let now = self.m.now;
        let connection = slot.is_live() && index & LISTENER_BIT == 0;
        let tries = matches!(slot.state(), State::Listening | State::Datagrams);
        let pace = self.slots.source(index).map(|source| source.pace.parts());
        let (failures, _, until) = pace.unwrap_or_default();
        let mut bytes = [0; SOURCE];
        let state = ALL
            .iter()
            .zip(0u8..)
            .find(|(state, _)| **state == slot.state());
        bytes[0] = state.map_or(0, |(_, number)| number)
            | u8::from(connection && record.is_tcp()) << 4
            | u8::from(self.m.schedule.is_serving(index)) << 5
            | u8::from(slot.is_late()) << 6
            | u8::from(connection && record.is_outbound()) << 7;
        [bytes[1], bytes[2]] = matter::flags(slot).bits().to_le_bytes();
        let sets = slot.readiness;
        let registered = sets.registered();
        bytes[3] = bits(sets.in_flight()) << 2 | bits(registered) << 6;
        bytes[8] |= HANGUP * u8::from(registered == Directions::HANGUP);
        let calls = CALLS.iter().zip(1u8..);
        let call = (calls.into_iter()).find(|(call, _)| slot.call == Some(**call));
        bytes[8] |= call.map_or(0, |(_, number)| number << 2);
        bytes[7] = pair(
            slot.reason.map_or(0, number_of),
            slot.class.map_or(0, |class| number(class) + 1),
        );
        bytes[8] |= match slot.queued {
            Queued::No => 0,
            Queued::First | Queued::Fresh => 1,
            Queued::Continuing => 2,
        };
        if let Some(due) = slot
            .class
            .map(|_| slot.deadline)
            .or(until.filter(|_| tries))
        {
            [bytes[10], bytes[11]] = millis(due.nanos_since(now));
        }
        // One that is being closed is counted until it is.
        bytes[PAUSES] = u8::from(until.is_some());
        bytes[ATTEMPTS] = matter::attempts(slot, self.m.trigger == Trigger::Edge);
        // Of one that is being closed nothing else matters.
        if slot.state().is_closing() {
            return bytes;
        }
        bytes[3] |= bits(sets.ready());
        bytes[8] |= SPENT * u8::from(sets.armed() != registered);
        // The whole window is 15, which is more than any other number.
        let wanted = slot.send_wanted.min(15);
        bytes[5] = pair(slot.tx.at, slot.tx.end);
        bytes[6] = pair(
            wanted,
            u32::from(slot.tally).max(if tries { failures.into() } else { 0 }),
        );
        self.put_datagrams_into(index, turn, &mut bytes);
        if connection {
            self.put_waits(index, &mut bytes);
        }
        bytes
    }

    /// What a live connection has in addition to its slot, and what of it matters in its state.
    fn put_waits(&self, index: u32, bytes: &mut [u8; SOURCE]) {
        let (slot, record, now) = (self.slots.at(index), self.records.at(index), self.m.now);
        let beyond = self.m.deadlines.beyond_every_wait();
        let long_open = self.m.deadlines.beyond_every_opening();
        if slot.state() == State::Connecting {
            [bytes[14], bytes[15]] = match record.opened_at {
                Instant::NEVER => NEVER,
                opened_at => millis(now.nanos_since(opened_at).min(long_open)),
            };
            return;
        }
        // From these classes every transition to another restarts the wait.
        let begins_anew = matches!(
            slot.class,
            Some(Class::FirstByte | Class::Request | Class::Idle | Class::HalfClosed)
        );
        if !begins_anew {
            let waited = now.wrapping_millis().wrapping_sub(record.stalled_at);
            [bytes[12], bytes[13]] = millis((u64::from(waited) * MILLI).min(beyond));
        }
        // Of one that a stop has finished the application may still take what came.
        if slot.hears() || slot.reason == Some(Reason::Stopping) {
            bytes[4] = pair(slot.rx.at, slot.rx.end);
        }
        if slot.hears() && !slot.flags.has(Flags::SPOKEN) {
            [bytes[14], bytes[15]] = millis(now.nanos_since(record.opened_at).min(long_open));
        }
        if slot.state() != State::Lingering {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "modulo 2^32 as the machine has it"
            )]
            let sent = record.bytes_out as u32;
            let since = sent.wrapping_sub(record.acknowledged);
            bytes[ACKNOWLEDGED] = pair(since.min(self.m.windows.send.saturating_add(1)), 0);
        }
    }

    fn put_source(
        &mut self,
        index: u32,
        bytes: &[u8; SOURCE],
        places: &mut Places,
        waits_for_look: bool,
    ) {
        let state = ALL.get(usize::from(bytes[0] & 15)).copied();
        let state = state.unwrap_or(State::Free);
        let other = index & LISTENER_BIT != 0;
        let (wanted, tally) = halves(bytes[6]);
        let tally = u16::try_from(tally).unwrap_or(0);
        let (reason, class) = halves(bytes[7]);
        let class = class
            .checked_sub(1)
            .and_then(|class| Class::ALL.get(class as usize))
            .copied();
        let slot = self.slots.at_mut(index);
        *slot = Slot::NEW.in_state(state);
        slot.deadline = if bytes[0] & 64 == 0 {
            NOW.plus_nanos(nanos([bytes[10], bytes[11]]))
        } else {
            LATE
        };
        slot.rx = if other {
            Cursors::EMPTY
        } else {
            cursors(bytes[4])
        };
        slot.tx = cursors(bytes[5]);
        slot.generation = GENERATION;
        slot.send_wanted = if wanted == 15 { ALL_SENT } else { wanted };
        slot.tally = if other { 0 } else { tally };
        slot.flags = Flags::of(u16::from_le_bytes([bytes[1], bytes[2]]));
        slot.reason = reason_of(reason);
        slot.call = usize::from(bytes[8] >> 2 & 7)
            .checked_sub(1)
            .and_then(|call| CALLS.get(call))
            .copied();
        slot.readiness = Readiness::of(
            directions(bytes[3]),
            directions(bytes[3] >> 2),
            directions(bytes[3] >> 6) | Directions::HANGUP.when(bytes[8] & HANGUP != 0),
            bytes[8] & SPENT != 0,
        );
        slot.class = class;
        slot.attempts = Attempts::of(bytes[ATTEMPTS]);
        let attempts = slot.attempts;
        if attempts.is_filled() {
            self.m.schedule.fill_again(index);
        }
        if attempts.is_flushed() {
            self.m.schedule.put_flushed(waits_for_look);
        }
        if other && let Some(source) = self.slots.source_mut(index) {
            let until = NOW.plus_nanos(nanos([bytes[10], bytes[11]]));
            let until = (bytes[PAUSES] != 0).then_some(until);
            source.pace.put_back(tally, until);
        }
        self.put_datagrams(index, bytes);
        let (run, timer) = halves(bytes[PLACES]);
        places.take(usize::from(bytes[8] & 3), run, index);
        // The first two rows are the run queues.
        let step = usize::from(self.slots.at(index).attempts.step());
        let row = match class {
            None => 0,
            Some(Class::Congestion) if step > 0 => 2 + Class::ALL.len() + step,
            Some(class) => 3 + class.index(),
        };
        places.take(row, timer, index);
        self.count_source(index);
        if !other {
            self.put_record(index, bytes);
        }
    }

    fn put_record(&mut self, index: u32, bytes: &[u8; SOURCE]) {
        let peer = if bytes[0] & 16 == 0 {
            Peer::Unix(1)
        } else {
            Peer::Inet(PEER)
        };
        let ago = |bytes| Instant::from_nanos(NOW.nanos_since(Instant::from_nanos(nanos(bytes))));
        let record = self.records.at_mut(index);
        let opened_at = match [bytes[14], bytes[15]] {
            NEVER => Instant::NEVER,
            waited => ago(waited),
        };
        *record = if bytes[0] & 128 == 0 {
            Record::open(peer, 0, opened_at)
        } else {
            Record::connecting(Destination::Inet(PEER), None)
        };
        record.opened_at = opened_at;
        record.stalled_at = ago([bytes[12], bytes[13]]).wrapping_millis();
        record.bytes_out = SENT.into();
        record.acknowledged = SENT - u32::from(bytes[ACKNOWLEDGED]);
        if self.slots.at(index).flags.has(Flags::OPENED) {
            self.remember_source(index);
        }
    }

    /// What is counted over all sources.
    fn count_source(&mut self, index: u32) {
        let slot = self.slots.at(index);
        let gone = slot.state().is_gone();
        if index & LISTENER_BIT != 0 {
            let listens = self
                .slots
                .source(index)
                .and_then(Source::listener)
                .is_some();
            if listens && !gone {
                self.m.admission.add_listener();
            }
            if self.is_paused(index) {
                self.m.admission.pause_one();
            }
            return;
        }
        let open = slot.is_live() && slot.flags.has(Flags::OPENED);
        self.m.stats.open += u32::from(open);
        self.m.admission.put_back(&mut self.slots, index);
    }

    fn put_queues(&mut self, places: &Places) {
        for (row, kind) in places.0.iter().zip(1usize..) {
            for index in row.iter().copied().take_while(|index| *index != NONE) {
                let slots = &mut self.slots;
                match kind {
                    1 => self.m.schedule.put(slots, index, Queued::Fresh),
                    2 => self.m.schedule.put(slots, index, Queued::Continuing),
                    _ => self.m.deadlines.put_back(slots, index),
                }
            }
        }
    }
}

/// The run queues, the classes, and the longer waits for memory.
const QUEUES: usize = 2 + Class::ALL.len() + Attempts::LAST_STEP as usize;

/// For each queue, the run queues first, then the classes, the source at each position.
struct Places([[u32; CONNECTIONS + 2]; QUEUES]);

impl Places {
    /// `kind` 0: in none.
    fn take(&mut self, kind: usize, place: u32, index: u32) {
        let row = kind.checked_sub(1).and_then(|row| self.0.get_mut(row));
        if let Some(taken) = row.and_then(|row| row.get_mut(place as usize)) {
            *taken = index;
        }
    }
}

/// Writes each member of a queue its position in it, in the byte for places, so many bits up.
fn write_positions(image: &mut Image, members: impl Iterator<Item = u32>, up: u32) {
    for (place, index) in (0..=15u8).zip(members) {
        let Image {
            listener,
            datagrams,
            connections,
            ..
        } = &mut *image;
        let other = datagrams.as_mut().filter(|_| index == DATAGRAMS);
        let source = connections.get_mut(index as usize).or(other);
        source.unwrap_or(listener)[PLACES] |= place << up;
    }
}

/// Names the listener of a machine that was put back.
#[must_use]
pub fn listener() -> Token {
    Token::new(LISTENER_BIT, GENERATION)
}

/// Names its datagram socket.
#[must_use]
pub fn datagrams() -> Token {
    Token::new(DATAGRAMS, GENERATION)
}
