//! [`sim`]: a session with any peers, any faults and any handler over the simulated kernel, and it comes to its end.
//!
//! The input is a [`Case`](input::Case): a setup, a behaviour of the handler, and up to six scripts. The laws that can
//! be seen from outside are checked after every round; when faults stop and peers behave, all has to be quiet in
//! bounded time, and after `stop` nothing is left but the set. What fails is reduced and printed as a test.

mod app;
mod input;

pub use app::{App, Manner, State};
use core::net::SocketAddr;
use core::panic::AssertUnwindSafe;
use core::time::Duration;
pub use input::Case;
use std::panic::catch_unwind;
use tidegate_core::{Class, DatagramMemory, Fault, Memory, Reason};
use tidegate_sim::{Call, End, Errno, Faults, Scene, World};

/// Slots of the table; the setup says how many of them are used.
const N: usize = 4;
/// Bytes of a receive window.
const RX: usize = 32;
/// Bytes of a send window.
const TX: usize = 80;

/// Lets the bytes decide what a world is like and what its peers and its handler do, and runs it to its end.
///
/// # Panics
///
/// When a law is broken or something does not end; it prints the smallest test that it finds of it.
pub fn sim(data: &[u8]) {
    let case = Case::decode(data);
    let Err(what) = run(&case.scene, case.manner).1 else {
        return;
    };
    let fails = |scene: &Scene| {
        let (faults, result) = run(scene, case.manner);
        result.err().map(|_| faults)
    };
    let small = case.scene.shrink(fails);
    let memory = format!("Memory::<{N}, {RX}, {TX}, tests::State>::new()");
    let handler = format!("tests::App::new(tests::Manner::{:?})", case.manner);
    panic!("{what}\n{}", small.as_test(&memory, &handler));
}

/// A client that got a reply to the end was sent all that it had sent.
fn relayed(world: &World<'_, App>) -> Result<(), String> {
    for peer in world.peers().filter(|peer| peer.end() == End::Finished) {
        if !peer.sent().starts_with(peer.received()) {
            let (back, sent) = (peer.received().len(), peer.sent().len());
            return Err(format!("other bytes came back: {back} of {sent}"));
        }
    }
    Ok(())
}

/// Each connect to an address that never succeeds was ended: unless we ended it, or a call failed, or there was no
/// descriptor, by the error of that address, or the deadline if that is sooner.
fn ended(world: &World<'_, App>) -> Result<(), String> {
    let mut taken = world.kernel().faults.taken().iter();
    let faults = taken.any(|taken| {
        let calls = [
            Call::Connect,
            Call::EpollAdd,
            Call::EpollModify,
            Call::EpollDelete,
        ];
        calls.contains(&taken.call)
    });
    for (token, to, reason) in &world.handler().nowhere {
        let right = match reason {
            None => false,
            Some(Reason::Aborted | Reason::Finished | Reason::Stopping | Reason::Evicted) => true,
            Some(Reason::Deadline(class)) => {
                *class == Class::Connect && *to != World::<App>::UNREACHABLE
            }
            Some(Reason::Failed(fault)) => {
                let expected = if *to == World::<App>::UNREACHABLE {
                    Some(Errno::NETUNREACH)
                } else if *to == World::<App>::ABSENT {
                    Some(Errno::HOSTUNREACH)
                } else {
                    None
                };
                let code = Some(fault.code()) == expected.map(Errno::code);
                let right = code && matches!(fault, Fault::Unreachable(_));
                right || faults || matches!(fault, Fault::Exhausted(_))
            }
            Some(Reason::PeerFinished | Reason::TooLong) => false,
        };
        if !right {
            return Err(format!("{token:?}, to {to}: {reason:?}"));
        }
    }
    Ok(())
}

/// Every run has a datagram socket, which the printed test leaves out: some datagrams come while the peers begin, more
/// than fit if chance wants it so, and now and then a network error.
fn post(world: &mut World<'_, App>, seed: u64) -> Result<(), String> {
    for n in 0..u16::try_from(seed % 40).unwrap_or(0) {
        let from = SocketAddr::from(([192, 0, 2, 9], n));
        let bytes = vec![7; usize::from(n) * 5 % (RX + 8)];
        world.send_datagram(from, &bytes);
        if n % 8 == 5 {
            world.refuse_datagram();
        }
        if n % 3 == 0 {
            world.step().map_err(|broken| broken.to_string())?;
        }
    }
    Ok(())
}

/// One run, and what was broken in it.
fn run(scene: &Scene, manner: Manner) -> (Faults, Result<(), String>) {
    let mut memory = Box::new(Memory::<N, RX, TX, app::State>::new());
    let mut windows = Box::new(DatagramMemory::<RX, TX>::new());
    let world = scene.world(&mut memory, App::new(manner));
    let mut world = world.expect("a sound config");
    let socket = world.add_datagrams(&mut windows).expect("a slot");
    let result = catch_unwind(AssertUnwindSafe(|| {
        post(&mut world, scene.setup.seed)?;
        world.settle().map_err(|broken| broken.to_string())?;
        world.connections().close_datagrams(socket);
        world.stop(Duration::from_secs(5));
        let stopped = world.run_for(Duration::from_secs(6));
        stopped.map_err(|broken| broken.to_string())?;
        // Those of the echo stay.
        let echo = if scene.setup.echo { 3 } else { 0 };
        let left = world.kernel().descriptors().count() - echo;
        if !world.is_stopped() || left != 1 {
            return Err(format!("not stopped, {left} descriptors left"));
        }
        ended(&world)?;
        if manner == Manner::Relay {
            relayed(&world)?;
        }
        Ok(())
    }));
    let told = result.unwrap_or_else(|_| Err("a panic".to_string()));
    (world.kernel().faults.clone(), told)
}
