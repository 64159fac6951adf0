//! One byte at a time is as good as all at once.

use tests::bounded::Watchdog;
use tests::modes::MODES;
use tests::net::{Client, pattern, tcp};
use tests::server::{Echo, Running, memory};
use tidegate::Config;

#[test]
fn one_byte_per_segment() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let running = Running::start::<4, 256, 256>(mode, memory(), &Config::default(), Echo);
        let said = pattern(1, 1000);
        let mut client = tcp(running.address());
        // Each gets its reply before the next is sent, so that none is received together with another.
        for byte in &said {
            client.echo(&[*byte]);
        }
        // And as fast as it goes.
        for byte in &said {
            client.say(&[*byte]);
        }
        client.finish();
        assert!(client.rest() == said, "{mode}");
        let stats = running.stop();
        assert_eq!(
            (stats.bytes_in, stats.bytes_out, stats.unasked),
            (2000, 2000, 0)
        );
    }
}

#[test]
fn windows_of_one_byte() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let running = Running::start::<4, 1, 1>(mode, memory(), &Config::default(), Echo);
        let said = pattern(1, 3000);
        let mut client = tcp(running.address());
        client.say(&said);
        client.finish();
        assert!(client.rest() == said, "{mode}");
    }
}
