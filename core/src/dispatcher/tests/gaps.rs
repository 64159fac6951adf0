//! Gaps in time: the process was stopped, the machine suspended, a handler long. When it goes on, every deadline has
//! passed at once, and what came in time is still in the kernel, which has not reported it.

use super::*;
use crate::config::Class;
use crate::destination::Destination;
use alloc::format;

const SECOND: Duration = Duration::from_secs(1);
/// Longer than any deadline.
const AWAY: Duration = Duration::from_secs(3600);

/// Connections whose next deadline is of this class.
fn bench_of(trigger: Trigger, class: Class) -> (Bench, Token) {
    let mut bench = Bench::with(trigger);
    let token = match class {
        Class::FirstByte => bench.rest(),
        Class::Connect => {
            let to = Destination::Inet(bench.address());
            let token = bench.machine.connect(to, None).expect("a slot");
            bench.run();
            token
        }
        Class::Request
        | Class::WriteStall
        | Class::Congestion
        | Class::Idle
        | Class::HalfClosed
        | Class::Linger => bench.spoken(),
    };
    match class {
        Class::FirstByte | Class::Idle | Class::Connect => {}
        Class::Request => bench.hears(token, 10),
        Class::WriteStall => bench.stalled(token, 10),
        Class::Congestion => {
            bench.machine.commit(token, 10);
            bench.script(token, &[], &[NO_MEMORY]);
        }
        Class::HalfClosed => {
            bench.machine.shut_down(token);
            bench.run();
        }
        Class::Linger => {
            bench.machine.finish(token);
            bench.run();
        }
    }
    assert_eq!(bench.slot(token).class, Some(class));
    (bench, token)
}

/// What is in the kernel when it goes on, and is tried without an event: the connection lives.
#[test]
fn of_every_class_what_came_in_time_counts() {
    for trigger in TRIGGERS {
        for class in Class::ALL {
            let (mut bench, token) = bench_of(trigger, class);
            let context = format!("{trigger:?}, {class:?}");
            bench.now = bench.now.plus(AWAY);
            let mut came = Some(Outcome::Drained(5));
            let actions = bench.one_turn(|action| match action {
                Action::Recv { .. } if class == Class::Linger => Some(END),
                Action::Recv { .. } => came.take(),
                Action::Connect { .. } => Some(END),
                // The peer has taken all of it; memory is there again.
                Action::Unsent { .. } => Some(END),
                _ => None,
            });
            bench.machine.consume(token, 15);
            bench.run();
            let tried = kinds(&actions);
            match class {
                Class::FirstByte | Class::Request | Class::Idle | Class::HalfClosed => {
                    assert_eq!(bench.closed(token), None, "{context}: {tried:?}");
                    let due = bench.slot(token).deadline.since(bench.now);
                    assert!(due > SECOND, "{context}: it has its time again");
                }
                Class::Linger => {
                    assert_eq!(tried.first(), Some(&"recv"), "{context}: its end is read");
                    assert_eq!(bench.closed(token), Some(Reason::Finished), "{context}");
                }
                Class::Connect => {
                    assert_eq!(tried.first(), Some(&"connect"), "{context}");
                    assert!(bench.notices.contains(&Notice::Opened(token)), "{context}");
                }
                Class::WriteStall => {
                    assert_eq!(bench.closed(token), None, "{context}: {tried:?}");
                    let due = bench.slot(token).deadline.since(bench.now);
                    assert!(due >= 30 * SECOND, "{context}: it has its time again");
                }
                Class::Congestion => {
                    assert!(tried.contains(&"send"), "{context}: {tried:?}");
                    assert_eq!(bench.closed(token), None, "{context}");
                }
            }
        }
    }
}

/// The same for a peer of which nothing came, which one try finds out.
#[test]
fn of_every_class_silence_is_the_end_all_the_same() {
    for trigger in TRIGGERS {
        for class in Class::ALL {
            let (mut bench, token) = bench_of(trigger, class);
            let context = format!("{trigger:?}, {class:?}");
            let mut gaps = 0;
            while bench.closed(token).is_none() {
                bench.now = match class {
                    // They have their time after a gap.
                    Class::WriteStall if gaps > 0 => bench.now.plus(31 * SECOND - SECOND / 2),
                    Class::Congestion if gaps > 0 => bench.now.plus(Duration::from_millis(20)),
                    _ => bench.now.plus(AWAY),
                };
                let actions = bench.run_with(|action| match action {
                    Action::Send { .. } if class == Class::Congestion => Some(NO_MEMORY),
                    Action::Send { .. } => Some(BLOCKED),
                    Action::Unsent { .. } => Some(Outcome::Complete(10)),
                    _ => None,
                });
                assert!(actions.len() < 10, "{context}: {actions:?}");
                gaps += 1;
                let most = if class == Class::Congestion { 2000 } else { 4 };
                assert!(gaps < most, "{context}: no end");
            }
            let reason = bench.closed(token);
            match class {
                Class::Linger => assert_eq!(reason, Some(Reason::Finished), "{context}"),
                _ => assert_eq!(reason, Some(Reason::Deadline(class)), "{context}"),
            }
        }
    }
}

/// Of a driver that completes later (io_uring): what is in flight completes before it is judged.
#[test]
fn what_is_in_flight_is_waited_for() {
    for class in [Class::FirstByte, Class::Idle] {
        for comes in [true, false] {
            let (mut bench, token) = bench_of(Trigger::Level, class);
            bench.ready(token, READ);
            bench.outputs();
            bench.later(AWAY);
            bench.outputs();
            assert_eq!(bench.closed(token), None);
            if comes {
                bench.done(token, Op::Recv, Outcome::Complete(5));
                bench.machine.consume(token, 5);
            }
            bench.outputs();
            let closing = bench.slot(token).state().is_closing();
            assert_eq!(closing, !comes, "{class:?}");
            bench.answer_all();
            bench.run();
            assert_eq!(bench.closed(token).is_none(), comes, "{class:?}");
        }
    }
}

/// A request that trickles in after its time cannot go on beyond its window.
#[test]
fn a_request_is_over_though_bytes_of_it_go_on_coming() {
    let (mut bench, token) = bench_of(Trigger::Level, Class::Request);
    bench.later(31 * SECOND);
    let mut turns = 0;
    while bench.closed(token).is_none() {
        bench.ready(token, READ);
        let mut one = Some(Outcome::Drained(1));
        bench.one_turn(|action| match action {
            Action::Recv { .. } => one.take(),
            _ => None,
        });
        turns += 1;
        assert!(turns < 2 * WINDOWS.receive, "no end");
    }
}

/// The time of a stop has passed in the gap: what came is received and replied to, then all is closed.
#[test]
fn a_stop_replies_to_what_came_in_time() {
    for trigger in TRIGGERS {
        for spoken in [true, false] {
            let mut bench = Bench::with(trigger);
            let (token, idle) = (bench.rest(), bench.rest());
            if spoken {
                bench.hears(token, 5);
            }
            bench.machine.stop(bench.now.plus(10 * SECOND));
            bench.run();
            bench.now = bench.now.plus(11 * SECOND);
            let mut came = Some(Outcome::Drained(5));
            let mut sent = false;
            // Its application replies at once.
            for _ in 0..10 {
                bench.turn();
                while let Some(action) = bench.poll() {
                    let Some((of, op)) = asks(&action) else {
                        continue;
                    };
                    let outcome = match op {
                        Op::Recv if of == token => came.take().unwrap_or(BLOCKED),
                        _ => quiet(&action),
                    };
                    sent |= op == Op::Send;
                    if bench.done(of, op, outcome) == Some(Notice::Readable(token)) {
                        bench.machine.consume(token, 10);
                        bench.machine.commit(token, 3);
                    }
                }
            }
            assert!(sent, "{trigger:?}");
            for token in [token, idle] {
                assert_eq!(bench.closed(token), Some(Reason::Stopping), "{trigger:?}");
            }
            assert!(bench.machine.is_stopped());
        }
    }
}

/// A listener that paused for resource exhaustion accepts again at once.
#[test]
fn a_pause_of_a_listener_is_over() {
    let mut bench = Bench::level();
    bench.ready(bench.listener, READ);
    let shortage = |action: &Action| matches!(action, Action::Accept { .. }).then_some(NO_MEMORY);
    bench.run_with(shortage);
    bench.now = bench.now.plus(AWAY);
    bench.ready(bench.listener, READ);
    assert!(kinds(&bench.run()).contains(&"accept"));
}
