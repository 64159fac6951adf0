//! No backtraces where there are no symbols: what reads them from an executable is a fifth of this program, and finds
//! none in one that is stripped. A panic still prints its message, and its line.

use core::ffi::{c_int, c_void};

/// Calls `_frame` for no frame, in place of the unwinder's function of this name, so that what `std` calls for a frame is not
/// linked. Nothing else here unwinds: a panic ends the process.
///
/// # References
///
/// - [Linux Standard Base, `_Unwind_Backtrace`](https://refspecs.linuxbase.org/LSB_5.0.0/LSB-Core-generic/LSB-Core-generic/baselib--unwind-backtrace.html)
// SAFETY: the one function of this name in the program; it has the unwinder's signature and touches nothing.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(
    _frame: extern "C" fn(*mut c_void, *mut c_void) -> c_int,
    _argument: *mut c_void,
) -> c_int {
    /// `_URC_END_OF_STACK`.
    const END_OF_STACK: c_int = 5;
    END_OF_STACK
}
