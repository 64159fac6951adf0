//! The state of a telnet client: its telnet, and the notifications that it wants.

use super::bridge::REPLY_MAX;
use super::rfc2217::{
    self, Command, Notify, Reply, Step, Switched, Wire, line_changed, line_now, modem_changed,
    modem_now,
};
use super::telnet::{self, AYT, BRK, Event, Options, Parser};
use super::work::{Job, Work};
use tidegate::{Conn, Counts, Modem, Serial, Token};

/// What is to be done about a client's data.
pub(crate) enum Heard<'a> {
    /// Bytes for the line.
    Data(&'a [u8]),
    /// A reply, as bytes.
    Say(Vec<u8>),
    /// Something is to be done to the line first.
    Do(Job),
    /// A break of the usual length.
    Break,
    /// It resumes the line's data.
    Resume,
    Nothing,
}

/// The port of a telnet client.
pub(crate) struct Port {
    parser: Parser,
    options: Options,
    /// A job for it is to be done first.
    pub(crate) waits: bool,
    /// It wants no data for now.
    suspended: bool,
    line_mask: u8,
    modem_mask: u8,
    wires: Switched,
    /// The state that was sent last.
    modem: Option<Modem>,
    counts: Option<Counts>,
}

impl Port {
    /// A port whose wires are as `set` has them.
    pub(crate) fn new(set: &Serial<'_>) -> Self {
        Self {
            parser: Parser::new(),
            options: Options::offered(),
            waits: false,
            suspended: false,
            line_mask: 0,
            modem_mask: 255,
            wires: Switched {
                dtr: set.dtr.unwrap_or(true),
                rts: set.rts.unwrap_or(true),
                broken: false,
            },
            modem: None,
            counts: None,
        }
    }

    /// The next item of the client's input, and its length in bytes. Data is at most `capacity` bytes.
    pub(crate) fn hear<'a>(
        &mut self,
        data: &'a [u8],
        capacity: usize,
        now: &Serial<'static>,
    ) -> (usize, Heard<'a>) {
        let binary = self.options.receives_binary();
        let (n, event) = self.parser.next(data, capacity, binary);
        let command = match event {
            Event::Data(bytes) => return (n, Heard::Data(bytes)),
            Event::Nothing => return (n, Heard::Nothing),
            Event::Option(verb, option) => {
                let reply = self.options.hear(verb, option);
                return (
                    n,
                    reply.map_or(Heard::Nothing, |bytes| Heard::Say(bytes.into())),
                );
            }
            Event::Command(BRK) => return (n, Heard::Break),
            Event::Command(AYT) => return (n, Heard::Say(b"\r\n[yes]\r\n".into())),
            Event::Command(_) => return (n, Heard::Nothing),
            Event::Sub(sub) => Command::of(sub),
        };
        let heard = command.map(|command| self.take(rfc2217::step(command, now, self.wires)));
        (n, heard.unwrap_or(Heard::Nothing))
    }

    fn take(&mut self, step: Step) -> Heard<'static> {
        let work = match step {
            Step::Nothing => return Heard::Nothing,
            Step::Reply(reply) => return Heard::Say(reply.bytes()),
            Step::Set { to, taken, refused } => {
                return Heard::Do(Job {
                    work: Work::Set(to),
                    done: Some(taken),
                    failed: Some(refused),
                });
            }
            Step::Switch { wire, on, reply } => {
                let (switched, work) = match wire {
                    Wire::Dtr => (&mut self.wires.dtr, Work::Dtr(on)),
                    Wire::Rts => (&mut self.wires.rts, Work::Rts(on)),
                    Wire::Break => (&mut self.wires.broken, Work::Break(on)),
                };
                *switched = on;
                (work, reply)
            }
            Step::Purge {
                input,
                output,
                reply,
            } => (Work::Purge { input, output }, reply),
            Step::Notify(notify, reply) => return self.notify(notify, reply),
        };
        let (work, reply) = work;
        Heard::Do(Job {
            work,
            done: Some(reply),
            // There may be no such wire, or buffer: nothing that the client could do about it.
            failed: Some(reply),
        })
    }

    fn notify(&mut self, notify: Notify, reply: Option<Reply>) -> Heard<'static> {
        match notify {
            Notify::LineMask(mask) => self.line_mask = mask,
            Notify::ModemMask(mask) => self.modem_mask = mask,
            Notify::LineNow | Notify::ModemNow => {
                return Heard::Do(Job::new(Work::Poll { now: true }));
            }
            Notify::Suspend => self.suspended = true,
            Notify::Resume => {
                self.suspended = false;
                return Heard::Resume;
            }
        }
        reply.map_or(Heard::Nothing, |reply| Heard::Say(reply.bytes()))
    }

    /// Forwards the line's data.
    pub(crate) fn say(&self, line: &mut Conn<'_>, client: Token) {
        let data = line.data();
        if self.suspended {
            return line.pause();
        }
        let taken = line.with(client, |client| {
            let capacity = client.capacity().saturating_sub(REPLY_MAX);
            let taken = telnet::escape(data, capacity, |piece| {
                // It fits: that was checked.
                let _ = client.send(piece);
            });
            if taken < data.len() {
                client.want_capacity(2 * (data.len() - taken) + REPLY_MAX);
            }
            taken
        });
        line.consume(taken.unwrap_or(0));
        if line.data().is_empty() {
            line.resume();
        } else {
            line.pause();
        }
    }

    /// What puts the wires back to what the command line has, where they were switched.
    pub(crate) fn restore(&self, wanted: &Serial<'_>) -> [Option<Work>; 3] {
        let (dtr, rts) = (wanted.dtr.unwrap_or(true), wanted.rts.unwrap_or(true));
        [
            self.wires.broken.then_some(Work::Break(false)),
            (self.wires.dtr != dtr).then_some(Work::Dtr(dtr)),
            (self.wires.rts != rts).then_some(Work::Rts(rts)),
        ]
    }

    /// The changes of wires and errors to send; `now`: the client asked.
    pub(crate) fn poll(&mut self, modem: Modem, counts: Counts, now: bool) -> Vec<u8> {
        if !self.options.has_port() {
            return Vec::new();
        }
        let seen = self.counts.replace(counts).unwrap_or(counts);
        let before = self.modem.replace(modem);
        let replies = if now {
            [Some(modem_now(modem)), Some(line_now(seen, counts))]
        } else {
            [
                modem_changed(before, modem, self.modem_mask),
                line_changed(seen, counts, self.line_mask),
            ]
        };
        replies
            .into_iter()
            .flatten()
            .flat_map(Reply::bytes)
            .collect()
    }
}
