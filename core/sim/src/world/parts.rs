//! The parts of a setup: how each is written, and how it is reset to its default.

use super::{Interface, Setup};
use crate::faults::{Fault, Faults};
use crate::kernel::Limits;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;
use tidegate_core::Trigger;
use tidegate_core::errno::Errno;
use tidegate_core::{Config, FullTable, Sources};

/// One field of `T`.
pub(super) struct Part<T> {
    pub(super) name: &'static str,
    /// The expression that makes it.
    pub(super) code: fn(&T) -> String,
    /// Takes it from the other one.
    pub(super) reset: fn(&mut T, &T),
}

/// The fields of a type, all of them: one that is left out is an error of the pattern.
macro_rules! parts {
    ($list:ident: $type:ident { $($name:ident,)* } $(but $other:ident)?) => {
        pub(super) const $list: &[Part<$type>] = {
            const fn _all($type { $($name: _,)* $($other: _,)? }: &$type) {}
            &[$(Part {
                name: stringify!($name),
                code: |of| of.$name.code(),
                reset: |of, other| of.$name = other.$name.clone(),
            },)*]
        };
    };
}

parts!(SETUP: Setup {
    seed,
    interface,
    config,
    per_source,
    priority,
    reserved,
    at_most,
    limits,
    backlog,
    noise,
    clock_jumps,
    echo,
} but faults);

parts!(CONFIG: Config {
    connections,
    trigger,
    full,
    sources,
    quantum,
    iteration_bytes,
    fresh_in_a_row,
    connect,
    first_byte,
    request,
    write_stall,
    idle,
    half_closed,
    linger,
    congestion,
    linger_bytes,
    pause_min,
    pause_max,
    accept_failures,
    accept_burst,
    drain,
    spin,
    hash_seed,
});

parts!(LIMITS: Limits {
    descriptors,
    unix_buffer,
    unix_charge,
    tcp_buffer,
    tcp_window,
    merged_wake_ups,
});

/// A value as the Rust expression that makes it, where `tidegate_core::*` and `tidegate_sim as sim` are in scope.
pub(super) trait Code {
    fn code(&self) -> String;
}

/// The fields that are not as in the default, each in a line.
pub(super) fn fields<T: Default>(of: &T, parts: &[Part<T>], indent: usize) -> String {
    let default = T::default();
    let mut text = String::new();
    for part in parts {
        let code = (part.code)(of);
        if code != (part.code)(&default) {
            let name = part.name;
            text += &format!("{:indent$}{name}: {code},\n", "");
        }
    }
    text
}

fn whole<T: Default>(of: &T, parts: &[Part<T>], name: &str) -> String {
    let fields = fields(of, parts, 12);
    if fields.is_empty() {
        format!("{name}::default()")
    } else {
        format!("{name} {{\n{fields}            ..{name}::default()\n        }}")
    }
}

impl Code for Config {
    fn code(&self) -> String {
        whole(self, CONFIG, "Config")
    }
}

impl Code for Limits {
    fn code(&self) -> String {
        whole(self, LIMITS, "sim::Limits")
    }
}

macro_rules! plain {
    ($($type:ty),*) => {$(
        impl Code for $type {
            fn code(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

plain!(u16, u32, u64, usize, bool);

impl<T: Code> Code for Option<T> {
    fn code(&self) -> String {
        match self {
            Some(value) => format!("Some({})", value.code()),
            None => "None".to_string(),
        }
    }
}

impl<T: Code> Code for Vec<T> {
    fn code(&self) -> String {
        let items: Vec<_> = self.iter().map(Code::code).collect();
        format!("vec![{}]", items.join(", "))
    }
}

impl Code for Duration {
    fn code(&self) -> String {
        let (nanos, unit) = match self.as_nanos() {
            nanos if nanos.is_multiple_of(1_000_000_000) => (nanos / 1_000_000_000, "secs"),
            nanos if nanos.is_multiple_of(1_000_000) => (nanos / 1_000_000, "millis"),
            nanos => (nanos, "nanos"),
        };
        format!("core::time::Duration::from_{unit}({nanos})")
    }
}

impl Code for Sources {
    fn code(&self) -> String {
        format!("{self:?}")
    }
}

impl Code for FullTable {
    fn code(&self) -> String {
        format!("FullTable::{self:?}")
    }
}

impl Code for Trigger {
    fn code(&self) -> String {
        format!("Trigger::{self:?}")
    }
}

impl Code for Interface {
    fn code(&self) -> String {
        match self {
            Self::Readiness(trigger) => format!("sim::Interface::Readiness({})", trigger.code()),
            Self::Completion => "sim::Interface::Completion".to_string(),
        }
    }
}

impl Code for Faults {
    fn code(&self) -> String {
        if let Some((seed, one_in, fatal)) = self.drawn() {
            return format!("sim::Faults::swarm({seed}, {one_in}, {fatal})");
        }
        let faults = self.named().iter();
        let faults: Vec<_> = faults
            .map(|(number, call, fault)| {
                format!("({number}, sim::Call::{call:?}, {})", fault.code())
            })
            .collect();
        if faults.is_empty() {
            "sim::Faults::none()".to_string()
        } else {
            format!("sim::Faults::each(vec![{}])", faults.join(", "))
        }
    }
}

impl Code for Fault {
    fn code(&self) -> String {
        match self {
            Self::Errno(errno) => format!("sim::Fault::Errno({})", code_of(*errno)),
            Self::Short(most) => format!("sim::Fault::Short({most})"),
        }
    }
}

fn code_of(errno: Errno) -> String {
    match errno.name() {
        Some(name) => format!("sim::Errno::{name}"),
        None => format!("sim::Errno::new({})", errno.code()),
    }
}
