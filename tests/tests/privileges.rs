//! With `--user`, privileges that opened the sockets are gone before any client is served, in every thread, for good.

use std::fs;
use std::process::Command;
use tests::bounded::Watchdog;
use tests::net::{Client, tcp};
use tests::process::{Program, program};

/// A user that owns nothing, by number: `nobody` has it nearly everywhere.
const NOBODY: &str = "65534:65533";

/// The name of each thread of a process.
fn threads(program: &Program) -> Vec<String> {
    let folder = format!("/proc/{}/task", program.pid().as_raw_pid());
    let tasks = fs::read_dir(folder).expect("a process");
    let paths = tasks.map(|task| task.expect("a thread").path().join("status"));
    paths
        .filter_map(|path| fs::read_to_string(path).ok())
        .collect()
}

fn field<'s>(status: &'s str, name: &str) -> &'s str {
    let found = status.lines().find_map(|line| line.strip_prefix(name));
    found.unwrap_or_else(|| panic!("{name} in {status}")).trim()
}

#[test]
#[ignore = "needs root"]
fn numbers_need_no_list_of_users() {
    let _bound = Watchdog::new();
    // In a mount namespace of its own /etc is empty, as in a minimal container.
    let script = "mount -t tmpfs none /etc && exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(program());
    command.args([
        "--listen",
        "127.0.0.1:0",
        "--user",
        NOBODY,
        "--service",
        "echo",
    ]);
    command.args(["--socket-owner", NOBODY]);
    let mut program = Program::spawn(&mut command);
    program.wait_for("listening on ");
    let all = threads(&program);
    assert_eq!(field(&all[0], "Uid:"), "65534\t65534\t65534\t65534");
    assert_eq!(field(&all[0], "Gid:"), "65533\t65533\t65533\t65533");
    tcp(program.address()).echo(b"hello");
    assert_eq!(program.stop().code, Some(0));
}

#[test]
#[ignore = "needs root"]
fn they_are_given_up_by_all_threads_for_good() {
    let _bound = Watchdog::new();
    for (arguments, count) in [
        (&["--backend", "epoll"][..], 4),
        (&["--backend", "uring"], 4),
        (&["--threads", "3"], 6),
    ] {
        // Ports that only root may open.
        let places = ["--listen", "127.6.5.4:1", "--user", NOBODY];
        let arguments = [&places[..], &["--service", "echo"], arguments].concat();
        let mut command = Command::new("setpriv");
        // With groups and capabilities to lose.
        command.args(["--groups", "4,5,6", "--inh-caps", "+net_raw"]);
        command.arg(program()).args(arguments);
        let mut program = Program::spawn(&mut command);
        program.wait_for("listening on 127.6.5.4:1");
        let threads = threads(&program);
        assert_eq!(threads.len(), count, "loops, signals, two for lines");
        for status in threads {
            // Real, effective, saved and of files: without privileges, none of them can be another again.
            assert_eq!(field(&status, "Uid:"), "65534\t65534\t65534\t65534");
            assert_eq!(field(&status, "Gid:"), "65533\t65533\t65533\t65533");
            assert_eq!(field(&status, "Groups:"), "");
            assert_eq!(field(&status, "NoNewPrivs:"), "1");
            for set in ["CapPrm:", "CapEff:", "CapAmb:"] {
                assert_eq!(field(&status, set), "0000000000000000", "{set}");
            }
        }
        tcp(program.address()).echo(b"hello");
        let ended = program.stop();
        assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
    }
}

#[test]
#[ignore = "needs root"]
fn a_group_that_is_not_named_is_the_users_own() {
    let _bound = Watchdog::new();
    let mut program = Program::start(&["--user", "nobody"]);
    program.wait_for("listening on ");
    let known = fs::read_to_string("/etc/passwd").expect("users");
    let nobody = known.lines().find_map(|line| line.strip_prefix("nobody:"));
    let mut numbers = nobody.expect("nobody").split(':').skip(1);
    let (uid, gid) = (
        numbers.next().expect("a user"),
        numbers.next().expect("a group"),
    );
    for status in threads(&program) {
        assert!(
            field(&status, "Uid:")
                .split('\t')
                .all(|number| number == uid)
        );
        assert!(
            field(&status, "Gid:")
                .split('\t')
                .all(|number| number == gid)
        );
    }
}

#[test]
#[ignore = "needs strace, and root to give up"]
fn the_way_back_is_tried_and_shut() {
    let _bound = Watchdog::new();
    let folder = tests::process::Folder::new("back");
    let trace = std::path::PathBuf::from(folder.path("trace"));
    let program = Program::traced(&["-e", "setresuid"], &trace, &["--user", NOBODY]);
    let calls = program.calls(&trace);
    let first = calls.first().expect("a call").0;
    let own: Vec<_> = calls
        .iter()
        .filter(|(thread, _)| *thread == first)
        .collect();
    let answers = [
        ("setresuid(65534, 65534, 65534)", "= 0"),
        ("setresuid(0, 0, 0)", "= -1 EPERM (Operation not permitted)"),
    ];
    for ((_, call), (beginning, end)) in own.iter().zip(answers) {
        assert!(
            call.starts_with(beginning) && call.ends_with(end),
            "{own:?}"
        );
    }
    assert_eq!(own.len(), 2, "{own:?}");
}

#[test]
#[ignore = "needs setpriv, and root to give up"]
fn without_root_it_cannot_become_another() {
    let _bound = Watchdog::new();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command
        .arg(program())
        .args(["--listen", "127.0.0.1:0", "--user", "1:1"]);
    for threads in ["1", "2"] {
        let ended = Program::spawn(command.args(["--threads", threads])).end();
        assert_eq!(
            (ended.code, ended.output.as_str()),
            (Some(1), ""),
            "{ended:?}"
        );
        assert!(
            ended.errors.contains("--user 1:1: setgroups"),
            "{}",
            ended.errors
        );
        assert!(ended.errors.contains("start as root"), "{}", ended.errors);
    }
}
