//! What the program recorded on another machine happens again on this one, whatever its width and byte order.

use std::fs;
use std::path::Path;
use tests::replay::{Tape, replay};
use tidegate_core::Memory;

/// Traces of the program, each with how many entries it has at least and whose handler is called.
const TRACES: [(&str, usize, Option<&str>); 3] = [
    ("echo.trace", 200, Some("echo")),
    ("echo-edge.trace", 200, None),
    ("chat.trace", 200, Some("chat")),
];

#[test]
fn what_was_recorded_elsewhere_happens_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces");
    let there = fs::read_dir(&folder).expect("a folder").count();
    assert_eq!(there, TRACES.len(), "each is in the list");
    for (name, least, service) in TRACES {
        let bytes = fs::read(folder.join(name)).expect(name);
        let tape = Tape::read(&[bytes]).expect(name);
        assert_eq!(tape.flaw, None, "{name}");
        assert!(tape.entries().len() > least, "{name}");
        for calls in [false, true] {
            let mut memory = Box::new(Memory::<8, 4096, 16384, u32>::new());
            let replayed = replay(&tape, &mut memory, None, calls).expect(name);
            if let Some(diverged) = replayed.diverged {
                panic!("{name}: {diverged}");
            }
            assert_eq!(replayed.entries, tape.entries().len(), "{name}");
            assert_eq!(replayed.service, service.filter(|_| !calls), "{name}");
        }
    }
}
