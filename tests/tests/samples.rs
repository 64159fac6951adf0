//! The sample service files are what their readers take them for.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};
use tests::bounded::Watchdog;
use tests::listed::system_calls;
use tests::process::{Folder, program, run_with};

fn sample(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let folder = root.expect("a workspace").join("linux/service");
    folder.join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(sample(name)).expect(name)
}

/// What a sample has the program called with.
fn arguments<'t>(text: &'t str, before: &str) -> Vec<&'t str> {
    let found = text
        .lines()
        .find_map(|line| line.trim().strip_prefix(before));
    found.expect(before).split(' ').collect()
}

#[test]
fn the_program_takes_their_arguments() {
    let _bound = Watchdog::new();
    for (name, before) in [
        ("tidegate.service", "ExecStart=/usr/bin/tidegate "),
        ("tidegate.init", "procd_set_param command \"$PROG\" "),
    ] {
        let text = text(name);
        let mut command = Command::new(program());
        command.args(arguments(&text, before)).arg("--memory");
        let ended = run_with(&mut command, b"");
        assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{name}");
    }
}

#[test]
fn the_procd_script_is_a_shell_script() {
    let _bound = Watchdog::new();
    let ended = run_with(
        Command::new("sh").arg("-n").arg(sample("tidegate.init")),
        b"",
    );
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
}

/// It starts an instance as procd's own functions would be called.
#[test]
fn the_procd_script_describes_one_instance() {
    let _bound = Watchdog::new();
    let script = format!(
        "procd_open_instance() {{ echo open; }}\nprocd_close_instance() {{ echo close; }}\n\
         procd_set_param() {{ echo \"$*\"; }}\n. {}\nstart_service\n",
        sample("tidegate.init").display()
    );
    let ended = run_with(Command::new("sh").args(["-eu", "-c", &script]), b"");
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
    let said: Vec<_> = ended.output.lines().collect();
    assert_eq!((said.first(), said.last()), (Some(&"open"), Some(&"close")));
    assert!(said.contains(&"no_new_privs 1"), "{said:?}");
    assert!(
        said[1].starts_with("command /usr/sbin/tidegate "),
        "{said:?}"
    );
}

#[test]
#[ignore = "needs shellcheck"]
fn the_procd_script_is_a_good_one() {
    let _bound = Watchdog::new();
    let ended = run_with(Command::new("shellcheck").arg(sample("tidegate.init")), b"");
    assert_eq!((ended.code, ended.output.as_str()), (Some(0), ""));
}

/// The units in a folder, with the program where it was built.
fn units() -> Folder {
    let folder = Folder::new("units");
    let built = program().to_str().expect("UTF-8");
    let service = text("tidegate.service").replace("/usr/bin/tidegate", built);
    fs::write(folder.path("tidegate.service"), service).expect("written");
    fs::write(folder.path("tidegate.socket"), text("tidegate.socket")).expect("written");
    folder
}

#[test]
#[ignore = "needs systemd-analyze"]
fn the_units_are_understood_by_systemd() {
    let _bound = Watchdog::new();
    let folder = units();
    for unit in ["tidegate.service", "tidegate.socket"] {
        let mut command = Command::new("systemd-analyze");
        let ended = run_with(command.arg("verify").arg(folder.path(unit)), b"");
        let ours: Vec<_> = (ended.errors.lines())
            .filter(|line| line.contains("tidegate"))
            .collect();
        assert_eq!((ended.code, ours), (Some(0), vec![]), "{ended:?}");
    }
}

#[test]
#[ignore = "needs systemd-analyze"]
fn the_service_is_hardened() {
    let _bound = Watchdog::new();
    let folder = units();
    let mut command = Command::new("systemd-analyze");
    // Tenths: 1.5 of 10, where 10 is without any protection and a network service cannot have 0.
    command.args(["security", "--offline=true", "--threshold=15"]);
    let ended = run_with(command.arg(folder.path("tidegate.service")), b"");
    assert_eq!(ended.code, Some(0), "{}{}", ended.output, ended.errors);
}

/// The calls of a group such as `@system-service`, or the call itself.
fn members(name: &str) -> HashSet<String> {
    if !name.starts_with('@') {
        return HashSet::from([name.to_owned()]);
    }
    let mut command = Command::new("systemd-analyze");
    let ended = run_with(command.args(["syscall-filter", name]), b"");
    assert_eq!(ended.code, Some(0), "{name}: {}", ended.errors);
    let inside = ended.output.lines().skip(1).map(str::trim);
    let inside = inside.filter(|line| !line.is_empty() && !line.starts_with('#'));
    inside.flat_map(members).collect()
}

#[test]
#[ignore = "needs systemd-analyze"]
fn the_service_may_make_the_calls_that_it_makes() {
    let _bound = Watchdog::new();
    let mut allowed = HashSet::new();
    let unit = text("tidegate.service");
    for line in unit
        .lines()
        .filter_map(|line| line.strip_prefix("SystemCallFilter="))
    {
        let (forbids, names) = match line.strip_prefix('~') {
            Some(names) => (true, names),
            None => (false, line),
        };
        for call in names.split(' ').flat_map(members) {
            if forbids {
                allowed.remove(&call);
            } else {
                allowed.insert(call);
            }
        }
    }
    // systemd has made it another user before it starts.
    let calls = system_calls("For `--user`");
    let forbidden: Vec<_> = calls
        .iter()
        .filter(|call| !allowed.contains(*call))
        .collect();
    assert_eq!(forbidden, Vec::<&String>::new());
    assert!(!allowed.contains("setuid") && !allowed.contains("mount"));
}
