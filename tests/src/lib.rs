//! The bodies of the fuzz targets and what the tests share. A target is three lines; a test replays its corpus.
//!
//! # Promises
//!
//! Each file in `tests/` keeps one; its first line states it. All but `errors`, `explore`, `fails_once`, `fuzz_replay`, `imports`,
//! `shrink`, `text`, `traces` and `types` talk to the real kernel, over loopback, on ports that it chooses; the program among them is
//! built by the first test that needs it ([`process::program`]). Tests that need a tool, such as `strace`, `socat` or
//! `redis-cli`, are ignored by default, as is one that takes ten seconds: `cargo test -p tests -- --include-ignored`.
//!
//! | file | promise |
//! | --- | --- |
//! | `addresses` | an address is written in one way everywhere: link-local ones with their interface, abstract names, and errors are reported |
//! | `allocation` | nothing is allocated after the start |
//! | `attacks` | whatever attackers do, others are served, and memory and descriptors stay as they are |
//! | `backends` | what a backend cannot do is refused at the start; a source that does not fit one costs no other connection |
//! | `boot` | an address, an interface, a log or a service manager that is not there yet ends nothing, and neither does SIGHUP |
//! | `calls` | which system calls are made, in which order, and how many; injected errors of them lose nothing |
//! | `churn` | ten thousand connections in a row leave no descriptor and no memory behind |
//! | `clients` | `socat` and `nc` are served as they expect |
//! | `connecting` | an outbound connection is opened or closed, and notified once, in every mode |
//! | `control` | the control socket: an operator queries and commands, line by line, and delays no connection |
//! | `datagrams` | datagrams come with their sender, whole or marked as truncated; an error of the network ends nothing; others are served |
//! | `deadlines` | never reading, never writing and falling silent end in time, not before; no other connection is affected |
//! | `descriptors` | without a free descriptor nothing spins and no connection is lost; when one is free, service goes on |
//! | `differ` | the simulated kernel returns what the real one does, operations of io_uring included |
//! | `drain` | on SIGTERM requests that have arrived get their replies; a second one ends at once |
//! | `errors` | there are eight types of errors in the core and the library, and no public function returns another |
//! | `explore` | no order of events in a small world breaks a law, keeps anything from coming to rest, or leads from a state to one that is not documented |
//! | `explorer` | the lessons of the example end on this kernel as documented, and the library loses nothing in any |
//! | `fails_once` | whatever any one call returns, and whatever any two do, no other connection is affected |
//! | `fin` | bytes that come together with FIN get their reply before EOF |
//! | `full` | a full table waits, refuses or evicts, as configured |
//! | `fuzz_replay` | no input of a fuzz target breaks a law |
//! | `half_close` | either side may finish first |
//! | `http_status` | the example is a web server to browsers, benchmarks and attackers; requests, files, ranges and uploads are treated as RFC 9110 and 9112 require |
//! | `imports` | no file of the core imports, over others, itself: each can be understood after those that it imports |
//! | `inherited` | accepted connections have the options and flags of their listener |
//! | `inject` | whatever a system call returns, no other connection is affected, nothing spins, and service resumes |
//! | `linger` | a long reply arrives whole even if the client's input was left unread |
//! | `load` | the load generator finds no fault with a good server, and finds out one that changes, loses or keeps back bytes |
//! | `metrics` | the counters are served as metrics beside the service, in the format of Prometheus |
//! | `modbus_clients` | masters that others wrote use every function of the example |
//! | `modbus_tcp` | the example is a slave to masters that others wrote |
//! | `nesting` | a server serves from within another loop |
//! | `options` | every option works; an error is one line, with an exit code |
//! | `order` | the source that was ready first is serviced first; newcomers come in a few at a time |
//! | `output` | a slow reader of the output, or none at all, stops no connection |
//! | `picture` | a trace is drawn, for Perfetto and for any browser |
//! | `places` | IPv4, IPv6 and Unix sockets at once; stale files, files in use, files of others |
//! | `privileges` | with `--user`, privileges are gone before any client is served, in every thread, for good |
//! | `record` | what is recorded stays within its bounds and delays no connection; what is missing is counted |
//! | `recorder` | the program prints its last inputs on request |
//! | `relay` | the example forwards bytes and EOF both ways, and a slow peer delays no other connection |
//! | `replay` | what the program recorded happens again, bit for bit, or the first difference is shown |
//! | `reset` | a reset before or after the accept ends one connection |
//! | `samples` | the sample service files are what their readers take them for |
//! | `resp_clients` | the clients of today that redis has connect to the example and are content, and it replies as redis does |
//! | `resp_kv` | the example is a store to redis' own clients |
//! | `segments` | one byte at a time is as good as all at once |
//! | `serial_bridge` | the example passes bytes on both ways between a client and a serial line, which may go and come back |
//! | `service_manager` | a service manager is notified that the program serves, how many, that it lives, and that it stops; it passes sockets |
//! | `session` | a session is the same byte for byte under every backend and trigger |
//! | `shrink` | a failing scene is reduced to at most twenty steps, and printed as a test |
//! | `signals` | interrupted calls lose no byte and shorten no wait |
//! | `socket_files` | the file of a Unix socket has its mode and owner from the first moment; a stale one is replaced, another's stays, ours goes |
//! | `spin` | bounded spinning: no sleep for so long after an event, none before the first, and no deadline is missed; a half-closed connection wakes nothing |
//! | `stale` | events of a connection that is gone reach no other, and do not spin |
//! | `stop` | a server is stopped from any thread |
//! | `streams` | pipes, terminals and serial lines are connections like any other, in every mode |
//! | `syslog` | the log goes to syslog on request; if that takes none, lines are dropped and counted, and nothing waits |
//! | `syslog_sink` | the example keeps what others log, over UDP, TCP and Unix sockets, as long as it fits |
//! | `system_calls` | the program does with the system calls that `docs/system-calls.md` lists; any other would kill it |
//! | `text` | what the pages point to exists, and `docs/text.md` leaves no lesson out |
//! | `thousand` | a thousand connections at once each get their own bytes |
//! | `timers` | no timer is early and none is lost, on every backend |
//! | `traces` | what the program recorded on another machine happens again on this one |
//! | `types` | the core has few public types |
//! | `udp_echo` | a reply leaves from the address of the request, on every backend; groups; what the kernel drops is counted |
//! | `urgent` | urgent bytes and passed descriptors lose nothing behind them |
//! | `watch` | watched descriptors, wake-ups and children are notified, on every backend |
//! | `wrong_kernels` | each of 22 wrong simulated kernels is distinguished from the real one |

extern crate alloc;

#[cfg(feature = "kernel")]
pub mod attack;
#[cfg(feature = "bench")]
pub mod bench;
#[cfg(feature = "kernel")]
pub mod bounded;
#[cfg(feature = "kernel")]
pub mod clients;
#[cfg(feature = "kernel")]
pub mod copied;
#[cfg(feature = "kernel")]
pub mod differ;
mod dispatch;
#[cfg(feature = "explore")]
pub mod explore;
mod framing;
#[cfg(feature = "kernel")]
pub mod http;
#[cfg(feature = "kernel")]
pub mod listed;
#[cfg(feature = "load")]
pub mod load;
#[cfg(feature = "kernel")]
pub mod modes;
#[cfg(feature = "kernel")]
pub mod namespace;
#[cfg(feature = "kernel")]
pub mod net;
#[cfg(feature = "kernel")]
pub mod process;
#[cfg(feature = "replay")]
pub mod replay;
#[cfg(feature = "http")]
mod request;
#[cfg(feature = "kernel")]
pub mod server;
mod sim;
mod small;
#[cfg(feature = "kernel")]
pub mod strace;
#[cfg(feature = "kernel")]
pub mod terminal;

pub use dispatch::dispatch;
pub use framing::framing;
#[cfg(feature = "http")]
pub use request::request;
pub use sim::{App, Case, Manner, State, sim};
pub use small::{escape, token};

/// The code in the README is compiled.
#[cfg(all(doctest, feature = "replay"))]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The code in the README of the library's package is compiled.
#[cfg(all(doctest, feature = "replay"))]
#[doc = include_str!("../../linux/tidegate/README.md")]
struct ReadmeOfLibrary;
