//! A burst from one client to several others: how much of it is delivered. A count, not a time.

use super::contenders::{Contender, Kind};
use super::measure::{Bench, Part};
use super::tables::table;
use crate::net::{Client, tcp};
use core::time::Duration;
use std::thread;

/// Lines of a burst, and the bytes of each with its end.
const LINES: usize = 2000;
const LENGTH: usize = 100;

/// Its receivers, reading all the time.
const LISTENERS: usize = 8;

/// Counts it: our program's chat, in each of its modes, with its default buffers. The peers of the bench echo only.
///
/// # Errors
///
/// If our program does not take part.
pub fn fan_out(bench: &mut Bench) -> Result<Part, String> {
    let contenders = bench.some(|one| matches!(one.kind, Kind::Ours { .. }));
    if contenders.is_empty() {
        return Err("our program does not take part".into());
    }
    bench.begin("fan-out", contenders.len(), Duration::ZERO);
    let mut lines = Vec::new();
    for one in &contenders {
        let delivered = delivered(one, bench.server_cpu());
        let sent = LINES * LISTENERS;
        if delivered < sent {
            bench.complain(one, &format!("{delivered} of {sent} lines were delivered"));
        }
        lines.push(vec![
            one.name.clone(),
            delivered.to_string(),
            sent.to_string(),
        ]);
        bench.step(&one.name);
    }
    let markdown = format!(
        "One client sends {LINES} lines of {LENGTH} bytes at once to {LISTENERS} others, which read all the time, through `--service \
         chat` with default buffers: lines that were delivered, of all that had to be. What does not fit is dropped.\n\n{}",
        table(&["server", "delivered", "of"], &lines)
    );
    Ok(Part {
        name: "fan-out",
        markdown,
        pictures: Vec::new(),
    })
}

/// Lines that arrived whole, at all listeners together.
fn delivered(of: &Contender, cpu: Option<usize>) -> usize {
    let (program, address) = of.chatting().start(cpu);
    let listeners = [(); LISTENERS].map(|()| tcp(address));
    let listeners = listeners.map(|mut socket| thread::spawn(move || socket.rest().len() / LENGTH));
    let mut talker = tcp(address);
    let line = ["x".repeat(LENGTH - 1), "\n".into()].concat();
    talker.say(line.repeat(LINES).as_bytes());
    talker.finish();
    // It was received, all of it, when the server closes, and a stop delivers what is queued.
    let _ = talker.rest();
    let _ = program.stop();
    let counts = listeners.map(|listener| listener.join().unwrap_or(0));
    counts.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::super::contenders;
    use super::*;

    #[test]
    fn a_burst_is_delivered() {
        let all = contenders::ours();
        assert!(all.len() >= 7, "{all:?}");
        for one in all {
            assert_eq!(delivered(&one, None), LINES * LISTENERS, "{}", one.name);
        }
    }
}
