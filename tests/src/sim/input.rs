//! [`Case`]: the fuzzer's bytes as a world.

use super::{Manner, N};
use arbitrary::Unstructured;
use core::time::Duration;
use tidegate_core::{Config, FullTable};
use tidegate_sim::{Call, Fault, Faults, Interface, Limits, Scene, Script, Setup};

/// Peers at most.
const PEERS: u8 = 6;
/// Steps of a script at most.
const STEPS: u8 = 12;

/// What a run is made of.
#[derive(Debug)]
pub struct Case {
    /// What a world is made of, but for its handler.
    pub scene: Scene,
    /// What its handler is like.
    pub manner: Manner,
}

/// Bytes taken one at a time from the front; 0 once they are used up.
struct Input<'a>(Unstructured<'a>);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        self.0.arbitrary().unwrap_or(0)
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::from(self.byte()) % of.len()]
    }

    /// A length up to some hundreds; most are small.
    fn length(&mut self) -> usize {
        match self.byte() {
            byte @ 0..=199 => usize::from(byte) % 50,
            byte => (usize::from(byte) - 199) * 6,
        }
    }
}

impl Case {
    /// What these bytes, any bytes, decide.
    #[must_use]
    pub fn decode(data: &[u8]) -> Self {
        let mut input = Input(Unstructured::new(data));
        let input = &mut input;
        let manner = input.byte();
        let manner = match manner % 5 {
            _ if manner >= 248 => Manner::Relay,
            _ if manner >= 240 => Manner::Wild(input.byte().into()),
            0 => Manner::Echo,
            1 => Manner::Chat,
            2 => Manner::Long(u32::from(input.byte()) / 4),
            _ => Manner::Whim(input.byte().into()),
        };
        let setup = setup(input, manner);
        let peers = 1 + input.byte() % PEERS;
        let scripts = (0..peers).map(|_| script(input)).collect();
        let scene = Scene { setup, scripts };
        Self { scene, manner }
    }
}

fn setup(input: &mut Input<'_>, manner: Manner) -> Setup {
    let seed = input.byte();
    let (priority, limited) = (seed & 128 != 0, seed & 64 != 0);
    let seed = seed.into();
    let interface = input.pick(&Interface::ALL);
    let bits = input.byte();
    let connections = 1 + u32::from(bits) % u32::try_from(N).unwrap_or(1);
    Setup {
        seed,
        interface,
        config: config(input, manner, connections),
        per_source: [None, None, Some(1), Some(2)][usize::from(bits >> 2 & 3)],
        priority,
        reserved: 0,
        at_most: (bits & 16 == 0 && limited).then_some(1 + connections / 2),
        limits: Limits {
            tcp_buffer: input.pick(&[64, 200, 1000, 64 * 1024]),
            tcp_window: input.pick(&[0, 64, 500]),
            descriptors: if bits & 16 == 0 {
                1024
            } else {
                2 + connections
            },
            ..Limits::default()
        },
        backlog: usize::from(bits >> 5 & 1) * 16,
        faults: faults(input, seed),
        noise: bits & 64 != 0,
        clock_jumps: bits & 128 != 0,
        echo: matches!(manner, Manner::Relay | Manner::Wild(_)),
    }
}

/// Deadlines may be off where connections end without them: a handler of whims need not finish.
fn config(input: &mut Input<'_>, manner: Manner, connections: u32) -> Config {
    let default = Config::default();
    let off = input.byte();
    let polite = !matches!(manner, Manner::Whim(_) | Manner::Wild(_));
    let unless =
        |bit: u8, length: Option<Duration>| length.filter(|_| !polite || off >> bit & 1 == 0);
    Config {
        connections: Some(connections),
        full: input.pick(&[FullTable::Wait, FullTable::Refuse, FullTable::Evict]),
        quantum: input.pick(&[16 * 1024, 1, 300]),
        iteration_bytes: input.pick(&[16 * 1024, 1, 300]),
        fresh_in_a_row: input.pick(&[8, 1, 2]),
        first_byte: unless(0, default.first_byte),
        request: unless(1, default.request),
        write_stall: unless(2, default.write_stall),
        idle: unless(3, default.idle),
        linger: unless(4, default.linger),
        connect: if off & 32 == 0 {
            default.connect
        } else {
            Some(Duration::from_secs(1))
        },
        linger_bytes: input.pick(&[64 * 1024, 0, 256]),
        accept_failures: input.pick(&[16, 1, 2]),
        accept_burst: input.pick(&[4, 1, 16]),
        ..default
    }
}

/// None, a swarm, or up to three that are named.
fn faults(input: &mut Input<'_>, seed: u64) -> Faults {
    match input.byte() {
        0..=63 => Faults::none(),
        byte @ 64..=159 => Faults::swarm(seed, 2 + u32::from(byte & 31), byte & 32 != 0),
        byte => {
            let named = (0..=byte % 3).map(|_| {
                let number = u64::from(input.byte());
                let call = input.pick(&Call::ALL);
                let passing = call.passing();
                let fatal = call.fatal();
                let of = if passing.is_empty() { fatal } else { passing };
                let fault = match input.byte() {
                    0..=99 => Fault::Short(u32::from(input.byte())),
                    100..=199 if !fatal.is_empty() => Fault::Errno(input.pick(fatal)),
                    _ if of.is_empty() => Fault::Short(1),
                    _ => Fault::Errno(input.pick(of)),
                };
                (number, call, fault)
            });
            Faults::each(named.collect())
        }
    }
}

fn script(input: &mut Input<'_>) -> Script {
    let steps = input.byte() % STEPS;
    (0..steps).fold(Script::new(), |script, _| match input.byte() % 16 {
        0 => script.stall(),
        1 => script.resume(),
        2 => script.segments(input.length()),
        3 => script.wait(Duration::from_millis(input.byte().into())),
        4 => script.wait(Duration::from_secs(input.byte().into())),
        5 => script.expect(input.length()),
        6 => script.send_urgent(input.byte()),
        7 => script.finish(),
        8 => script.reset(),
        9 => script.close(),
        _ => script.send(&vec![input.byte(); input.length()]),
    })
}
