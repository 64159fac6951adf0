//! Twenty-two wrong kernels: each a change of a rule of the simulated one. They are text, applied to a copy of its sources,
//! so that the simulator itself contains none.

/// A wrong kernel.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) name: &'static str,
    /// Only operations of `io_uring(7)` show it.
    pub(crate) of_ring: bool,
    pub(crate) changes: &'static [Change],
}

/// An expression that is another one in a wrong kernel, of the same type.
#[derive(Debug)]
pub(crate) struct Change {
    /// Below `core/sim/src/kernel`.
    pub(crate) file: &'static str,
    /// A text that occurs once in the file, and in which the expression occurs once.
    pub(crate) around: &'static str,
    pub(crate) right: &'static str,
    pub(crate) wrong: &'static str,
}

const fn wrong(name: &'static str, changes: &'static [Change]) -> Wrong {
    Wrong {
        name,
        of_ring: false,
        changes,
    }
}

const fn of_ring(name: &'static str, changes: &'static [Change]) -> Wrong {
    Wrong {
        of_ring: true,
        ..wrong(name, changes)
    }
}

const fn change(
    file: &'static str,
    around: &'static str,
    right: &'static str,
    wrong: &'static str,
) -> Change {
    Change {
        file,
        around,
        right,
        wrong,
    }
}

pub(crate) const KERNELS: [Wrong; 22] = [
    wrong(
        "a level-triggered item goes back to the head of the ready list",
        &[change(
            "epoll.rs",
            "set.ready.append(&mut back)",
            "set.ready.append(&mut back)",
            "back.into_iter().for_each(|key| set.ready.push_front(key))",
        )],
    ),
    wrong(
        "a level-triggered item is reported once and not queued again",
        &[change("interest.rs", AGAIN, AGAIN, "false")],
    ),
    wrong(
        "an edge-triggered item is queued again like a level-triggered one",
        &[change("interest.rs", AGAIN, AGAIN, "true")],
    ),
    wrong(
        "a modification leaves a fired one-shot item silent",
        &[change(
            "interest.rs",
            "self.fired = false",
            "self.fired = false",
            "()",
        )],
    ),
    wrong(
        "a modification does not queue an item that is ready",
        &[change(
            "epoll.rs",
            "item.interest.modify(mask);\n        self.queue_if_ready(set, key)",
            "self.queue_if_ready(set, key)",
            "()",
        )],
    ),
    wrong(
        "a registration does not queue an item that is ready",
        &[change(
            "epoll.rs",
            "(set, key.0));\n        }\n        self.queue_if_ready(set, key)",
            "self.queue_if_ready(set, key)",
            "()",
        )],
    ),
    wrong(
        "every wake-up reaches every item, whatever its interest",
        &[change("interest.rs", ASKED, ASKED, "true")],
    ),
    wrong(
        "a change of state wakes only items with an interest in input",
        &[change(
            "interest.rs",
            ASKED,
            ASKED,
            "self.mask.intersects(if what.is_empty() { EpollFlags::IN } else { what })",
        )],
    ),
    wrong(
        "hang-up and error are reported only on request",
        &[
            change(
                "interest.rs",
                "mask: mask | UNASKED",
                "UNASKED",
                "EpollFlags::NONE",
            ),
            change(
                "interest.rs",
                "self.mask = mask | UNASKED",
                "UNASKED",
                "EpollFlags::NONE",
            ),
        ],
    ),
    wrong(
        "what was true when an item was queued is reported, true or not",
        &[change(
            "interest.rs",
            "let flags = bits & mask",
            "bits & mask",
            "mask - EpollFlags::from_bits(0xf << 28) - UNASKED",
        )],
    ),
    wrong(
        "a writer is never told of free capacity",
        &[change(
            "stream.rs",
            "if socket.end.acknowledge(freed, buffer) {",
            "socket.end.acknowledge(freed, buffer)",
            "{ socket.end.acknowledge(freed, buffer); false }",
        )],
    ),
    wrong(
        "reading a part of a write already wakes its writer",
        &[change(
            "stream.rs",
            "if socket.end.acknowledge(freed, buffer) {",
            "socket.end.acknowledge(freed, buffer)",
            "socket.end.acknowledge(freed, buffer)
                || socket.end.family == Family::Unix && socket.end.is_writable(buffer, 1)",
        )],
    ),
    wrong(
        "a withdrawn item stays in the ready list",
        &[change(
            "epoll.rs",
            "entry.remove(key)",
            "entry.remove(key)",
            "entry.items.remove(&key)",
        )],
    ),
    wrong(
        "the last close of a socket leaves its item in the ready list",
        &[change(
            "mod.rs",
            "set.remove((fd, at))",
            "set.remove((fd, at))",
            "set.items.remove(&(fd, at))",
        )],
    ),
    wrong(
        "one shut direction is already a hang-up",
        &[change(
            "endpoint.rs",
            "let both = self.receive_shut && self.send_shut",
            "self.receive_shut && self.send_shut",
            "self.receive_shut || self.send_shut",
        )],
    ),
    wrong(
        "the peer's FIN is RDHUP without IN",
        &[change(
            "endpoint.rs",
            "EpollFlags::RDHUP | EpollFlags::IN",
            "EpollFlags::RDHUP | EpollFlags::IN",
            "EpollFlags::RDHUP",
        )],
    ),
    wrong(
        "a close with unread input is an orderly end",
        &[change(
            "stream.rs",
            "let reset = unread || socket.resets",
            "unread || socket.resets",
            "false",
        )],
    ),
    wrong(
        "a shutdown wakes only the other end",
        &[change(
            "stream.rs",
            "Family::Unix => {\n                self.wake(at, Endpoint::STATE)",
            "self.wake(at, Endpoint::STATE)",
            "()",
        )],
    ),
    wrong(
        "items that did not fit into a wait go behind those that did",
        &[change(
            "epoll.rs",
            "set.ready.append(&mut back)",
            "set.ready.append(&mut back)",
            "{ back.append(&mut set.ready); set.ready = back; }",
        )],
    ),
    wrong(
        "a one-shot item that has fired still reports hang-ups and errors",
        &[
            change(
                "interest.rs",
                "self.mask.when(!self.fired)",
                "self.mask.when(!self.fired)",
                "if self.fired { UNASKED } else { self.mask }",
            ),
            change(
                "interest.rs",
                AGAIN,
                AGAIN,
                "!self.fired && !mask.contains(EpollFlags::ET)",
            ),
            change("interest.rs", "asked && !self.fired", "!self.fired", "true"),
        ],
    ),
    of_ring(
        "a multishot receive always completes with a reset behind bytes",
        &[change(
            "multishot.rs",
            "wake_ups > 1 && !merges",
            "wake_ups > 1 && !merges",
            "true",
        )],
    ),
    of_ring(
        "what a multishot receive has missed, receives that complete once miss, too",
        &[
            change(
                "multishot.rs",
                "&& let Some(wake_ups) = &mut socket.multishot",
                "&mut socket.multishot",
                "{ socket.forgotten.set(false); &mut socket.multishot }",
            ),
            change(
                "multishot.rs",
                "\n        Some(0)\n",
                "Some(0)",
                "{ self.forgotten.set(self.end.error.is_some()); Some(0) }",
            ),
            change(
                "multishot.rs",
                "self.stream(fd)?;\n        self.recv(fd, into)",
                "self.recv(fd, into)",
                "{ let at = self.stream(fd)?; match self.socket(at) {
                    Some(socket) if socket.forgotten.get() && socket.end.unread == 0 => Err(Errno::AGAIN),
                    _ => self.recv(fd, into),
                } }",
            ),
        ],
    ),
];

const AGAIN: &str = "!mask.contains(EpollFlags::ET)";
const ASKED: &str = "what.is_empty() || self.mask.intersects(what)";

/// What they need to remember, which the right one does not: a file below `core/sim/src`, a text that occurs once in it, and
/// what is put behind that.
pub(crate) const ADDED: [(&str, &str, &str); 3] = [
    (
        "kernel/socket.rs",
        "pub(super) multishot: Option<u32>,",
        "\n    pub(super) forgotten: core::cell::Cell<bool>,",
    ),
    (
        "kernel/socket.rs",
        "multishot: None,",
        "\n            forgotten: core::cell::Cell::new(false),",
    ),
    ("lib.rs", "mod world;", "\nmod wrong;"),
];

/// The file that names the wrong kernel.
pub(crate) const CHOICE: &str = "\
//! Which wrong kernel this is: the one of this number; none if there is none.
extern crate std;

pub(crate) fn is(number: usize) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<usize>> = std::sync::OnceLock::new();
    *CHOSEN.get_or_init(|| std::env::var(\"WRONG_KERNEL\").ok()?.parse().ok()) == Some(number)
}
";
