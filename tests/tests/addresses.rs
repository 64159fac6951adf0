//! One way to write an address, in the program and in every example.

use core::net::SocketAddrV6;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixStream};
use std::process::Command;
use tests::bounded::{SOON, Watchdog};
use tests::namespace::in_namespace;
use tests::net::unix;
use tests::process::{Ended, Folder, Program, example, run};

/// Those that listen for connections, and what they need in addition to an address.
const EXAMPLES: [(&str, &[&str]); 5] = [
    ("http_status", &[]),
    ("resp_kv", &[]),
    ("modbus_tcp", &[]),
    ("control_socket", &[]),
    ("relay", &["--to", "127.0.0.1:9"]),
];

/// The program and the examples, listening at `address` too; each is shown to `look`.
fn each(address: &str, mut look: impl FnMut(&str, &mut Program)) {
    // One after the other: each has the address to itself.
    look(
        "tidegate",
        &mut Program::start_with(&["--service", "echo", "--listen", address]),
    );
    for (name, more) in EXAMPLES {
        let arguments = [&["--listen", address], more].concat();
        look(name, &mut Program::example(name, &arguments));
    }
}

#[test]
fn a_name_after_at_is_abstract() {
    let _bound = Watchdog::new();
    let name = format!("tidegate-{}-abstract", std::process::id());
    let place = format!("unix:@{name}");
    let address = UnixAddress::from_abstract_name(&name).expect("a name");
    each(&place, |who, program| {
        program.wait_for(&format!("listening on {place}"));
        UnixStream::connect_addr(&address).unwrap_or_else(|error| panic!("{who}: {error}"));
        let in_the_way = std::path::Path::new("@").join(&name);
        assert!(!in_the_way.exists(), "{who} made a file");
    });
}

fn run_example(name: &str, arguments: &[&str]) -> Ended {
    Program::spawn(Command::new(example(name)).args(arguments)).end()
}

#[test]
fn what_is_wrong_is_said_with_the_value() {
    let _bound = Watchdog::new();
    for (text, right) in [
        ("::1:80", "in brackets: [::1]:8080"),
        ("127.0.0.1:99999", "port from 0 to 65535"),
        ("127.0.0.1", "IPV6]:PORT, unix:/path or unix:@name"),
        ("unix:", "write unix:/run/name.sock"),
        ("unix:@", "write unix:/run/name.sock"),
    ] {
        let ended = run(&["--listen", text]);
        let said = format!("--listen {text}: ");
        assert_eq!(ended.code, Some(2), "{text}");
        assert!(
            ended.errors.contains(&said) && ended.errors.contains(right),
            "{}",
            ended.errors
        );
        for (name, more) in EXAMPLES {
            let ended = run_example(name, &[&["--listen", text], more].concat());
            assert_eq!(ended.code, Some(2), "{name} {text}");
            assert!(
                ended.errors.contains(&said) && ended.errors.contains(right),
                "{}",
                ended.errors
            );
        }
        let ended = run_example("relay", &["--to", text]);
        assert_ne!(ended.code, Some(0), "{text}");
        assert!(
            ended.errors.contains(&format!("--to {text}: ")),
            "{}",
            ended.errors
        );
        assert!(ended.errors.contains(right), "{}", ended.errors);
    }
    // Permission to connect is permission to command, and any process can connect to a name without a file.
    let ended = run(&["--control", "unix:@x"]);
    assert!(
        ended.code == Some(2) && ended.errors.contains("must be unix:/path"),
        "{}",
        ended.errors
    );
}

/// One link-local address at an interface that nothing else uses.
const LINK_LOCAL: [&str; 4] = [
    "link add d0 type veth peer name d1",
    "link set d0 up",
    "link set d1 up",
    "-6 address add fe80::1/64 dev d0 nodad",
];

fn index() -> u32 {
    let shown = Command::new("ip")
        .args(["-o", "link", "show", "d0"])
        .output()
        .expect("ip");
    let shown = String::from_utf8_lossy(&shown.stdout);
    let (index, _) = shown.split_once(':').expect("a number");
    index.parse().expect("a number")
}

#[test]
#[ignore = "needs root, iproute2"]
fn a_link_local_address_names_its_interface() {
    let _bound = Watchdog::new();
    in_namespace(&LINK_LOCAL, || {
        let index = index();
        for interface in ["d0".to_owned(), index.to_string()] {
            let place = format!("[fe80::1%{interface}]:18080");
            let address =
                SocketAddrV6::new("fe80::1".parse().expect("an address"), 18080, 0, index);
            each(&place, |who, program| {
                program.wait_for(&format!("listening on [fe80::1%{index}]:18080"));
                TcpStream::connect(address).unwrap_or_else(|error| panic!("{who}: {error}"));
            });
        }
    });
}

#[test]
#[ignore = "needs root, iproute2"]
fn a_relay_reaches_a_link_local_address() {
    let _bound = Watchdog::new();
    in_namespace(&LINK_LOCAL, || {
        let ip = "fe80::1".parse().expect("an address");
        let at = SocketAddrV6::new(ip, 0, 0, index());
        let listener = TcpListener::bind(at).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let to = format!("[fe80::1%d0]:{port}");
        let mut relay = Program::example("relay", &["--listen", "127.0.0.1:0", "--to", &to]);
        relay.wait_for("listening on ");
        let mut client = TcpStream::connect(relay.address()).expect("the relay");
        client.write_all(b"hi").expect("taken");
        let (mut end, _) = listener.accept().expect("the relay's");
        end.set_read_timeout(Some(SOON)).expect("SO_RCVTIMEO");
        let mut said = [0; 2];
        end.read_exact(&mut said).expect("bytes");
        assert_eq!(&said, b"hi");
    });
}

#[test]
#[ignore = "needs root, iproute2"]
fn a_link_local_peer_is_dropped_by_its_name() {
    let _bound = Watchdog::new();
    in_namespace(&LINK_LOCAL, || {
        let folder = Folder::new("scoped");
        let control = folder.path("control");
        let at = format!("unix:{control}");
        let place = "[fe80::1%d0]:18080";
        let mut program =
            Program::start_with(&["--service", "echo", "--listen", place, "--control", &at]);
        program.wait_for("listening on ");
        let ip = "fe80::1".parse().expect("an address");
        let address = SocketAddrV6::new(ip, 18080, 0, index());
        for by in ["fe80::1%d0", "fe80::1", "PORT"] {
            let mut client = TcpStream::connect(address).expect("the program");
            client.set_read_timeout(Some(SOON)).expect("SO_RCVTIMEO");
            client.write_all(b"x").expect("taken");
            client.read_exact(&mut [0]).expect("its echo");
            let port = client.local_addr().expect("an address").port();
            let who = by.replace("PORT", &format!("[fe80::1%d0]:{port}"));
            let mut control = unix(&control);
            control
                .write_all(format!("drop {who}\n").as_bytes())
                .expect("taken");
            let mut answer = [0; 64];
            let n = control.read(&mut answer).expect("an answer");
            assert_eq!(
                String::from_utf8_lossy(&answer[..n]),
                "ok: 1 dropped\n",
                "{who}"
            );
            // It sees EOF or a reset.
            assert!(matches!(client.read(&mut [0; 8]), Ok(0) | Err(_)));
        }
    });
}
