//! The bodies of the small fuzz targets: [`token`] and [`escape`].

use alloc::string::ToString;
use tidegate_core::{
    Action, Config, Directions, Dispatcher, Escaped, Event, Fault, Instant, Op, Outcome, Table,
    Token, Windows,
};

/// Takes the bytes as words that come back from a kernel: each survives the way to a token and back, and passed to a
/// machine with a listener and a connection it changes nothing unless it is the name of one of them.
///
/// # Panics
///
/// When that does not hold.
pub fn token(data: &[u8]) {
    let mut table = Box::new(Table::<4>::new());
    let windows = Windows {
        receive: 8,
        send: 8,
    };
    let now = Instant::from_nanos(1);
    let mut machine = Dispatcher::new(&mut table, &Config::default(), windows).expect("sound");
    let listener = machine.listen(None).expect("a slot");
    let connection = accept(&mut machine, listener);
    while machine.poll_output().is_some() {}
    for word in data.chunks(8) {
        let mut bytes = [0; 8];
        bytes[..word.len()].copy_from_slice(word);
        let named = Token::from_bits(u64::from_le_bytes(bytes));
        assert_eq!(named.to_bits(), u64::from_le_bytes(bytes));
        assert_eq!(Token::from_bits(named.to_bits()), named);
        assert_eq!(named.is_listener(), named.to_bits() & (1 << 31) != 0);
        if named == listener || named == connection {
            continue;
        }
        let stale = machine.stats().stale;
        bring(&mut machine, now, named);
        assert_eq!(machine.stats().stale, stale + 2, "{named:?} names nothing");
        assert_eq!(machine.poll_output(), None, "{named:?} had an effect");
        assert!(machine.info(named).is_none());
        assert!(!machine.has_work());
        assert!(machine.connections().eq([connection]));
    }
}

/// A connection, with its slot armed and at rest.
fn accept(machine: &mut Dispatcher<'_>, listener: Token) -> Token {
    let now = Instant::ZERO;
    machine.handle_timeout(now);
    machine.handle_event(
        now,
        Event::Ready {
            token: listener,
            directions: Directions::READ,
            closing: false,
        },
    );
    loop {
        let action = machine.poll_output().expect("an action");
        if let Action::Accept { token, .. } = action {
            answer(machine, token, Op::Accept, Outcome::Accepted(None));
        } else if let Action::Recv { token, .. } = action {
            answer(machine, token, Op::Recv, Outcome::Drained(0));
            return token;
        }
    }
}

fn answer(machine: &mut Dispatcher<'_>, token: Token, op: Op, outcome: Outcome) {
    machine.handle_event(Instant::ZERO, Event::Done { token, op, outcome });
}

/// Every input with a token: two events that count as stale, and calls that count as nothing.
fn bring(machine: &mut Dispatcher<'_>, now: Instant, token: Token) {
    let report = Event::Ready {
        token,
        directions: Directions::BOTH,
        closing: true,
    };
    assert_eq!(machine.handle_event(now, report), None);
    let outcome = Outcome::Failed(Fault::Reset(104));
    let op = Op::Recv;
    let answer = Event::Done { token, op, outcome };
    assert_eq!(machine.handle_event(now, answer), None);
    machine.consume(token, 1);
    machine.commit(token, 1);
    machine.want_capacity(token, 1);
    machine.pause(token);
    machine.resume(token);
    machine.finish(token);
    machine.abort(token);
}

/// Shows the bytes as the program does: what comes out is printable ASCII, no longer than four for each byte shown, and
/// can be read back.
///
/// # Panics
///
/// When that does not hold.
pub fn escape(data: &[u8]) {
    let shown = Escaped(data).to_string();
    assert!(shown.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    assert!(shown.len() <= 4 * Escaped::SHOWN);
    let mut back = Vec::new();
    let mut rest = shown.as_str();
    while let Some(first) = rest.chars().next() {
        if first == '\\' {
            let hex = rest.get(2..4).expect("two digits");
            assert!(rest.starts_with(r"\x"));
            back.push(u8::from_str_radix(hex, 16).expect("a number"));
            rest = &rest[4..];
        } else {
            back.push(u8::try_from(first).expect("ASCII"));
            rest = &rest[1..];
        }
    }
    assert_eq!(back, data[..data.len().min(Escaped::SHOWN)]);
}
