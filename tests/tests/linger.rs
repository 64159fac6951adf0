//! A long reply arrives whole, even if the client's input was left unread.

use core::time::Duration;
use std::io::Read;
use tests::bounded::Watchdog;
use tests::modes::MODES;
use tests::net::{Client, pattern, tcp};
use tests::server::{Running, memory};
use tidegate::{Config, Conn, Handler, Reason};

const ANSWER: usize = 300_000;

/// Replies to the first byte and reads no more.
struct Answer;

impl Handler for Answer {
    type State = ();

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        conn.send(&pattern(1, ANSWER)).expect("capacity");
        conn.finish();
    }
}

#[test]
fn it_gets_all_of_it() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let running = Running::start::<4, 1024, ANSWER>(mode, memory(), &Config::default(), Answer);
        let mut client = tcp(running.address());
        // The server reads the first 1,024 bytes; all else lies unread in the kernel when it has sent everything.
        client.say(&pattern(2, 20_000));
        let mut begin = vec![0; 1000];
        client.read_exact(&mut begin).expect("a beginning");
        // And more input comes after the server has begun to close.
        client.say(&pattern(3, 20_000));
        let rest = client.rest();
        assert!([begin, rest].concat() == pattern(1, ANSWER), "{mode}");
        client.say(b"late");
        drop(client);
        let stats = running.stats_when("it is closed", |stats| stats.open == 0);
        assert_eq!(stats.closed_by(Reason::Finished), 1);
    }
}

#[test]
fn its_patience_has_a_bound() {
    let _bound = Watchdog::new();
    for mode in MODES {
        // A client that goes on for ever is stopped by the count of bytes.
        let config = Config {
            linger_bytes: 10_000,
            linger: None,
            ..Config::default()
        };
        let running = Running::start::<4, 1024, ANSWER>(mode, memory(), &config, Answer);
        let mut client = tcp(running.address());
        client.say(b"?");
        assert!(client.rest() == pattern(1, ANSWER));
        client.say(&pattern(3, 10_000));
        running.stats_when("it is closed", |stats| stats.open == 0);

        // One that sends nothing and stays, by the deadline.
        let config = Config {
            linger: Some(Duration::from_millis(100)),
            ..Config::default()
        };
        let running = Running::start::<4, 1024, ANSWER>(mode, memory(), &config, Answer);
        let mut client = tcp(running.address());
        client.say(b"?");
        assert!(client.rest() == pattern(1, ANSWER));
        running.stats_when("it is closed", |stats| stats.open == 0);
    }
}
