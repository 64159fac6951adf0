//! Streams that are no sockets: pipes, pseudo-terminals, serial lines. Connections like any other, in every mode.

use core::time::Duration;
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr,
};
use std::fs::File;
use std::io::{Read as _, Write as _, pipe};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::thread;
use tests::bounded::{Watchdog, until};
use tests::modes::{MODES, Mode};
use tests::net::{Client as _, pattern, tcp};
use tests::process::Folder;
use tests::server::{AnyServer, deaf, memory, serve, server, turn_until};
use tests::terminal::{device, terminal};
use tidegate::{
    Bits, Config, Conn, Error, Fault, Flow, Handler, Ignored, Parity, Peer, Reason, Rs485, Serial,
    Stats, Token, Unavailable,
};

/// Forwards what it receives to one of the others, on request; else sends it back. Records its notices.
#[derive(Default)]
struct Switch {
    to: Option<Token>,
    paused: bool,
    opened: Vec<Peer>,
    closed: Vec<(Peer, Reason)>,
}

impl Handler for Switch {
    type State = ();

    fn opened(&mut self, conn: &mut Conn<'_>, state: &mut ()) {
        self.opened.push(conn.peer());
        if self.paused {
            conn.pause();
        }
        // What came before it was open waits.
        self.writable(conn, state);
    }

    fn readable(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        match self.to {
            Some(to) => pass_on(conn, to),
            None => {
                let data = conn.data();
                let n = data.len().min(conn.capacity());
                if conn.send(&data[..n]).is_ok() {
                    conn.consume(n);
                }
            }
        }
    }

    fn writable(&mut self, conn: &mut Conn<'_>, state: &mut ()) {
        let others: Vec<Token> = conn.connections().collect();
        let (to, own) = (self.to, conn.token());
        match to {
            Some(to) if to == own => others.into_iter().for_each(|from| {
                conn.with(from, |from| pass_on(from, to));
            }),
            _ => self.readable(conn, state),
        }
    }

    fn ended(&mut self, conn: &mut Conn<'_>, (): &mut ()) {
        if let Some(to) = self.to {
            conn.with(to, |to| to.finish());
        }
        conn.finish();
    }

    fn closed(&mut self, conn: &mut Conn<'_>, (): &mut (), reason: Reason) {
        self.closed.push((conn.peer(), reason));
    }
}

fn pass_on(from: &mut Conn<'_>, to: Token) {
    let data = from.data();
    let sent = from.with(to, |to| {
        let n = data.len().min(to.capacity());
        let sent = to.send(&data[..n]).map_or(0, |()| n);
        to.want_capacity(data.len() - sent);
        sent
    });
    from.consume(sent.unwrap_or(0));
    if from.data().is_empty() {
        from.resume();
    } else {
        from.pause();
    }
}

/// As many as a memory has unless it says otherwise.
const STREAMS: usize = 16;

fn switch(mode: Mode) -> AnyServer<Switch> {
    deaf::<{ STREAMS + 2 }, 1024, 1024, _>(mode, memory(), &Config::default(), Switch::default())
}

fn gone(n: u64) -> impl Fn(&Stats) -> bool {
    move |stats| stats.closed_total() + stats.connect_failures >= n
}

/// Bytes that may be buffered between a writer and a reader: two pipes as large as pipes are, and the two windows.
const HELD: usize = 2 * 64 * 1024 + 2 * 1024;

#[test]
fn a_full_pipe_holds_the_other_back_and_all_comes_in_order() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let (from, mut writer) = pipe().expect("a pipe");
        let (mut reader, to) = pipe().expect("a pipe");
        let mut server = switch(mode);
        server.attach(from, 1).expect("a stream");
        let to = server.attach(to, 2).expect("a stream");
        server.session_mut().handler_mut().to = Some(to);
        let said = pattern(7, 1_000_000);
        serve(&mut server, || {
            // Without a reader: sooner or later no more is taken.
            ioctl_fionbio(&writer, true).expect("non-blocking");
            let (mut sent, mut quiet) = (0, 0);
            while quiet < 20 {
                match writer.write(&said[sent..]) {
                    Ok(n) => (sent, quiet) = (sent + n, 0),
                    Err(_) => {
                        quiet += 1;
                        thread::sleep(Duration::from_millis(1));
                    }
                }
            }
            assert!(sent <= HELD, "{mode}: {sent} bytes are buffered");
            ioctl_fionbio(&writer, false).expect("blocking");
            thread::scope(|scope| {
                let rest = &said[sent..];
                scope.spawn(move || {
                    writer.write_all(rest).expect("all of it");
                    drop(writer);
                });
                let mut heard = Vec::new();
                reader.read_to_end(&mut heard).expect("an end");
                assert!(heard == said, "{mode}: {} bytes", heard.len());
            });
        });
        turn_until(&mut server, "both are closed", gone(2));
        let handler = server.session().handler();
        assert_eq!(handler.opened, [Peer::Stream(1), Peer::Stream(2)], "{mode}");
        let (one, other) = (
            (Peer::Stream(1), Reason::PeerFinished),
            (Peer::Stream(2), Reason::Finished),
        );
        assert!(handler.closed.contains(&one) && handler.closed.contains(&other));
        assert_eq!(server.repairs(), 0, "{mode}");
    }
}

#[test]
fn a_pipe_without_a_reader_ends_its_connection_alone() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let (reader, to) = pipe().expect("a pipe");
        let handler = Switch::default();
        let (mut server, address) =
            server::<4, 1024, 1024, _>(mode, memory(), &Config::default(), handler);
        let to = server.attach(to, 0).expect("a stream");
        drop(reader);
        turn_until(&mut server, "it is opened", |stats| stats.connected == 1);
        server
            .session_mut()
            .with(to, |_, to, ()| to.send(b"into the void"));
        turn_until(&mut server, "it is closed", gone(1));
        match server.session().handler().closed[..] {
            [(Peer::Stream(0), Reason::Failed(fault))] => {
                assert_eq!(fault, Fault::Reset(32), "{mode}");
            }
            ref other => panic!("{mode}: {other:?}"),
        }
        // No signal has ended us, and others are served.
        serve(&mut server, || {
            let mut client = tcp(address);
            client.echo(b"served");
            client.finish();
            assert_eq!(client.rest(), b"");
        });
    }
}

#[test]
fn a_serial_line_talks_until_its_other_end_goes_and_can_be_opened_again() {
    let _bound = Watchdog::new();
    let folder = Folder::new("streams");
    for mode in MODES {
        let (mut far, path) = terminal();
        let device = folder.path(&format!("{mode}"));
        symlink(path, &device).expect("a link");
        let mut server = switch(mode);
        let line = server.serial(&Serial::at(&device)).expect("a line");
        let said = pattern(3, 20_000);
        for round in 1..=2 {
            server.connect(line).expect("a place");
            // While the device is not open, its other end reads as hung up.
            turn_until(&mut server, "it is opened", |stats| {
                stats.connected == round
            });
            serve(&mut server, || {
                far.hear_back(&said);
            });
            // Ours goes; theirs is there for the next.
            let token = server.connections().tokens().next().expect("the line");
            server.connections().finish(token);
            turn_until(&mut server, "it is closed", gone(round));
        }
        server.connect(line).expect("a place");
        turn_until(&mut server, "it is opened", |stats| stats.connected == 3);
        drop(far);
        turn_until(&mut server, "it is closed", gone(3));
        let finished = (Peer::Stream(0), Reason::Finished);
        let expected = [finished, finished, (Peer::Stream(0), Reason::PeerFinished)];
        assert_eq!(server.session().handler().closed, expected, "{mode}");
        // The number of a pseudo-terminal that is gone may be another's at once.
        std::fs::remove_file(&device).expect("a link");
        server.connect(line).expect("a place");
        turn_until(&mut server, "it is refused", gone(4));
        let (_, reason) = server.session().handler().closed[3];
        assert!(
            matches!(reason, Reason::Failed(Fault::Refused(_))),
            "{mode}: {reason:?}"
        );
        assert_eq!(server.repairs(), 0, "{mode}");
    }
}

/// The far end of a line that sends back.
trait HearBack {
    fn hear_back(&mut self, said: &[u8]);
}

impl HearBack for File {
    fn hear_back(&mut self, said: &[u8]) {
        for piece in said.chunks(500) {
            self.write_all(piece).expect("capacity");
            let mut heard = vec![0; piece.len()];
            self.read_exact(&mut heard).expect("what was said");
            assert!(heard == piece);
        }
    }
}

#[test]
fn of_a_terminal_that_is_not_open_any_more_eio_is_eof() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let (far, path) = terminal();
        let near = device(&path);
        let mut server = switch(mode);
        server.attach(far, 0).expect("a stream");
        let mut near = File::from(near);
        serve(&mut server, || near.hear_back(b"over the wire"));
        near.write_all(b"the last words").expect("capacity");
        drop(near);
        turn_until(&mut server, "it is closed", gone(1));
        assert_eq!(server.stats().bytes_in, 13 + 14, "{mode}");
        let closed = &server.session().handler().closed;
        assert_eq!(closed[0], (Peer::Stream(0), Reason::PeerFinished), "{mode}");
    }
}

#[test]
fn an_unwanted_hang_up_is_not_reported_repeatedly() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let (far, path) = terminal();
        let mut server = switch(mode);
        server.session_mut().handler_mut().paused = true;
        let line = server.serial(&Serial::at(&path)).expect("a line");
        let token = server.connect(line).expect("a place");
        turn_until(&mut server, "it is opened", |stats| stats.connected == 1);
        drop(far);
        // Level mode disarms what is reported spuriously, the others report it only once.
        until("nothing is queued, nothing is armed that tells", || {
            server.turn(Some(Duration::ZERO)).expect("a wait");
            let told = |(of, ..): (Token, _, _)| of == token;
            let armed = server.session().armed().any(told);
            !server.session().machine().has_work()
                && (!armed || mode.trigger != tidegate::Trigger::Level)
        });
        server
            .session_mut()
            .with(token, |_, line, ()| line.resume());
        turn_until(&mut server, "it is closed", gone(1));
        let closed = &server.session().handler().closed;
        assert_eq!(closed[0], (Peer::Stream(0), Reason::PeerFinished), "{mode}");
    }
}

/// Gets an EOF, and does nothing about it.
#[derive(Default)]
struct Unmoved {
    ended: u32,
    closed: Vec<Reason>,
}

impl Handler for Unmoved {
    type State = ();

    fn ended(&mut self, _: &mut Conn<'_>, (): &mut ()) {
        self.ended += 1;
    }

    fn closed(&mut self, _: &mut Conn<'_>, (): &mut (), reason: Reason) {
        self.closed.push(reason);
    }
}

/// A server in which nothing is closed because of time.
fn unmoved(mode: Mode) -> (AnyServer<Unmoved>, core::net::SocketAddr) {
    let config = Config {
        first_byte: None,
        idle: None,
        half_closed: None,
        ..Config::default()
    };
    server::<4, 1024, 1024, _>(mode, memory(), &config, Unmoved::default())
}

#[test]
fn what_hangs_up_both_ways_is_closed_though_its_handler_does_nothing() {
    let _bound = Watchdog::new();
    let folder = Folder::new("streams");
    for mode in MODES {
        let (mut server, _) = unmoved(mode);
        let socket = folder.path(&format!("{mode}"));
        let unix = tidegate::Listen::on(tidegate::Address::Unix(&socket));
        server.listen(&unix).expect("listening");
        // A serial line that is unplugged, with something sent before and without.
        for said in [&b""[..], b"the last words"] {
            let (mut far, path) = terminal();
            let line = server.serial(&Serial::at(&path)).expect("a line");
            server.connect(line).expect("a place");
            turn_until(&mut server, "it is opened", |stats| stats.open == 1);
            far.write_all(said).expect("capacity");
            let heard = server.stats().bytes_in;
            let all = heard + said.len() as u64 * u64::from(heard == 0);
            turn_until(&mut server, "it is heard", |stats| stats.bytes_in >= all);
            drop(far);
            turn_until(&mut server, "it is closed", |stats| stats.open == 0);
        }
        // The other end of one.
        let (far, path) = terminal();
        server.attach(far, 0).expect("a stream");
        let near = device(&path);
        turn_until(&mut server, "it is opened", |stats| stats.open == 1);
        drop(near);
        turn_until(&mut server, "it is closed", |stats| stats.open == 0);
        // A pipe that is read.
        let (from, to) = pipe().expect("a pipe");
        server.attach(from, 0).expect("a stream");
        turn_until(&mut server, "it is opened", |stats| stats.open == 1);
        drop(to);
        turn_until(&mut server, "it is closed", |stats| stats.open == 0);
        // A socket whose peer has closed it, which a Unix socket detects.
        let client = UnixStream::connect(&socket).expect("a connection");
        turn_until(&mut server, "it is opened", |stats| stats.open == 1);
        drop(client);
        turn_until(&mut server, "it is closed", |stats| stats.open == 0);
        // One whose peer first sends FIN, and later closes.
        let client = UnixStream::connect(&socket).expect("a connection");
        turn_until(&mut server, "it is opened", |stats| stats.open == 1);
        client.shutdown(std::net::Shutdown::Write).expect("its end");
        until("it is told of the end", || {
            server.turn(Some(Duration::ZERO)).expect("a wait");
            server.session().handler().ended == 6
        });
        drop(client);
        turn_until(&mut server, "it is closed", |stats| stats.open == 0);
        // A pipe that is written, and has nothing to write.
        let (from, to) = pipe().expect("a pipe");
        server.attach(to, 0).expect("a stream");
        turn_until(&mut server, "it is opened", |stats| stats.open == 1);
        drop(from);
        turn_until(&mut server, "it is closed", |stats| stats.open == 0);
        let handler = server.session().handler();
        let (last, others) = handler.closed.split_last().expect("all");
        assert_eq!(others, [Reason::PeerFinished; 6], "{mode}");
        assert_eq!((last, handler.ended), (&Reason::Finished, 6), "{mode}");
        assert_eq!(server.repairs(), 0, "{mode}");
    }
}

#[test]
fn what_has_only_sent_its_end_can_still_be_sent_to() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let (mut server, address) = unmoved(mode);
        let mut client = tcp(address);
        client.finish();
        turn_until(&mut server, "it is opened", |stats| stats.open == 1);
        until("it is told of the end", || {
            server.turn(Some(Duration::ZERO)).expect("a wait");
            server.session().handler().ended == 1
        });
        // Every query is made by then.
        until("nothing is queued", || {
            server.turn(Some(Duration::ZERO)).expect("a wait");
            !server.session().machine().has_work()
        });
        let token = server.connections().tokens().next().expect("it is there");
        let sent = server.connections().send_to(token, b"still here");
        assert_eq!(sent, Ok(()), "{mode}");
        serve(&mut server, || client.hear(b"still here"));
        assert_eq!(server.session().handler().closed, [], "{mode}");
    }
}

#[test]
fn what_is_no_stream_is_refused_with_its_reason() {
    let _bound = Watchdog::new();
    let mut server = switch(MODES[0]);
    for path in ["/proc/self/exe", "/", "/dev/null"] {
        let file = File::open(path).expect("a file");
        assert_eq!(server.attach(file, 0), Err(Error::NotPollable));
    }
    let (socket, _other) = UnixStream::pair().expect("a pair");
    assert_eq!(server.attach(socket, 0), Err(Error::IsSocket));
    let (far, path) = terminal();
    let mut settings = rustix::termios::tcgetattr(&far).expect("settings");
    settings.special_codes[rustix::termios::SpecialCodeIndex::VMIN] = 0;
    let now = rustix::termios::OptionalActions::Now;
    rustix::termios::tcsetattr(&far, now, &settings).expect("settable");
    assert_eq!(server.attach(device(&path), 0), Err(Error::Polled));
    let mut held = Vec::new();
    for _ in 0..STREAMS {
        let (from, to) = pipe().expect("a pipe");
        server.attach(from, 0).expect("a place");
        held.push(to);
    }
    let (from, _to) = pipe().expect("a pipe");
    let capacity = u32::try_from(STREAMS).expect("few");
    let full = Err(Error::Unavailable(Unavailable::Streams { capacity }));
    assert_eq!(server.attach(from, 0), full);
    // A slot that is freed is there for the next.
    held.clear();
    turn_until(&mut server, "all are closed", gone(STREAMS as u64));
    let (from, _to) = pipe().expect("a pipe");
    server.attach(from, 0).expect("a place");
}

/// What a pseudo-terminal has none of.
const UNUSUAL: Serial<'_> = Serial {
    bits: Bits::Seven,
    parity: Parity::Even,
    dtr: Some(true),
    rs485: Some(Rs485 {
        rts_on_send: true,
        rts_after_send: false,
        receive_while_sending: false,
        delay_before_ms: 0,
        delay_after_ms: 0,
    }),
    ..Serial::at("")
};

#[test]
fn what_the_driver_does_not_take_is_named_and_the_line_opens_all_the_same() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let (mut far, path) = terminal();
        let mut server = switch(mode);
        let unusual = Serial {
            path: &path,
            ..UNUSUAL
        };
        let ignored = Ignored::DATA_BITS | Ignored::PARITY | Ignored::DTR | Ignored::RS485;
        for (serial, expected) in [(unusual, ignored), (Serial::at(&path), Ignored::NONE)] {
            let line = server.serial(&serial).expect("a line");
            let token = server.connect(line).expect("a place");
            turn_until(&mut server, "it is opened", |stats| stats.open == 1);
            let info = server.connections().info(token).expect("it is open");
            assert_eq!(info.ignored, expected, "{mode}");
            serve(&mut server, || far.hear_back(b"it works"));
            server.connections().finish(token);
            turn_until(&mut server, "it is closed", |stats| stats.open == 0);
        }
    }
}

#[test]
fn nothing_of_a_former_program_stays_and_a_line_can_be_set_while_it_is_open() {
    let _bound = Watchdog::new();
    let (far, path) = terminal();
    let mut left = tcgetattr(&far).expect("settings");
    left.local_modes = LocalModes::ECHO | LocalModes::ICANON;
    left.input_modes = InputModes::ISTRIP | InputModes::INPCK | InputModes::ICRNL;
    left.control_modes |= ControlModes::CMSPAR | ControlModes::PARODD | ControlModes::CSTOPB;
    left.special_codes[SpecialCodeIndex::VMIN] = 0;
    left.special_codes[SpecialCodeIndex::VTIME] = 9;
    tcsetattr(&far, OptionalActions::Now, &left).expect("settable");
    let mut server = switch(MODES[0]);
    let line = server.serial(&Serial::at(&path)).expect("a line");
    let token = server.connect(line).expect("a place");
    turn_until(&mut server, "it is opened", |stats| stats.connected == 1);
    let set = tcgetattr(&far).expect("settings");
    assert!(set.local_modes.is_empty() && set.input_modes.is_empty());
    let frame = ControlModes::CMSPAR | ControlModes::PARODD | ControlModes::CSTOPB;
    assert!(!set.control_modes.intersects(frame));
    assert_eq!(set.special_codes[SpecialCodeIndex::VMIN], 1);
    assert_eq!(set.special_codes[SpecialCodeIndex::VTIME], 0);
    let open = server.line(token).expect("it is open");
    let other = Serial {
        speed: 250_000,
        two_stop_bits: true,
        flow: Flow::Software,
        ..UNUSUAL
    };
    let ignored = open.set(&other).expect("settable");
    assert!(ignored.contains(Ignored::PARITY) && !ignored.contains(Ignored::STOP_BITS));
    let set = tcgetattr(&far).expect("settings");
    assert_eq!(set.output_speed(), 250_000);
    assert!(set.control_modes.contains(ControlModes::CSTOPB));
    assert!(
        set.input_modes
            .contains(InputModes::IXON | InputModes::IXOFF)
    );
    // A pseudo-terminal has no wires, and returns an error.
    let no_wires = open.modem().expect_err("no modem");
    assert!(
        matches!(no_wires.errno(), Some(Errno::NOTTY | Errno::INVAL)),
        "{no_wires}"
    );
    assert!(open.set_dtr(true).is_err() && open.set_rts(false).is_err());
    open.purge(true, true).expect("the device is there");
    assert!(server.line(token).is_some());
    server.connections().finish(token);
    turn_until(&mut server, "it is closed", gone(1));
    assert!(server.line(token).is_none(), "it is closed");
}

#[test]
fn a_line_that_is_open_is_ours_alone() {
    let _bound = Watchdog::new();
    let (_far, path) = terminal();
    let mut server = switch(MODES[0]);
    let line = server.serial(&Serial::at(&path)).expect("a line");
    server.connect(line).expect("a place");
    turn_until(&mut server, "it is opened", |stats| stats.connected == 1);
    match open_again(&path) {
        Err(errno) => assert_eq!(errno, Errno::BUSY),
        // The privileged may, but it is marked all the same.
        Ok(line) => assert!(is_exclusive(&line)),
    }
}

fn open_again(path: &str) -> Result<OwnedFd, Errno> {
    use rustix::fs::{Mode, OFlags, open};
    open(path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty())
}

/// `TIOCGEXCL` (`ioctl_tty(2)`).
fn is_exclusive(line: &OwnedFd) -> bool {
    use rustix::ioctl::{Getter, ioctl, opcode};
    const TIOCGEXCL: rustix::ioctl::Opcode = opcode::read::<core::ffi::c_int>(b'T', 0x40);
    // SAFETY: TIOCGEXCL writes one int through its pointer, and nothing else.
    let exclusive = unsafe { ioctl(line.as_fd(), Getter::<TIOCGEXCL, core::ffi::c_int>::new()) };
    exclusive.expect("a terminal") != 0
}
