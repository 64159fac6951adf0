//! A crowd of clients that are no better than they should be.

use super::{Attack, Sources};
use crate::net::{begin_from, reset};
use core::net::{Ipv4Addr, SocketAddr};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::io::ErrorKind;
use std::net::TcpStream;
use std::thread;

/// What an attacker does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Keeps its connection.
    Hold,
    /// Closes it, and comes again.
    Leave,
    /// Closes it with a reset, and comes again.
    Reset,
}

/// Attacks until it is over. Counts connections and steps that went through.
pub(super) fn besiege(
    attack: &Attack,
    address: SocketAddr,
    over: &AtomicBool,
    attempts: &AtomicU64,
) {
    let mut crowd: Vec<Option<(TcpStream, u32)>> = Vec::new();
    crowd.resize_with(attack.clients, || None);
    while !over.load(Ordering::Relaxed) {
        for (index, client) in (0u8..250).cycle().zip(&mut crowd) {
            let source = match attack.sources {
                Sources::One => Ipv4Addr::LOCALHOST,
                Sources::Many => Ipv4Addr::new(127, 0, 1, 1 + index),
            };
            if client.is_none() {
                *client = begin_from(source, address).ok().map(|stream| (stream, 0));
                attempts.fetch_add(1, Ordering::Relaxed);
            }
            let Some((stream, age)) = client else {
                continue;
            };
            let step = match (attack.step)(stream, *age) {
                Ok(step) => {
                    attempts.fetch_add(1, Ordering::Relaxed);
                    step
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => Step::Hold,
                // Fended off: it comes again.
                Err(_) => Step::Leave,
            };
            *age += 1;
            match (step, client.take()) {
                (Step::Hold, kept) => *client = kept,
                (Step::Reset, Some((stream, _))) => reset(stream),
                (Step::Leave | Step::Reset, _) => {}
            }
        }
        thread::sleep(attack.pause);
    }
}
