//! Scripts that are made up: random ones, and wrong ones.

use super::{explorer, lines};
use std::process::Command;
use tests::bounded::Watchdog;
use tests::process::{example, run_with};
use tidegate_sim::Random;

/// A script that means something.
fn random_script(random: &mut Random) -> String {
    let clients = 1 + random.below(3);
    let mut script = String::new();
    let mut open: Vec<u32> = (1..=clients).collect();
    let mut finished = Vec::new();
    for client in 1..=clients {
        let begin = if random.one_in(3) {
            "connect"
        } else {
            "send 7"
        };
        script += &format!("client {client}: {begin}; ");
    }
    if random.one_in(3) {
        script += "server: ask in rdhup; ";
    }
    for _ in 0..2 + random.below(14) {
        let client = 1 + random.below(clients);
        let bytes = 1 + random.below(12);
        let step = if open.contains(&client) && random.one_in(2) {
            match random.below(10) {
                0 => {
                    open.retain(|open| *open != client);
                    format!("client {client}: close")
                }
                1 => {
                    open.retain(|open| *open != client);
                    format!("client {client}: reset")
                }
                _ if finished.contains(&client) => continue,
                2 => {
                    finished.push(client);
                    format!("client {client}: finish")
                }
                3 => format!("client {client}: flood {bytes}"),
                _ => format!("client {client}: send {bytes}"),
            }
        } else {
            match random.below(12) {
                0..=2 => "server: wait".to_owned(),
                3..=4 => format!("server: serve {bytes}"),
                5..=6 => format!("server: read {bytes} from {client}"),
                7 => format!("server: drain {bytes} from {client}"),
                8..=9 => "server: accept".to_owned(),
                10 => format!("server: arm {client}"),
                _ => format!("server: close {client}"),
            }
        };
        script += &step;
        script += "; ";
    }
    script
}

/// `EXPLORER_SEED` in the environment makes other scripts.
#[test]
fn whatever_a_script_says_the_kernels_agree_and_the_library_loses_nothing() {
    let _bound = Watchdog::new();
    let seed = std::env::var("EXPLORER_SEED").ok();
    let mut random = Random::new(seed.and_then(|seed| seed.parse().ok()).unwrap_or(1));
    for _ in 0..60 {
        let script = random_script(&mut random);
        for ways in ["non-blocking,select", "poll,level", "edge,oneshot"] {
            // It ends with an error if the kernels differ.
            let output = explorer(&["--lines", "--under", ways, &script]);
            let lines = lines(&output);
            let ends: Vec<_> = lines.iter().filter(|line| line.number == "end").collect();
            assert_eq!(ends.len(), 2 * 2);
            for end in ends {
                assert_eq!(end.library[0], "fine", "{script}: {end:?}");
            }
        }
    }
}

#[test]
fn what_is_to_be_thought_of_a_program() {
    let _bound = Watchdog::new();
    for (script, way, verdict) in [
        // Slow is not lost, and not vain.
        ("client: send 100; server: serve 1", "level", "fine"),
        ("client: send 100; server: serve 1", "edge", "loses"),
        ("client: send 100; server: wait", "level", "reported again"),
        // Round robin is fair, even with a flooding client; a client that waits for an edge is not starved by others.
        (
            "client 1: flood 9; client 2: send 100; server: serve 3",
            "level",
            "fine",
        ),
        (
            "client 1: flood 9; client 2: send 5; server: serve 3",
            "edge",
            "loses",
        ),
        (
            "client 1: flood 9; client 2: send 5; server: drain from 1",
            "level",
            "starves",
        ),
        // An EOF that is read and not closed is reported for ever.
        ("client: finish; server: wait; read 5", "level", "spins"),
        ("client: finish; server: serve 5", "level", "fine"),
        ("client 1: connect; server: read 5", "blocking", "loses"),
    ] {
        let output = explorer(&["--lines", "--under", way, script]);
        let lines = lines(&output);
        let ends = lines.iter().filter(|line| line.number == "end");
        for end in ends {
            assert_eq!(end.program[0], verdict, "{script} under {way}: {end:?}");
            assert_eq!(end.library[0], "fine", "{script} under {way}: {end:?}");
        }
    }
}

/// Errors, and their messages.
const WRONG: &[(&[&str], &str)] = &[
    (
        &["client: send 6; server: raed 3"],
        "step 2 of the script, `server: raed 3`: the server knows no `raed`; it knows ask, wait, read N",
    ),
    (
        &["send 6"],
        "step 1 of the script, `send 6`: say who does it: `client: …` or `server: …`",
    ),
    (
        &["klient: send 6"],
        "there is no `klient`; there are `client`, `client 2` and `server`",
    ),
    (
        &["client: send 0"],
        "`0` is not a number of bytes from 1 to 4096",
    ),
    (&["client: send"], "how many bytes? 1 to 4096"),
    (
        &["client: send 3 4"],
        "`4` is too much; separate steps by `;`",
    ),
    (&["client 12: send 3"], "`12` is not a client from 1 to 9"),
    (
        &["client: send 6; server: ask in; read 3 from 2"],
        "step 3 of the script, `server: read 3 from 2`: there is no client 2: the script has 1",
    ),
    (
        &["client: send 6; server: read 3 from"],
        "from whom? `from 1` to `from 9`",
    ),
    (&["client: close; send 3"], "client 1 is gone by then"),
    (&["client: finish; send 3"], "client 1 has sent its end"),
    (
        &["client: send 3; connect"],
        "client 1 is connected by then; `connect` is its first step",
    ),
    (
        &["client: send 3; server: wait; ask in"],
        "`ask` comes before all other steps of the server, and once",
    ),
    (
        &["server: ask in hup"],
        "`hup` cannot be asked for; in, rdhup and out can",
    ),
    (&["server: ask"], "say what for: in, rdhup, out"),
    (
        &["server: wait"],
        "the script: no step does anything to the server; begin with `client: send 6`",
    ),
    (
        &["--under", "blocking", "client: send 3; server: wait"],
        "--under blocking: there is no wait then; leave `wait` and `serve` out",
    ),
    (
        &["--lesson", "x"],
        "no lesson is called `x`; there are blocking, non-blocking, round-robin,",
    ),
    (
        &["--under", "x"],
        "there is no way called `x`; there are blocking, non-blocking, select,",
    ),
    (
        &["--kernel", "x"],
        "no kernel is called `x`; there are simulated, real and both",
    ),
    (&[], "nothing to show: give a script, or --lesson NAME"),
    (
        &["--html", "/nowhere/at/all", "--lesson", "level"],
        "--html /nowhere/at/all: cannot be written: ",
    ),
];

#[test]
fn an_error_of_a_script_is_reported_with_what_would_be_right() {
    let _bound = Watchdog::new();
    for (arguments, expected) in WRONG {
        let ended = run_with(Command::new(example("explorer")).args(*arguments), b"");
        assert!(
            ended.errors.contains(expected),
            "{arguments:?}: {}",
            ended.errors
        );
        assert_ne!(ended.code, Some(0), "{arguments:?}");
        assert_eq!(ended.output, "", "{arguments:?}");
    }
    let long = "client: send 1; ".repeat(65);
    let ended = run_with(Command::new(example("explorer")).arg(long), b"");
    assert!(
        ended.errors.contains("it is too long: 64 steps are taken"),
        "{}",
        ended.errors
    );
}
