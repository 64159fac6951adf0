//! Thirty wrong cores, each a change of a few lines that a developer might make. They are text, applied to a copy
//! of the sources, so that nothing that is built from the sources themselves can contain one.

/// A wrong core.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) name: &'static str,
    /// Each: a file below `core/src`, a text that stands in it once, and what stands there in this one.
    pub(crate) changes: &'static [(&'static str, &'static str, &'static str)],
}

pub(crate) const CORES: [Wrong; 30] = [
    Wrong {
        name: "no generation check",
        changes: &[
            (
                "slot/mod.rs",
                "self.generation == token.generation() && !self",
                "!self",
            ),
            (
                "slot/mod.rs",
                "self.generation == token.generation() && self.readiness",
                "self.readiness",
            ),
        ],
    },
    Wrong {
        name: "DEL after close",
        changes: &[
            (
                "dispatcher/serve.rs",
                "if let Some(was) = slot.readiness.disarm() {",
                "if let Some(was) = None::<Directions> {",
            ),
            (
                "dispatcher/serve.rs",
                "if slot.call == Some(Call::Close) {\n            return None;",
                "if slot.call == Some(Call::Close) {\n            let now = Directions::NONE;\n            return (slot.readiness.disarm()).map(|was| Action::Arm { token, was, now, trigger });",
            ),
        ],
    },
    Wrong {
        name: "no pause at EMFILE",
        changes: &[(
            "dispatcher/listener.rs",
            "Fault::Exhausted(_) | Fault::Unknown(_) => fault = Some(failed),",
            "Fault::Exhausted(_) => {}\n                    Fault::Unknown(_) => fault = Some(failed),",
        )],
    },
    Wrong {
        name: "read interest kept when full",
        changes: &[
            (
                "slot/mod.rs",
                "\n                    && self.rx.end < windows.receive",
                "",
            ),
            (
                "slot/mod.rs",
                "let has_room = self.rx.end < windows.receive;",
                "let has_room = true;",
            ),
        ],
    },
    Wrong {
        name: "HUP ignored",
        changes: &[(
            "dispatcher/turn.rs",
            "if closing {\n            reported",
            "if closing && false {\n            reported",
        )],
    },
    Wrong {
        name: "RDHUP taken for close",
        changes: &[(
            "dispatcher/turn.rs",
            "reported = Directions::BOTH;\n            slot.suspect(trigger);",
            "slot.suspect(trigger);\n            return self.begin_close(index, Reason::PeerFinished);",
        )],
    },
    Wrong {
        name: "close without linger",
        changes: &[(
            "dispatcher/serve.rs",
            "State::Lingering => {\n                if slot.flags.has(Flags::ENDED) {",
            "State::Lingering => {\n                if true {",
        )],
    },
    Wrong {
        name: "timer early by rounding",
        changes: &[
            (
                "deadlines/classes.rs",
                "now.plus_nanos(self.length.saturating_add(self.granule))",
                "now.plus_nanos(self.length)",
            ),
            (
                "deadlines/mod.rs",
                "deadline > now.plus_nanos(self.length(class))",
                "deadline.plus_nanos(self.length(class) / 64) > now.plus_nanos(self.length(class))",
            ),
        ],
    },
    Wrong {
        name: "timer not cancelled",
        changes: &[
            (
                "dispatcher/turn.rs",
                "            return;\n        }\n        self.unlink(index);\n        self.timers.cancel",
                "            return;\n        }\n        self.timers.cancel",
            ),
            (
                "dispatcher/turn.rs",
                "        self.unlink(index);\n        self.m.schedule.remove",
                "        self.m.schedule.remove",
            ),
        ],
    },
    Wrong {
        name: "write interest kept",
        changes: &[(
            "readiness.rs",
            "Self::Level if missing || (unwanted && !wanted.contains(armed)) => Some(wanted),",
            "Self::Level if missing => Some(wanted | armed),",
        )],
    },
    Wrong {
        name: "accept loop unbounded",
        changes: &[
            (
                "dispatcher/listener.rs",
                "slot.readiness.clear_ready(Directions::READ.when(!another));",
                "let _ = another;",
            ),
            (
                "dispatcher/listener.rs",
                "if issue.is_empty() || !self.m.schedule.may_receive() {",
                "if issue.is_empty() {",
            ),
        ],
    },
    Wrong {
        name: "short read in edge mode",
        changes: &[(
            "dispatcher/answer.rs",
            "if short\n            && (n == 0\n                || (!slot.flags.has(Flags::CLOSING)\n                    && (self.m.trigger != Trigger::Edge || record.is_tcp())))",
            "let _ = &record;\n        if short",
        )],
    },
    Wrong {
        name: "error read twice",
        changes: &[(
            "dispatcher/answer.rs",
            "Fault::Reset(_)\n            | Fault::Refused(_)",
            "Fault::Reset(_) if direction == Directions::READ => {}\n            Fault::Reset(_)\n            | Fault::Refused(_)",
        )],
    },
    Wrong {
        name: "EINTR as error",
        changes: &[(
            "dispatcher/answer.rs",
            "Fault::Interrupted(_) => {}\n            Fault::Exhausted(_)",
            "Fault::Interrupted(_) => self.begin_close(index, Reason::Failed(fault)),\n            Fault::Exhausted(_)",
        )],
    },
    Wrong {
        name: "ENOBUFS as error",
        changes: &[(
            "dispatcher/answer.rs",
            "Fault::Exhausted(_) => self.wait_for_memory(index, direction, fault),",
            "Fault::Exhausted(_) => self.begin_close(index, Reason::Failed(fault)),",
        )],
    },
    Wrong {
        name: "ready queue LIFO",
        changes: &[
            (
                "queue.rs",
                "self.all.push(members, index);",
                "self.all.push_first(members, index);",
            ),
            (
                "queue.rs",
                "    /// Takes a member out, which stands in this queue.",
                "    pub(crate) fn push_first(&mut self, members: &mut impl Linked, index: u32) {
        *members.link(index) = Link { prev: NONE, next: self.head };
        match self.head {
            NONE => self.tail = index,
            head => members.link(head).prev = index,
        }
        self.head = index;
        self.len = self.len.saturating_add(1);
    }

    /// Takes a member out, which stands in this queue.",
            ),
        ],
    },
    Wrong {
        name: "slot freed twice",
        changes: &[(
            "dispatcher/answer.rs",
            "self.release(index);\n        self.slot_freed();",
            "self.release(index);\n        self.release(index);\n        self.slot_freed();",
        )],
    },
    Wrong {
        name: "generation not raised",
        changes: &[(
            "slot/state.rs",
            "self.generation.checked_add(1)",
            "self.generation.checked_add(0)",
        )],
    },
    Wrong {
        name: "output cut",
        changes: &[(
            "slot/state.rs",
            "self.state = State::Finishing;",
            "self.state = State::Finishing;\n        self.tx = Cursors::EMPTY;",
        )],
    },
    Wrong {
        name: "deadline missing while lingering",
        changes: &[(
            "dispatcher/deadline/mod.rs",
            "State::Finishing | State::Lingering => Class::Linger,",
            "State::Lingering => return None,\n            State::Finishing => Class::Linger,",
        )],
    },
    Wrong {
        name: "no rest while sends block",
        changes: &[(
            "dispatcher/answer.rs",
            "if edge || attempts.doubted().contains(direction) {",
            "if false {",
        )],
    },
    Wrong {
        name: "a trace entry left out",
        changes: &[(
            "session/conn.rs",
            "        self.record(Input::Finish);\n",
            "",
        )],
    },
    Wrong {
        name: "a timer told after bytes",
        changes: &[
            (
                "session/mod.rs",
                "        while let Some(notice) = self.machine.poll_timer() {\n            self.tell(notice, None, None);\n        }\n",
                "",
            ),
            (
                "session/mod.rs",
                "        let output = self.machine.poll_output();\n",
                "        let output = self.machine.poll_output();\n        if output.is_none() {\n            while let Some(notice) = self.machine.poll_timer() {\n                self.tell(notice, None, None);\n            }\n        }\n",
            ),
        ],
    },
    Wrong {
        name: "starved ignored by evict",
        changes: &[(
            "dispatcher/serve.rs",
            " || self.admission.waits_for_idle()",
            "",
        )],
    },
    Wrong {
        name: "an area kept",
        changes: &[(
            "session/bytes.rs",
            "if left.len > 0 {\n            self.write_back(left);\n        }",
            "let _ = left;",
        )],
    },
    Wrong {
        name: "a transition that forgets its deadline",
        changes: &[(
            "dispatcher/deadline/mod.rs",
            "State::Open | State::HalfClosing | State::HalfClosed => self.class_of_open(first_byte),",
            "State::Open | State::HalfClosing | State::HalfClosed => {\n                match self.class_of_open(first_byte) {\n                    Class::HalfClosed => return None,\n                    class => class,\n                }\n            }",
        )],
    },
    Wrong {
        name: "a priority that starves",
        changes: &[(
            "schedule/priority.rs",
            "self.others_next = !self.others_next && self.fresh.others_len() > 0;",
            "self.others_next = false;",
        )],
    },
    Wrong {
        name: "a token of one kind taken for another",
        changes: &[(
            "dispatcher/answer.rs",
            "_ if token.is_listener() =>",
            "_ if false =>",
        )],
    },
    Wrong {
        name: "a completion for another's operation",
        changes: &[(
            "slot/mod.rs",
            "&& self.readiness.is_in_flight(direction)",
            "&& !self.readiness.in_flight().is_empty()",
        )],
    },
    Wrong {
        name: "a datagram socket armed once and for ever",
        changes: &[(
            "dispatcher/serve.rs",
            "State::Datagrams => (self.next_datagram(index)).or_else(|| self.rearm(index, true)),",
            "State::Datagrams => (self.next_datagram(index)).or_else(|| {
                let is_armed = !self.slots.at(index).readiness.armed().is_empty();
                (!is_armed).then(|| self.rearm(index, true)).flatten()
            }),",
        )],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    /// Otherwise the list is out of date, and only the long run would find out.
    #[test]
    fn every_change_fits_the_sources_once() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src");
        for core in &CORES {
            let mut names: Vec<_> = CORES
                .iter()
                .filter(|other| other.name == core.name)
                .collect();
            assert_eq!(
                names.pop().map(|_| names.len()),
                Some(0),
                "{}: one name",
                core.name
            );
            for (file, right, wrong) in core.changes {
                let text = fs::read_to_string(sources.join(file)).expect("a file of the core");
                assert_eq!(
                    text.matches(right).count(),
                    1,
                    "{}: {file}: {right}",
                    core.name
                );
                assert_ne!(right, wrong, "{}", core.name);
            }
        }
    }
}
