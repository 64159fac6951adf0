//! The lessons of the example `explorer` end on this kernel as documented, the simulated kernel does the same, and
//! whatever the script, the library loses nothing.

mod page;
mod scripts;

use std::process::Command;
use tests::bounded::Watchdog;
use tests::process::{Program, example};

/// Runs it to its end, and returns its output.
fn explorer(arguments: &[&str]) -> String {
    let ended = Program::spawn(Command::new(example("explorer")).args(arguments)).end();
    assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.errors);
    ended.output
}

/// A line of its fields.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Line<'a> {
    lesson: &'a str,
    kernel: &'a str,
    way: &'a str,
    /// The number of a step, `then` or `end`.
    number: &'a str,
    step: &'a str,
    /// The program's log, and what was left; at the end the verdict, and why.
    program: [&'a str; 2],
    library: [&'a str; 2],
}

fn lines(output: &str) -> Vec<Line<'_>> {
    let line = |line| match str::split(line, '\t').collect::<Vec<_>>()[..] {
        [lesson, kernel, way, number, step, said, left, also, over] => Line {
            lesson,
            kernel,
            way,
            number,
            step,
            program: [said, left],
            library: [also, over],
        },
        _ => panic!("not nine fields: {line:?}"),
    };
    output.lines().map(line).collect()
}

/// The lines of one kernel, without its name.
fn of<'a>(lines: &[Line<'a>], kernel: &str) -> Vec<Line<'a>> {
    let these = lines.iter().filter(|line| line.kernel == kernel);
    these
        .map(|line| Line {
            kernel: "",
            ..line.clone()
        })
        .collect()
}

const FINE: [&str; 2] = ["fine", ""];
const EDGE_LEFT: [&str; 2] = ["loses", "left: 3; no wait reports it"];
const SIXTH: [&str; 2] = ["loses", "left: 1; no wait reports it"];
const NOT_ARMED: [&str; 2] = ["loses", "left: 6; no wait reports it"];
const NOT_ACCEPTED: [&str; 2] = ["loses", "left: 2 to accept; no wait reports it"];
const END: [&str; 2] = ["loses", "left: 6, end; no wait reports it"];
const RESET: [&str; 2] = ["loses", "left: 1: reset; no wait reports it"];
const GREEDY: [&str; 2] = ["starves", "one client that goes on"];
const MIXED: [&str; 2] = ["mixes up", "bytes of one client"];

/// What becomes of the program in each lesson, under each way, on the real kernel: the verdict, and how its reason begins.
const ENDS: &[(&str, &str, [&str; 2])] = &[
    (
        "blocking",
        "blocking",
        [
            "blocks",
            "it waits for one client, whatever the others do; left: 2: 5",
        ],
    ),
    ("non-blocking", "non-blocking", FINE),
    ("round-robin", "non-blocking", FINE),
    ("round-robin", "level", FINE),
    ("select-and-poll", "select", FINE),
    ("select-and-poll", "poll", FINE),
    ("select-and-poll", "level", FINE),
    ("level", "level", FINE),
    (
        "edge",
        "level",
        ["reported again", "left: 3; each wait reports it"],
    ),
    ("edge", "edge", EDGE_LEFT),
    ("edge", "oneshot", EDGE_LEFT),
    ("drain", "level", FINE),
    ("drain", "edge", FINE),
    ("drain", "oneshot", FINE),
    ("five-bytes", "level", FINE),
    ("five-bytes", "edge", SIXTH),
    ("five-bytes", "oneshot", NOT_ARMED),
    ("burst", "level", FINE),
    ("burst", "edge", NOT_ACCEPTED),
    ("burst", "oneshot", NOT_ACCEPTED),
    ("greedy", "level", GREEDY),
    ("greedy", "edge", GREEDY),
    ("greedy", "oneshot", GREEDY),
    (
        "half-close",
        "level",
        ["spins", "left: 6, end; each wait reports IN|RDHUP,"],
    ),
    ("half-close", "edge", END),
    ("half-close", "oneshot", END),
    (
        "reset",
        "level",
        ["spins", "left: 1: reset; each wait reports IN|ERR|HUP,"],
    ),
    ("reset", "edge", RESET),
    ("reset", "oneshot", RESET),
    (
        "exception",
        "select",
        ["dies", "one error ends the service for all; left: 2: 5"],
    ),
    ("stale-event", "level", MIXED),
    ("stale-event", "edge", MIXED),
    ("stale-event", "oneshot", MIXED),
];

#[test]
fn lessons_end_as_they_say_and_the_library_loses_nothing() {
    let _bound = Watchdog::new();
    let output = explorer(&["--lesson", "all", "--lines"]);
    let lines = lines(&output);
    let real = of(&lines, "real");
    assert_eq!(real, of(&lines, "simulated"), "the two kernels");
    assert_eq!(2 * real.len(), lines.len());

    let ends: Vec<_> = real.iter().filter(|line| line.number == "end").collect();
    let names: Vec<_> = ends.iter().map(|end| (end.lesson, end.way)).collect();
    let expected: Vec<_> = ENDS
        .iter()
        .map(|(lesson, way, _)| (*lesson, *way))
        .collect();
    assert_eq!(names, expected);
    for (end, (lesson, way, [verdict, why])) in ends.iter().zip(ENDS) {
        assert_eq!(end.program[0], *verdict, "{lesson} under {way}");
        assert!(
            end.program[1].starts_with(why),
            "{lesson} under {way}: {end:?}"
        );
        assert_eq!(end.library[0], "fine", "{lesson} under {way}: {end:?}");
    }
    let listed = explorer(&["--list"]);
    let listed: Vec<_> = listed
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    let mut taught: Vec<_> = names.iter().map(|(lesson, _)| *lesson).collect();
    taught.dedup();
    assert_eq!(listed, taught);
}

/// The readiness events of each step, and what was left.
#[track_caller]
fn assert_steps(
    lines: &[Line<'_>],
    lesson: &str,
    way: &str,
    steps: &[(&str, [&str; 2], [&str; 2])],
) {
    let these = lines
        .iter()
        .filter(|line| (line.lesson, line.way) == (lesson, way));
    let found: Vec<_> = these
        .filter(|line| !["then", "end"].contains(&line.number))
        .map(|line| (line.step, line.program, line.library))
        .collect();
    assert_eq!(found, steps, "{lesson} under {way}");
}

#[test]
fn events_and_what_is_left_on_the_real_kernel() {
    let _bound = Watchdog::new();
    let output = explorer(&["--lesson", "all", "--kernel", "real", "--lines"]);
    let lines = lines(&output);
    // The text's program: the sixth byte is reported when more arrives, and stays behind by one from then on.
    assert_steps(
        &lines,
        "five-bytes",
        "edge",
        &[
            ("client 1: send 6", ["", "6"], ["", "6"]),
            (
                "server: serve 5",
                ["reported 1 IN; recv 5: \"abcde\"", "1"],
                ["reported 1 IN|OUT; recv 5: \"abcde\"; recv 5: \"f\"", "-"],
            ),
            (
                "server: serve 5",
                ["reported nothing", "1"],
                ["reported nothing", "-"],
            ),
            ("client 1: send 5", ["", "6"], ["", "5"]),
            (
                "server: serve 5",
                ["reported 1 IN; recv 5: \"fghij\"", "1"],
                [
                    "reported 1 IN|OUT; recv 5: \"ghijk\"; recv 5: would block",
                    "-",
                ],
            ),
            (
                "server: serve 5",
                ["reported nothing", "1"],
                ["reported nothing", "-"],
            ),
        ],
    );
    assert_steps(
        &lines,
        "level",
        "level",
        &[
            ("client 1: send 6", ["", "6"], ["", "6"]),
            (
                "server: wait",
                ["reported 1 IN", "6"],
                ["reported 1 IN", "6"],
            ),
            (
                "server: wait",
                ["reported 1 IN", "6"],
                ["recv 4096: \"abcdef\"; reported nothing", "-"],
            ),
            ("server: read 3 from 1", ["recv 3: \"abc\"", "3"], ["", "-"]),
            (
                "server: wait",
                ["reported 1 IN", "3"],
                ["reported nothing", "-"],
            ),
            ("server: read 3 from 1", ["recv 3: \"def\"", "-"], ["", "-"]),
            (
                "server: wait",
                ["reported nothing", "-"],
                ["reported nothing", "-"],
            ),
        ],
    );
}

#[test]
fn each_lesson_shows_what_it_is_about_on_the_real_kernel() {
    let _bound = Watchdog::new();
    let output = explorer(&["--lesson", "all", "--kernel", "real", "--lines"]);
    let lines = lines(&output);
    let said = |lesson, way, number| {
        let found =
            |line: &&Line<'_>| (line.lesson, line.way, line.number) == (lesson, way, number);
        let line = lines.iter().find(found).expect("such a line");
        (line.program[0], line.library[0])
    };
    // One call for each socket; all sockets in one call; one call, and no list.
    assert_eq!(
        said("round-robin", "non-blocking", "12").0,
        "calls: 5, reported nothing"
    );
    assert_eq!(said("round-robin", "level", "12").0, "reported nothing");
    let handed = "calls: 1, sockets handed over: 3, reported 1 IN";
    assert_eq!(said("select-and-poll", "select", "6").0, handed);
    assert_eq!(said("select-and-poll", "poll", "6").0, handed);
    assert_eq!(
        said("non-blocking", "non-blocking", "2").0,
        "recv 5: would block"
    );
    assert_eq!(said("blocking", "blocking", "3").0, "still waits");
    // After a quantum the next client is serviced; the program never gets to it.
    let (program, library) = said("greedy", "edge", "4");
    assert_eq!(program, "16 times recv 4096: 4096 bytes; and so on");
    assert_eq!(library, "4 times recv 4096: 4096 bytes");
    let (program, library) = said("greedy", "edge", "5");
    assert_eq!(program, "still receives from client 1");
    assert!(library.starts_with("recv 4096: \"ABCDE\""), "{library}");
    assert_eq!(
        said("stale-event", "edge", "9"),
        (
            "recv 5: \"01234\" of client 3, taken for client 2's",
            "a stale report: dropped, and counted"
        )
    );
    assert!(
        said("half-close", "edge", "3")
            .1
            .ends_with("recv 5: end; 1 closed: peer finished")
    );
    assert!(
        said("reset", "edge", "3")
            .1
            .contains("recv 5: ECONNRESET; 1 closed: connection reset")
    );
}

#[test]
fn a_blocking_receive_comes_back_when_there_is_something() {
    let _bound = Watchdog::new();
    let script =
        "client 1: connect; server: accept; read 5; read 5; close; client: send 3; send 4; send 1";
    let output = explorer(&["--under", "blocking", "--lines", script]);
    let lines = lines(&output);
    for kernel in ["simulated", "real"] {
        let lines = of(&lines, kernel);
        let said: Vec<_> = lines.iter().map(|line| line.program[0]).collect();
        assert_eq!(
            said[2..8],
            [
                "recv 5: waits for client 1",
                "still waits",
                "still waits",
                "recv 5: \"abc\"; recv 5: waits for client 1",
                "recv 5: \"defg\"; close 1",
                // It is sent, and the response is a reset.
                "",
            ],
            "{kernel}"
        );
        assert_eq!(
            lines.last().map(|end| end.program[0]),
            Some("fine"),
            "{kernel}"
        );
    }
}
