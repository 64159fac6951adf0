//! Links only if no public verb of the core can panic: the panic handler calls an undefined function, so a panicking
//! path that is left after optimisation is an undefined symbol. The core is built with overflow checks, so arithmetic
//! that could wrap is such a path too.
//!
//! Every verb is an exported function here, with arguments that the compiler knows nothing of. What is proved is proved
//! for the compiler, the capacity and the windows of this build.
#![no_std]

mod beside;
mod datagrams;
mod framing;
mod machine;
mod session;
mod values;

use core::panic::PanicInfo;

unsafe extern "C" {
    /// Defined nowhere.
    fn a_panicking_path_remains() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: never linked, so never called.
    unsafe { a_panicking_path_remains() }
}

/// The counter-proof: this can panic.
#[cfg(feature = "broken")]
#[unsafe(no_mangle)]
pub fn broken(bytes: &[u8], at: usize) -> u8 {
    bytes[at]
}
