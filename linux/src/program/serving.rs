//! Serving, from the first socket to the summary.

use super::Failure;
use super::arguments::{Options, number};
use super::lines::{self, LOG, OUTPUT};
use super::listening::{self, Opened, Plan, Waiting};
use super::manager::Manager;
use super::privileges::{Account, Identity};
use super::pulse::Pulse;
use super::recorder::{self, Recorded};
use super::recording;
use super::reserved::{self, AnyServer};
use super::services::ServiceName;
use super::{counters, descriptors, endpoints, inherited, logging, report, signals};
use core::fmt::Display;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::{Barrier, OnceLock};
use std::thread::{self, Builder, Scope, ScopedJoinHandle};
use std::time::Instant;
use tidegate_core::trace::Entry;

/// Stack of a thread that serves: many times what it uses.
const STACK: usize = 256 * 1024;

/// Some loop had no listener left that worked.
static UNREACHABLE: AtomicBool = AtomicBool::new(false);

/// The parameters of all threads.
#[derive(Debug)]
struct Orders<'o> {
    options: &'o Options,
    plan: Plan<'o>,
    opened: Opened,
    manager: Option<Manager>,
    began: Instant,
    /// A thread and its creator meet here when it is ready, or has failed.
    ready: Barrier,
    /// Set when all are ready, or none shall serve: no thread serves before.
    go: OnceLock<()>,
    failed: AtomicBool,
}

/// Serves until stopped. After the `listening on` lines nothing is allocated, and nothing but the loops waits.
pub(crate) fn serve(options: &Options) -> Result<(), Failure> {
    let began = Instant::now();
    let passed = inherited::take()?;
    (options.user.as_ref()).map_or(Ok(()), Identity::gain_nothing)?;
    // Before anything that takes its time: what comes earlier kills.
    signals::watch()?;
    let account = options.user.as_ref().map(Identity::find).transpose()?;
    lines::start(&options.log_to)?;
    logging::start(options.log);
    let manager = Manager::find();
    if let (Some(passed), 2..) = (passed.first(), options.threads) {
        return Err(Failure::System(format!(
            "{passed} of the service manager cannot be shared by --threads {}; ask for one thread",
            options.threads
        )));
    }
    let plan = Plan::new(options, began)?;
    let targets = endpoints::targets(&options.endpoints(!passed.is_empty()))?;
    let targets_beside = listening::targets_beside(options)?;
    descriptors::reserve(
        options.all_connections(),
        number(targets.len() + passed.len()) + options.listeners_beside(),
        options.threads,
    )?;
    counters::expect(options.threads);
    let mut server = reserved::server(0, options).map_err(|error| cannot("start", error))?;
    record(&mut server, options)?;
    reach(&server)?;
    let (mut opened, mut waiting) = (Opened::default(), Waiting::new());
    plan.open(&mut server, &targets, &mut opened, &mut waiting)?;
    plan.adopt(&mut server, passed, &mut opened)?;
    plan.open_others(&mut server, &targets_beside, &mut opened, &mut waiting)?;
    let orders = Orders {
        opened,
        options,
        plan,
        manager,
        began,
        ready: Barrier::new(2),
        go: OnceLock::new(),
        failed: AtomicBool::new(false),
    };
    let mut listeners = Listeners {
        waiting,
        known: 0,
        reloads: 0,
    };
    let served: Result<(), Failure> = thread::scope(|scope| {
        let others = start_others(scope, &orders);
        // Everything is open.
        let ready = others.is_ok().then(|| orders.get_ready(account.as_ref()));
        if !matches!(ready, Some(Ok(()))) {
            // Twice, so at once: no client has been notified.
            signals::stop_all();
            signals::stop_all();
        }
        orders.go.get_or_init(|| ());
        let first =
            ready.map(|ready| ready.and_then(|()| run(0, &mut server, &orders, &mut listeners)));
        // In order: what failed first, and then what that has led to.
        let all = others?.into_iter().map(join);
        first.into_iter().chain(all).collect()
    });
    drop(orders);
    served?;
    say_goodbye(began);
    if UNREACHABLE.load(Ordering::Relaxed) {
        return Err(Failure::System("no listener works any more".into()));
    }
    Ok(())
}

impl Orders<'_> {
    /// Gives up privileges, reports readiness, and prints the addresses.
    fn get_ready(&self, account: Option<&Account>) -> Result<(), Failure> {
        account.map_or(Ok(()), Account::assume)?;
        self.opened.announce();
        if let Some(manager) = &self.manager {
            manager.ready(&counters::total(), self.options.all_connections());
        }
        Ok(())
    }

    /// The pulse of a thread, if a manager listens.
    fn pulse(&self, thread: u32, server: &AnyServer) -> Option<Pulse<'_>> {
        let (manager, options) = (self.manager.as_ref(), self.options);
        let felt = manager.is_some() || options.metrics.is_some() || options.control.is_some();
        felt.then(|| Pulse::new(thread, server, manager, options.all_connections()))
    }
}

type Thread<'scope> = ScopedJoinHandle<'scope, Result<(), Failure>>;

/// Starts all threads but the first, one after the other; if one fails, those that have been started end.
fn start_others<'scope>(
    scope: &'scope Scope<'scope, '_>,
    orders: &'scope Orders<'_>,
) -> Result<Vec<Thread<'scope>>, Failure> {
    let mut others = Vec::new();
    for thread in 1..orders.options.threads {
        let builder = Builder::new()
            .name(format!("loop {thread}"))
            .stack_size(STACK);
        let started = builder
            .spawn_scoped(scope, move || be_another(thread, orders))
            .map_err(|error| cannot("start a thread", error));
        let failed = match started {
            Ok(other) => {
                orders.ready.wait();
                let failed = orders.failed.load(Ordering::Relaxed);
                others.push(other);
                failed.then(|| others.pop().map_or(Ok(()), join))
            }
            Err(failure) => Some(Err(failure)),
        };
        if let Some(failure) = failed {
            // What has been started is ended by the caller.
            failure?;
        }
    }
    Ok(others)
}

fn join(thread: Thread<'_>) -> Result<(), Failure> {
    // A panic ends the process.
    thread.join().unwrap_or(Ok(()))
}

/// What another thread does: it listens where the first does.
fn be_another(thread: u32, orders: &Orders<'_>) -> Result<(), Failure> {
    let options = orders.options;
    let opened = reserved::server(thread, options)
        .map_err(|error| cannot("start", error))
        .and_then(|mut server| {
            let known = orders.plan.open_again(&mut server, &orders.opened, 0)?;
            reach(&server)?;
            Ok((server, known))
        });
    orders.failed.store(opened.is_err(), Ordering::Relaxed);
    orders.ready.wait();
    let (mut server, known) = opened?;
    orders.go.wait();
    let mut listeners = Listeners {
        waiting: Waiting::new(),
        known,
        reloads: 0,
    };
    run(thread, &mut server, orders, &mut listeners)
}

/// Records what the server does from now on, if that was requested.
fn record(server: &mut AnyServer, options: &Options) -> Result<(), Failure> {
    if !options.record.path.is_empty() {
        let mut recording = recording::start(&options.record)?;
        let sink = move |entry: &Entry<'_>| recording.take(entry);
        let mut session = server.session_mut();
        session.record_to(Box::leak(Box::new(sink)));
        let service = (ServiceName::ALL.iter()).find(|(_, name)| *name == options.service);
        if let Some((name, _)) = service {
            session.note(&format!("service {name}"));
        }
    }
    Ok(())
}

/// Forwards signals to it.
fn reach(server: &AnyServer) -> Result<(), Failure> {
    let handle = server.stop_handle();
    signals::reach(handle.map_err(|error| cannot("start", error))?);
    Ok(())
}

/// Listeners of a thread that are still to come.
#[derive(Debug)]
struct Listeners<'t> {
    /// Of the first thread: those that wait for their address.
    waiting: Waiting<'t>,
    /// For another thread: how many of all addresses it has.
    known: usize,
    /// How often they were all tried at once (SIGHUP).
    reloads: u32,
}

impl Listeners<'_> {
    /// Opens those that are due.
    fn open_more(&mut self, thread: u32, server: &mut AnyServer, orders: &Orders<'_>) {
        if thread == 0 {
            let (plan, waiting) = (&orders.plan, &mut self.waiting);
            let reloads = signals::reloads();
            if reloads != self.reloads {
                self.reloads = reloads;
                waiting.retry_now();
                log::info!("SIGHUP: what is not there yet is tried again");
            }
            return plan.try_again(server, &orders.opened, waiting);
        }
        match orders.plan.open_again(server, &orders.opened, self.known) {
            Ok(known) => self.known = known,
            Err(failure) => {
                log::error!("loop {thread}: {failure}");
                self.known = orders.opened.count();
            }
        }
    }
}

/// One loop. If it cannot go on, none does.
fn run(
    thread: u32,
    server: &mut AnyServer,
    orders: &Orders<'_>,
    listeners: &mut Listeners<'_>,
) -> Result<(), Failure> {
    let began = orders.began;
    let mut pulse = orders.pulse(thread, server);
    let server = &mut Recorded { thread, server };
    let mut result = Ok(());
    while result.is_ok() && !server.is_stopped() {
        let longest = pulse.as_ref().and_then(Pulse::longest);
        let longest = [longest, listeners.waiting.longest()];
        let longest = longest.into_iter().flatten().min();
        let turned = server.turn(longest);
        result = turned.map_err(|error| cannot("go on", error));
        if let Some(pulse) = &mut pulse {
            pulse.iterated(server);
        }
        if counters::is_asked(thread) {
            counters::publish(thread, server, began.elapsed());
        }
        recorder::print_if_asked(thread, server);
        listeners.open_more(thread, server, orders);
        // A restart can mend it; a server that cannot be reached is of no use.
        let deaf = server.session().machine().listening() == 0
            && !signals::stop_wanted()
            && !orders.opened.is_waiting();
        if (deaf || result.is_err()) && !UNREACHABLE.swap(true, Ordering::Relaxed) {
            signals::stop_all();
        }
    }
    counters::end(thread, server, began.elapsed());
    result
}

/// Writes the summary and what is still queued, within a second, or at once after a second signal.
fn say_goodbye(began: Instant) {
    let patience = Duration::from_millis(if signals::in_a_hurry() { 50 } else { 1000 });
    let end = Instant::now() + patience;
    let output_end = end - patience / 4;
    // What cannot be written now is counted before the count is printed.
    OUTPUT.flush(output_end);
    report::summary(&OUTPUT, &counters::total(), began.elapsed());
    if !OUTPUT.flush(output_end) || OUTPUT.dropped() > 0 {
        let dropped = OUTPUT.dropped();
        log::warn!("standard output did not take everything: {dropped} lines dropped");
    }
    recording::finish(output_end);
    if let Some(lost @ 1..) = recording::lost() {
        log::warn!("--record: {lost} entries found no room and are missing");
    }
    LOG.flush(end);
}

fn cannot(what: &str, error: impl Display) -> Failure {
    Failure::System(format!("cannot {what}: {error}"))
}
