//! Resident memory of connections that were busy once and are idle now.

use super::contenders::Contender;
use super::measure::{Bench, Part};
use super::peers::ONE_AT_A_TIME;
use super::pictures::{Labels, Series, rows};
use super::statistics::Spread;
use super::tables::{digits, table};
use crate::load::{Plan, Traffic, hold};
use crate::net::resident;
use core::time::Duration;

/// Connections on which there was a message each.
const IDLE: u32 = 4000;

/// Measures it.
///
/// # Errors
///
/// If nothing could be.
pub fn memory(bench: &mut Bench) -> Result<Part, String> {
    // A server of one client at a time can hold no more.
    let contenders = bench.some(|one| one.name != ONE_AT_A_TIME);
    let idle = if bench.effort.quick { 500 } else { IDLE };
    bench.begin("memory", contenders.len(), Duration::ZERO);
    let mut lines = Vec::new();
    let mut series: Vec<Series<Option<Spread>>> = Vec::new();
    for one in &contenders {
        match of(bench, one, idle) {
            Ok((at_start, each)) => {
                lines.push(vec![
                    one.name.clone(),
                    digits(each),
                    digits(at_start as f64 / 1024.0),
                ]);
                // On a logarithmic axis there is no 0.
                series.push((one.name.clone(), vec![Spread::of([each.max(1.0)])]));
            }
            Err(why) => bench.complain(one, &why),
        }
        bench.step(&one.name);
    }
    let markdown = format!(
        "Resident memory of the server (`Rss` of `/proc/PID/smaps_rollup`): at its start, and how much it grows for each of {idle} \
         connections that had one message echoed and fell silent. Memory of the kernel is not in it.\n\n{}",
        table(&["server", "bytes for each", "KiB at start"], &lines)
    );
    let labels = Labels {
        title: "Resident memory for each idle connection",
        x: "bytes, at least 1 (less is better)",
        y: "",
    };
    let picture = rows(&labels, &["idle"], &series)?;
    Ok(Part {
        name: "memory",
        markdown,
        pictures: vec![("memory.svg", picture)],
    })
}

/// Resident bytes at the start, and for each connection.
fn of(bench: &Bench, one: &Contender, idle: u32) -> Result<(u64, f64), String> {
    let (process, address) = one.start(bench.server_cpu());
    let core::net::SocketAddr::V4(address) = address else {
        unreachable!("an IPv4 address was asked for");
    };
    let plan = Plan {
        address,
        traffic: Traffic::Churn {
            clients: 1,
            size: 64,
        },
        warm_up: Duration::ZERO,
        window: Duration::ZERO,
        server: None,
        sources: 0,
    };
    let held = |count| hold(&plan, count).map_err(|error| error.to_string());
    let at_start = resident(process.pid());
    // The first one pages code in; that is not what a connection costs.
    let first = held(1)?;
    let before = resident(process.pid());
    let all = held(idle)?;
    let after = resident(process.pid());
    drop((first, all));
    Ok((
        at_start,
        after.saturating_sub(before) as f64 / f64::from(idle),
    ))
}
