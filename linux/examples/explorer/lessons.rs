//! The lessons: scripts with a word on each, in the order of the text that this project grew out of.

use super::watch::Way;
use tidegate::Trigger;

pub(crate) struct Lesson {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) says: &'static str,
    pub(crate) script: &'static str,
    pub(crate) ways: &'static [Way],
}

const LEVEL: Way = Way::Epoll(Trigger::Level);

pub(crate) const LESSONS: &[Lesson] = &[
    Lesson {
        name: "blocking",
        title: "Blocking: one receive holds up everybody",
        says: "A receive waits until there is something. Client 1 says nothing, so client 2 is not served, although all of \
               its bytes are there. Here the wait is ended after a moment; a real one lasts as long as client 1 likes.",
        script: "client 2: send 5; server: read 5 from 1; read 5 from 2",
        ways: &[Way::Blocking],
    },
    Lesson {
        name: "non-blocking",
        title: "Non-blocking: a call reports that there is nothing",
        says: "The receive returns at once, \"would block\" (an exception in Python, EAGAIN here), and the program goes on \
               with something else. But nothing notifies it when to try again.",
        script: "client 2: send 5; server: read 5 from 1; read 5 from 2; client 1: send 3; server: read 5 from 1",
        ways: &[Way::NonBlocking],
    },
    Lesson {
        name: "round-robin",
        title: "Polling round robin: every socket is tried, again and again",
        says: "A loop over all sockets finds each that has data; it costs a call for each socket, ready or not, and never \
               sleeps. Beside it epoll, which is called once and returns those that are ready.",
        script: "client 1: connect; client 2: connect; client 3: connect; client 4: connect; \
                 server: accept; accept; accept; accept; client 3: send 5; server: wait; read 5 from 3; wait; wait",
        ways: &[Way::NonBlocking, LEVEL],
    },
    Lesson {
        name: "select-and-poll",
        title: "select and poll: all are handed over at each wait",
        says: "One call asks about all sockets, and the program may sleep in it; but the list goes to the kernel each time. \
               Both are level: what was left is reported again.",
        script: "client 1: send 6; client 2: send 2; server: wait; read 5 from 1; read 5 from 2; wait; read 5 from 1; wait",
        ways: &[Way::Select, Way::Poll, LEVEL],
    },
    Lesson {
        name: "level",
        title: "Level: reported again until it is taken",
        says: "An event is reported and need not be handled at once: each wait reports what is still there. Forgetting to \
               read costs another report, and nothing is lost.",
        script: "client: send 6; server: wait; wait; read 3; wait; read 3; wait",
        ways: &[LEVEL],
    },
    Lesson {
        name: "edge",
        title: "Edge: reported once",
        says: "What is not taken when it is reported is not reported again. Three bytes stay until more arrive; if the \
               client waits for a reply to them, both wait for ever. One-shot is as silent, until it is armed again.",
        script: "client: send 6; server: wait; read 3; wait; wait",
        ways: Way::EPOLL,
    },
    Lesson {
        name: "drain",
        title: "Edge, done right: read until it would block",
        says: "A program that reads until the receive would block has taken all that there was, and the next byte is a new edge. A \
               one-shot registration has to be armed again.",
        script: "client: send 6; server: wait; drain 4; arm; wait; client: send 2; server: wait; drain 4; arm; wait",
        ways: Way::EPOLL,
    },
    Lesson {
        name: "five-bytes",
        title: "The text's program: five bytes for each report",
        says: "It registers for edges and receives five bytes once. The sixth byte stays until more arrives, and from then on \
               the program is behind for ever. The library has no larger buffer here: its receive window is five bytes.",
        script: "client: send 6; server: serve 5; serve 5; client: send 5; server: serve 5; serve 5",
        ways: Way::EPOLL,
    },
    Lesson {
        name: "burst",
        title: "Three clients at once, one accept for each report",
        says: "In level mode the next wait reports the listener again, so one accept each time is enough. By edges one report \
               stands for all three, and two clients wait for ever. The library's listeners are always level.",
        script: "client 1: connect; client 2: connect; client 3: connect; server: serve 5; serve 5; serve 5",
        ways: Way::EPOLL,
    },
    Lesson {
        name: "greedy",
        title: "Read until it would block, from one that never stops",
        says: "Client 1 sends as fast as it is read. A program that reads until the receive would block does not come back, \
               and client 2 waits. The library reads a quantum, then services the next client.",
        script: "client 1: flood 4096; client 2: send 5; server: wait; drain 4096 from 1; wait; read 5 from 2",
        ways: Way::EPOLL,
    },
    Lesson {
        name: "half-close",
        title: "Half-close: the end comes after the data",
        says: "The client has sent six bytes and FIN, and would read a reply. A program that asks for RDHUP gets IN|RDHUP, \
               which is not exactly IN: the text's comparison passes over it.",
        script: "server: ask in rdhup; client: send 6; finish; server: serve 5; serve 5",
        ways: Way::EPOLL,
    },
    Lesson {
        name: "reset",
        title: "A reset: reported unasked, and not exactly IN",
        says: "ERR and HUP are reported whether they were asked for or not. The text's program passes over them: in level mode \
               it spins, in edge mode the connection stays in its maps for ever.",
        script: "client 1: reset; client 2: send 5; server: serve 5; serve 5",
        ways: Way::EPOLL,
    },
    Lesson {
        name: "exception",
        title: "An unexpected error ends the service",
        says: "select has no bit for an error: a reset is reported as readable, the receive fails, and in the text's program \
               that is an uncaught exception. Client 2 is not served any more.",
        script: "client 1: reset; client 2: send 5; server: serve 5; serve 5",
        ways: &[Way::Select],
    },
    Lesson {
        name: "stale-event",
        title: "A stale event: the number is another's by now",
        says: "One wait reports 1, 2 and the listener. The data of client 1 makes the program close 2; client 3 is accepted and \
               gets the number that was 2's, the lowest free one. Then comes the report of that number. The library's \
               token names an incarnation, so it knows.",
        script: "client 1: send 5; client 2: send 5; client 3: connect; send 5; \
                 server: wait; read 5 from 1; close 2; accept; read 5 from 2; wait; read 5 from 3; wait",
        ways: Way::EPOLL,
    },
];

pub(crate) fn named(name: &str) -> Option<&'static Lesson> {
    LESSONS.iter().find(|lesson| lesson.name == name)
}
