//! [`Program`]: the server that a script writes, taken literally. It does what the steps say, and nothing else.

use super::run::{Log, Player};
use super::script::{Script, Verb};
use super::system::{SysResult, System};
use super::watch::{Watch, Way};
use super::world::{World, shown};
use alloc::collections::VecDeque;
use tidegate::Trigger;
use tidegate_sim::{EpollFlags, Errno, Fd, Report};

/// Receives of one `drain`, at most: with a sender that does not stop, it would never end.
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
    pub(crate) fn new(mut world: World<S>, script: &Script, way: Way) -> SysResult<Self> {
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
        program.watch.poll(&mut program.world.system)?;
        Ok(program)
    }

    fn register(&mut self, fd: Fd, mask: EpollFlags) -> SysResult<()> {
        let data = u64::from(fd.0);
        self.watch.put(&mut self.world.system, fd, mask, data)
    }

    fn accept(&mut self) -> SysResult<usize> {
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
    fn perform(&mut self, verb: Verb, log: &mut Log) -> SysResult<()> {
        match verb {
            Verb::Wait => {
                self.wait(log)?;
            }
            Verb::Read { bytes, from } => {
                let received = self.read(bytes, from, log);
                if received == Err(Errno::AGAIN) && self.way == Way::Blocking {
                    self.blocked = Some(verb);
                }
            }
            Verb::Drain { bytes, from } => self.drain(verb, bytes, from, log),
            Verb::Accept => match self.accept() {
                Ok(client) => log.say(format!("accept: client {}", client + 1)),
                Err(Errno::AGAIN) if self.way == Way::Blocking => {
                    self.blocked = Some(verb);
                    log.say("accept: waits".into());
                }
                Err(errno) => log.say(format!("accept: {}", shown(&Err(errno)))),
            },
            Verb::Arm(client) => match self.world.number(client) {
                Some(fd) if self.world.owner(fd).is_some() => {
                    let armed = self.register(fd, self.mask);
                    log.say(armed.map_or_else(|errno| errno.to_string(), |()| "armed".into()));
                }
                Some(_) | None => log.say("not open".into()),
            },
            Verb::Close(client) => match self.world.number(client) {
                Some(fd) if self.world.owner(fd) == Some(client) => {
                    self.close(fd)?;
                    log.say(format!("close {}", client + 1));
                }
                Some(_) | None => log.say("not open".into()),
            },
            Verb::Serve(bytes) => self.serve(bytes, log)?,
        }
        Ok(())
    }

    fn wait(&mut self, log: &mut Log) -> SysResult<Vec<Report>> {
        let reports = self.watch.poll(&mut self.world.system)?;
        let listener = self.world.system.listener();
        let name = |data: u64| {
            let fd = Fd(u32::try_from(data).unwrap_or(u32::MAX));
            match self.world.owner(fd) {
                Some(client) => (client + 1).to_string(),
                None if fd == listener => "listener".to_owned(),
                None => "none".to_owned(),
            }
        };
        log.reported(self.watch.cost(), &reports, name);
        Ok(reports)
    }

    /// Receives once from the connection that now has this client's old descriptor number.
    fn read(&mut self, bytes: usize, from: usize, log: &mut Log) -> SysResult<Vec<u8>> {
        let Some(fd) = self.world.number(from) else {
            log.say("not accepted yet".into());
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
        log.say(text);
        received
    }

    fn drain(&mut self, verb: Verb, bytes: usize, from: usize, log: &mut Log) {
        for _ in 0..DRAINS {
            match self.read(bytes, from, log) {
                Ok(received) if !received.is_empty() => {}
                Err(Errno::AGAIN) if self.way == Way::Blocking => {
                    self.blocked = Some(verb);
                    return;
                }
                Ok(_) | Err(_) => return,
            }
        }
        self.captive = Some(from);
        log.say("and so on".into());
    }

    fn close(&mut self, fd: Fd) -> SysResult<()> {
        if self.way != Way::Blocking {
            self.watch.take(&mut self.world.system, fd)?;
        }
        self.world.close(fd, false)
    }

    /// One round of the text's program.
    fn serve(&mut self, bytes: usize, log: &mut Log) -> SysResult<()> {
        for report in self.wait(log)? {
            let fd = Fd(u32::try_from(report.data).unwrap_or(u32::MAX));
            if fd == self.world.system.listener() {
                match self.accept() {
                    Ok(client) => log.say(format!("accept: client {}", client + 1)),
                    Err(errno) => return self.die(errno, log),
                }
                continue;
            }
            let Some(client) = self.world.owner(fd) else {
                continue;
            };
            if report.flags != EpollFlags::IN {
                log.say(format!(
                    "not exactly IN: client {} is passed over",
                    client + 1
                ));
                continue;
            }
            match self.read(bytes, client, log) {
                Ok(received) if received.is_empty() => {
                    self.close(fd)?;
                    log.say(format!("close {}", client + 1));
                }
                Ok(_) => {}
                Err(errno) => return self.die(errno, log),
            }
        }
        Ok(())
    }

    /// The exception is not caught.
    fn die(&mut self, errno: Errno, log: &mut Log) -> SysResult<()> {
        self.dead = true;
        log.say(format!("{errno} is an exception: the program ends"));
        Ok(())
    }
}

impl<S: System> Player for Program<S> {
    type System = S;

    fn world(&mut self) -> &mut World<S> {
        &mut self.world
    }

    fn server(&mut self, verb: Verb, log: &mut Log) -> SysResult<()> {
        if self.dead {
            return Ok(());
        }
        if let Some(client) = self.captive {
            log.say(format!("still receives from client {}", client + 1));
            return Ok(());
        }
        if self.blocked.is_some() {
            self.behind.push_back(verb);
            log.say("still waits".into());
            return Ok(());
        }
        self.perform(verb, log)
    }

    /// A blocking receive comes back when there is something, and the program goes on from there.
    fn happened(&mut self, log: &mut Log) -> SysResult<()> {
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
            self.perform(verb, log)?;
        }
        Ok(())
    }

    fn go_on(&mut self, log: &mut Log) -> SysResult<()> {
        if self.dead || self.captive.is_some() || self.way == Way::Blocking {
            return Ok(());
        }
        self.perform(self.serves.map_or(Verb::Wait, Verb::Serve), log)
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
