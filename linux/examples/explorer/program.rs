//! [`Program`]: the server that a script writes, taken at its word. It does what the steps say, and nothing else.

use super::run::{Player, Turned};
use super::script::{Script, Verb};
use super::system::{Answer, System};
use super::watch::{Watch, Way};
use super::world::{World, shown};
use alloc::collections::VecDeque;
use tidegate::Trigger;
use tidegate_sim::{EpollFlags, Errno, Fd, Report};

/// Receives of one `drain`, at most: whoever is still sending then would be received from for ever.
const DRAINS: usize = 16;

#[derive(Debug)]
pub(crate) struct Program<S> {
    world: World<S>,
    watch: Watch,
    way: Way,
    /// What connections are registered for, how included.
    mask: EpollFlags,
    /// What it goes on with when the script is over: the bytes of its last `serve`, if it has one.
    serves: Option<usize>,
    /// A blocking receive that has not come back, and what the program would do afterwards.
    blocked: Option<Verb>,
    behind: VecDeque<Verb>,
    /// A client that it does not get away from.
    captive: Option<usize>,
    /// It took bytes of one client for another's.
    mixed: bool,
    /// An error that it did not expect has ended it.
    dead: bool,
}

impl<S: System> Program<S> {
    /// The program, with every client connected that does not do so in a step, in the order of their numbers.
    pub(crate) fn new(mut world: World<S>, script: &Script, way: Way) -> Answer<Self> {
        let watch = Watch::new(way, &mut world.system)?;
        let how = match way {
            Way::Epoll(Trigger::Edge) => EpollFlags::ET,
            Way::Epoll(Trigger::Oneshot) => EpollFlags::ONESHOT,
            Way::Epoll(Trigger::Level)
            | Way::Blocking
            | Way::NonBlocking
            | Way::Select
            | Way::Poll => EpollFlags::NONE,
        };
        let mut program = Self {
            world,
            watch,
            way,
            mask: script.ask | how,
            serves: script.serves(),
            blocked: None,
            behind: VecDeque::new(),
            captive: None,
            mixed: false,
            dead: false,
        };
        let listener = program.world.system.listener();
        program.register(listener, EpollFlags::IN | how)?;
        for client in (0..script.clients).filter(|client| !script.connects(*client)) {
            program.world.act(client, super::script::Act::Connect)?;
            program.accept()?;
        }
        // Whatever that has reported is not the script's.
        program.watch.look(&mut program.world.system)?;
        Ok(program)
    }

    fn register(&mut self, fd: Fd, mask: EpollFlags) -> Answer<()> {
        let data = u64::from(fd.0);
        self.watch.put(&mut self.world.system, fd, mask, data)
    }

    fn accept(&mut self) -> Answer<usize> {
        let client = self.world.accept()?;
        let fd = self.world.number(client).ok_or(Errno::BADF)?;
        if self.way == Way::Blocking {
            self.world.system.make_blocking(fd)?;
        } else {
            self.register(fd, self.mask)?;
        }
        Ok(client)
    }

    /// One step.
    fn perform(&mut self, verb: Verb, turned: &mut Turned) -> Answer<()> {
        match verb {
            Verb::Wait => {
                self.wait(turned)?;
            }
            Verb::Read { bytes, from } => {
                let received = self.read(bytes, from, turned);
                if received == Err(Errno::AGAIN) && self.way == Way::Blocking {
                    self.blocked = Some(verb);
                }
            }
            Verb::Drain { bytes, from } => self.drain(verb, bytes, from, turned),
            Verb::Accept => match self.accept() {
                Ok(client) => turned.say(format!("accept: client {}", client + 1)),
                Err(Errno::AGAIN) if self.way == Way::Blocking => {
                    self.blocked = Some(verb);
                    turned.say("accept: waits".into());
                }
                Err(errno) => turned.say(format!("accept: {}", shown(&Err(errno)))),
            },
            Verb::Arm(client) => match self.world.number(client) {
                Some(fd) if self.world.owner(fd).is_some() => {
                    let armed = self.register(fd, self.mask);
                    turned.say(armed.map_or_else(|errno| errno.to_string(), |()| "armed".into()));
                }
                Some(_) | None => turned.say("not open".into()),
            },
            Verb::Close(client) => match self.world.number(client) {
                Some(fd) if self.world.owner(fd) == Some(client) => {
                    self.close(fd)?;
                    turned.say(format!("close {}", client + 1));
                }
                Some(_) | None => turned.say("not open".into()),
            },
            Verb::Serve(bytes) => self.serve(bytes, turned)?,
        }
        Ok(())
    }

    fn wait(&mut self, turned: &mut Turned) -> Answer<Vec<Report>> {
        let reports = self.watch.look(&mut self.world.system)?;
        let listener = self.world.system.listener();
        let who = |data: u64| {
            let fd = Fd(u32::try_from(data).unwrap_or(u32::MAX));
            match self.world.owner(fd) {
                Some(client) => (client + 1).to_string(),
                None if fd == listener => "listener".to_owned(),
                None => "nobody".to_owned(),
            }
        };
        turned.told(self.watch.cost(), &reports, who);
        Ok(reports)
    }

    /// Receives once from whoever has the number that was this client's.
    fn read(&mut self, bytes: usize, from: usize, turned: &mut Turned) -> Answer<Vec<u8>> {
        let Some(fd) = self.world.number(from) else {
            turned.say("not accepted yet".into());
            return Err(Errno::BADF);
        };
        let owner = self.world.owner(fd);
        let received = self.world.receive(fd, bytes);
        let mut text = format!("recv {bytes}: {}", shown(&received));
        match (&received, owner) {
            (Err(Errno::AGAIN), _) if self.way == Way::Blocking => {
                text = format!("recv {bytes}: waits for client {}", from + 1);
            }
            (Ok(bytes), Some(owner)) if owner != from && !bytes.is_empty() => {
                self.mixed = true;
                text += &format!(" of client {}, taken for client {}'s", owner + 1, from + 1);
            }
            _ => {}
        }
        turned.say(text);
        received
    }

    fn drain(&mut self, verb: Verb, bytes: usize, from: usize, turned: &mut Turned) {
        for _ in 0..DRAINS {
            match self.read(bytes, from, turned) {
                Ok(received) if !received.is_empty() => {}
                Err(Errno::AGAIN) if self.way == Way::Blocking => {
                    self.blocked = Some(verb);
                    return;
                }
                Ok(_) | Err(_) => return,
            }
        }
        self.captive = Some(from);
        turned.say("and so on".into());
    }

    fn close(&mut self, fd: Fd) -> Answer<()> {
        if self.way != Way::Blocking {
            self.watch.take(&mut self.world.system, fd)?;
        }
        self.world.close(fd, false)
    }

    /// One round of the text's program.
    fn serve(&mut self, bytes: usize, turned: &mut Turned) -> Answer<()> {
        for report in self.wait(turned)? {
            let fd = Fd(u32::try_from(report.data).unwrap_or(u32::MAX));
            if fd == self.world.system.listener() {
                match self.accept() {
                    Ok(client) => turned.say(format!("accept: client {}", client + 1)),
                    Err(errno) => return self.die(errno, turned),
                }
                continue;
            }
            let Some(client) = self.world.owner(fd) else {
                continue;
            };
            if report.flags != EpollFlags::IN {
                turned.say(format!(
                    "not exactly IN: client {} is passed over",
                    client + 1
                ));
                continue;
            }
            match self.read(bytes, client, turned) {
                Ok(received) if received.is_empty() => {
                    self.close(fd)?;
                    turned.say(format!("close {}", client + 1));
                }
                Ok(_) => {}
                Err(errno) => return self.die(errno, turned),
            }
        }
        Ok(())
    }

    /// Nobody catches the exception.
    fn die(&mut self, errno: Errno, turned: &mut Turned) -> Answer<()> {
        self.dead = true;
        turned.say(format!("{errno} is an exception: the program ends"));
        Ok(())
    }
}

impl<S: System> Player for Program<S> {
    type System = S;

    fn world(&mut self) -> &mut World<S> {
        &mut self.world
    }

    fn server(&mut self, verb: Verb, turned: &mut Turned) -> Answer<()> {
        if self.dead {
            return Ok(());
        }
        if let Some(client) = self.captive {
            turned.say(format!("still receives from client {}", client + 1));
            return Ok(());
        }
        if self.blocked.is_some() {
            self.behind.push_back(verb);
            turned.say("still waits".into());
            return Ok(());
        }
        self.perform(verb, turned)
    }

    /// A blocking receive comes back when there is something, and the program goes on from there.
    fn happened(&mut self, turned: &mut Turned) -> Answer<()> {
        let Some(verb) = self.blocked else {
            return Ok(());
        };
        let fd = match verb {
            Verb::Read { from, .. } | Verb::Drain { from, .. } => self.world.number(from),
            Verb::Accept => Some(self.world.system.listener()),
            Verb::Wait | Verb::Arm(_) | Verb::Close(_) | Verb::Serve(_) => None,
        };
        let fd = fd.ok_or(Errno::BADF)?;
        let ready = EpollFlags::IN | EpollFlags::RDHUP;
        if self.world.system.poll(&[(fd, ready)])? == [EpollFlags::NONE] {
            return Ok(());
        }
        self.blocked = None;
        self.behind.push_front(verb);
        while self.blocked.is_none()
            && self.captive.is_none()
            && let Some(verb) = self.behind.pop_front()
        {
            self.perform(verb, turned)?;
        }
        Ok(())
    }

    fn go_on(&mut self, turned: &mut Turned) -> Answer<()> {
        if self.dead || self.captive.is_some() || self.way == Way::Blocking {
            return Ok(());
        }
        self.perform(self.serves.map_or(Verb::Wait, Verb::Serve), turned)
    }

    fn acts_by_itself(&self) -> bool {
        self.serves.is_some()
    }

    fn failure(&self) -> Option<super::run::Verdict> {
        use super::run::Verdict;
        if self.captive.is_some() {
            Some(Verdict::Starves)
        } else if self.blocked.is_some() {
            Some(Verdict::Blocks)
        } else if self.dead {
            Some(Verdict::Dies)
        } else if self.mixed {
            Some(Verdict::Mixes)
        } else {
            None
        }
    }
}
