//! The type of a session's memory bounds what it can have at a time.

use crate::unavailable::Unavailable;
use crate::{Config, Conn, Connections, DatagramMemory, Handler, Instant, Memory, Session};
use alloc::vec::Vec;
use core::time::Duration;

#[derive(Default)]
struct Ticks(Vec<u32>);

impl Handler for Ticks {
    type State = ();

    fn readable(&mut self, _: &mut Conn<'_>, (): &mut ()) {}

    fn tick(&mut self, _: &mut Connections<'_>, timer: u32, _: u64) {
        self.0.push(timer);
    }
}

/// As many sources, free timers and datagram sockets as there are, in any mixture, and no more.
fn has<const SOURCES: usize, const TIMERS: usize, const SOCKETS: usize>() {
    let mut memory = Memory::<2, 64, 64, (), SOURCES, TIMERS>::new();
    let mut datagrams = DatagramMemory::<255, 255, SOCKETS>::new();
    let made = Session::new(&mut memory, &Config::default(), Ticks::default());
    let mut session = made.expect("a session");
    session.set_datagram_memory(&mut datagrams);
    let sockets = SOCKETS.min(SOURCES);
    for _ in 0..sockets {
        session.add_datagrams(1, 1).expect("a slot");
    }
    if SOCKETS < SOURCES {
        assert_eq!(
            session.add_datagrams(1, 1),
            Err(Unavailable::DatagramMemory)
        );
    }
    for number in sockets..SOURCES {
        let token = session.listen(None).expect("a slot");
        assert_eq!(token.index() as usize, number);
    }
    let capacity = u32::try_from(SOURCES).expect("few");
    assert_eq!(session.listen(None), Err(Unavailable::Sources { capacity }));
    let start = Instant::from_nanos(5);
    let mut all = session.connections(start);
    let numbers = || 0..u32::try_from(TIMERS).expect("few");
    for timer in numbers().rev() {
        let after = Duration::from_nanos(timer.into());
        assert_eq!(all.set_timer(timer, after), Ok(()));
    }
    let (timer, capacity) = (numbers().end, numbers().end);
    let none = Err(Unavailable::Timer { timer, capacity });
    assert_eq!(all.set_timer(timer, Duration::ZERO), none);
    assert_eq!(all.set_interval(timer, Duration::ZERO), none);
    session.handle_timeout(start.plus(Duration::from_secs(1)));
    assert_eq!(session.handler().0, numbers().collect::<Vec<_>>());
}

#[test]
fn there_is_as_much_of_each_as_the_memory_says() {
    has::<1, 0, 0>();
    has::<1, 1, 1>();
    has::<3, 2, 2>();
    has::<40, 60, 7>();
    has::<255, 17, 255>();
}

#[test]
fn it_may_be_whatever_owns_it() {
    let mut boxed = alloc::boxed::Box::new(Memory::<2, 64, 64, _, 1, 0>::new());
    for _ in 0..2 {
        let made = Session::new(&mut boxed, &Config::default(), Ticks::default());
        let mut session = made.expect("a session");
        assert!(session.listen(None).is_ok() && session.listen(None).is_err());
    }
}
