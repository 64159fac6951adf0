//! Clients that others wrote are served as they expect.

use std::process::Command;
use tests::bounded::Watchdog;
use tests::modes::{MODES, Mode};
use tests::net::pattern;
use tests::process::{Folder, Program, run_with};

/// Letters: the output is collected as text.
fn text(len: usize) -> String {
    let letters = pattern(1, len)
        .into_iter()
        .map(|byte| char::from(b'a' + byte % 26));
    letters.collect()
}

struct Places {
    program: Program,
    tcp: String,
    ipv6: String,
    unix: String,
    _folder: Folder,
}

fn start(mode: Mode) -> Places {
    let folder = Folder::new("clients");
    let unix = folder.path("s");
    let place = format!("unix:{unix}");
    let mut program = Program::start_with(&mode.with(&[
        "--service",
        "echo",
        "--listen",
        "127.0.0.1:0",
        "--listen",
        "[::1]:0",
        "--listen",
        &place,
    ]));
    program.wait_for(&place);
    let output = program.output();
    let mut ports = output
        .lines()
        .filter_map(|line| line.rsplit_once(':'))
        .map(|(_, port)| port.to_owned());
    let (tcp, ipv6) = (ports.next().expect("a port"), ports.next().expect("a port"));
    Places {
        program,
        tcp,
        ipv6,
        unix,
        _folder: folder,
    }
}

fn check(places: Places, mut commands: Vec<Command>) {
    for command in &mut commands {
        let said = text(500_000);
        let ended = run_with(command, said.as_bytes());
        assert_eq!(ended.code, Some(0), "{command:?}: {}", ended.errors);
        assert!(
            ended.output == said,
            "{command:?}: {} bytes",
            ended.output.len()
        );
    }
    let n = commands.len();
    let ended = places.program.stop();
    assert!(
        ended
            .output
            .contains(&format!("stopped: {n} connections accepted, 0 refused")),
        "{}",
        ended.output
    );
}

#[test]
#[ignore = "needs socat"]
fn socat() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let places = start(mode);
        let to = [
            format!("TCP:127.0.0.1:{}", places.tcp),
            format!("TCP6:[::1]:{}", places.ipv6),
            format!("UNIX-CONNECT:{}", places.unix),
        ];
        let command = |place: &String| {
            let mut command = Command::new("socat");
            command.args(["-t", "10", "-"]).arg(place);
            command
        };
        let commands = to.iter().map(command).collect();
        check(places, commands);
    }
}

#[test]
#[ignore = "needs nc (OpenBSD)"]
fn nc() {
    let _bound = Watchdog::new();
    for mode in MODES {
        let places = start(mode);
        let to = [
            vec!["-N", "127.0.0.1", &places.tcp],
            vec!["-N", "::1", &places.ipv6],
            vec!["-N", "-U", &places.unix],
        ];
        let command = |arguments: &Vec<&str>| {
            let mut command = Command::new("nc");
            command.args(["-w", "10"]).args(arguments);
            command
        };
        let commands = to.iter().map(command).collect();
        check(places, commands);
    }
}
