//! The program's chat loses no line of a burst to listeners for which the kernel takes all of it, in every mode: the
//! sender yields to them.

use rustix::net::sockopt;
use std::net::TcpStream;
use std::thread;
use tests::bounded::Watchdog;
use tests::modes::MODES;
use tests::net::{Client, tcp};
use tests::process::Program;

/// Bytes that both kernel buffers of a connection on loopback hold together, by the limits of any Linux.
const BURST: usize = 200_000;

/// A listener that need not be scheduled for all of a burst to be taken.
fn listener(program: &Program) -> TcpStream {
    let socket = tcp(program.address());
    sockopt::set_socket_recv_buffer_size(&socket, 1 << 20).expect("a receive buffer");
    socket
}

fn burst(length: usize, talkers: usize) {
    for mode in MODES {
        let _bound = Watchdog::new();
        let options = ["--service", "chat", "--send-buffer", "1048576"];
        let mut program = Program::start(&mode.with(&options));
        let mut listeners = [listener(&program), listener(&program)];
        let talking: Vec<_> = (0..talkers).map(|_| tcp(program.address())).collect();
        program.statistics_when("open", talkers as u64 + 2);
        let lines = BURST / talkers / length;
        let mut threads = Vec::new();
        for mut socket in talking {
            let line = ["x".repeat(length - 1), "\n".into()].concat();
            threads.push(thread::spawn(move || {
                socket.say(line.repeat(lines).as_bytes());
                socket.finish();
                // What the others send.
                socket.rest()
            }));
        }
        for listener in &mut listeners {
            let expected = ["x".repeat(length - 1), "\n".into()]
                .concat()
                .repeat(lines * talkers);
            let mut heard = vec![0; expected.len()];
            std::io::Read::read_exact(listener, &mut heard)
                .unwrap_or_else(|error| panic!("{mode}: {error}"));
            assert!(
                heard == expected.as_bytes(),
                "{mode}, lines of {length}, {talkers} talk"
            );
        }
        drop(listeners);
        for thread in threads {
            thread.join().expect("a talker");
        }
        assert_eq!(program.stop().code, Some(0));
    }
}

#[test]
fn a_burst_of_short_lines() {
    burst(100, 1);
}

#[test]
fn a_burst_of_long_lines() {
    burst(1000, 1);
}

#[test]
fn a_burst_of_several() {
    burst(100, 3);
}
