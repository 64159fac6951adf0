//! The system calls that rustix has no function for: options of sockets, and `sendmsg(2)` with any ancillary data.
//!
//! As instructions where Rust has them and this file the numbers; elsewhere, and with the feature `use-libc`, as the functions
//! of the C library.

use core::ffi::{c_int, c_void};
use rustix::io::Errno;

/// `setsockopt(2)` of the option of this level and name.
///
/// # Safety
///
/// `value` must be as the option has it; if that holds a pointer, what the kernel does with it must be sound.
pub(crate) unsafe fn set_option(
    socket: c_int,
    (level, name): (c_int, c_int),
    value: &[u8],
) -> Result<(), Errno> {
    // SAFETY: the kernel reads so many bytes there during the call; the rest is the caller's promise.
    unsafe { way::set_option(socket, level, name, value) }
}

/// `getsockopt(2)`: how many bytes of `into` were written.
///
/// # Safety
///
/// The option must be one that only writes its value into the buffer.
#[cfg(any(feature = "std", feature = "use-libc", test))]
pub(crate) unsafe fn get_option(
    socket: c_int,
    (level, name): (c_int, c_int),
    into: &mut [u8],
) -> Result<usize, Errno> {
    let mut len = u32::try_from(into.len()).unwrap_or(u32::MAX);
    // SAFETY: the kernel writes at most `len` bytes there during the call, and how many; the rest is the caller's promise.
    unsafe { way::get_option(socket, level, name, into, &mut len) }?;
    Ok(len as usize)
}

/// `sendmsg(2)`: how many bytes were sent.
///
/// # Safety
///
/// `message` must point to a valid `struct msghdr`.
pub(crate) unsafe fn send_message(
    socket: c_int,
    message: *const c_void,
    flags: c_int,
) -> Result<usize, Errno> {
    // SAFETY: the kernel writes nothing; the rest is the caller's promise.
    unsafe { way::send_message(socket, message, flags) }
}

/// As instructions.
#[cfg(all(
    not(feature = "use-libc"),
    any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "riscv64"
    )
))]
mod way {
    use core::arch::asm;
    use core::ffi::{c_int, c_void};
    use core::ptr;
    use rustix::io::Errno;

    /// `sendmsg`, `setsockopt` and `getsockopt`.
    #[cfg(target_arch = "x86_64")]
    const NUMBERS: [isize; 3] = [46, 54, 55];
    #[cfg(not(target_arch = "x86_64"))]
    const NUMBERS: [isize; 3] = [211, 208, 209];
    const SEND: isize = NUMBERS[0];
    const SET: isize = NUMBERS[1];
    #[cfg(any(feature = "std", feature = "use-libc", test))]
    const GET: isize = NUMBERS[2];

    pub(super) unsafe fn set_option(
        socket: c_int,
        level: c_int,
        name: c_int,
        value: &[u8],
    ) -> Result<(), Errno> {
        let at = value.as_ptr().cast_mut().cast();
        // SAFETY: the caller's promise.
        unsafe { call(SET, socket, of(level), of(name), at, of_len(value.len())) }.map(drop)
    }

    #[cfg(any(feature = "std", feature = "use-libc", test))]
    pub(super) unsafe fn get_option(
        socket: c_int,
        level: c_int,
        name: c_int,
        into: &mut [u8],
        len: &mut u32,
    ) -> Result<(), Errno> {
        let len = ptr::from_mut(len).cast();
        // SAFETY: the caller's promise.
        unsafe {
            call(
                GET,
                socket,
                of(level),
                of(name),
                into.as_mut_ptr().cast(),
                len,
            )
        }
        .map(drop)
    }

    pub(super) unsafe fn send_message(
        socket: c_int,
        message: *const c_void,
        flags: c_int,
    ) -> Result<usize, Errno> {
        let (message, none) = (message.cast_mut(), ptr::null_mut());
        // SAFETY: the caller's promise.
        unsafe { call(SEND, socket, message, of(flags), none, none) }
    }

    /// A number, as an argument.
    fn of(number: c_int) -> *mut c_void {
        ptr::without_provenance_mut(number as usize)
    }

    fn of_len(len: usize) -> *mut c_void {
        ptr::without_provenance_mut(len)
    }

    /// A system call of five arguments; fewer if the kernel reads fewer. Errors are the numbers from −4095 to −1.
    ///
    /// # Safety
    ///
    /// The call must be sound with these arguments.
    unsafe fn call(
        number: isize,
        socket: c_int,
        second: *mut c_void,
        third: *mut c_void,
        fourth: *mut c_void,
        fifth: *mut c_void,
    ) -> Result<usize, Errno> {
        let done: isize;
        // SAFETY: the instruction and its registers are those of `syscall(2)`; what it does is the caller's promise.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            asm!(
                "syscall",
                inlateout("rax") number => done,
                in("rdi") socket as isize,
                in("rsi") second,
                in("rdx") third,
                in("r10") fourth,
                in("r8") fifth,
                lateout("rcx") _,
                lateout("r11") _,
                options(nostack, preserves_flags)
            );
        }
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        unsafe {
            asm!(
                "svc 0",
                in("x8") number,
                inlateout("x0") socket as isize => done,
                in("x1") second,
                in("x2") third,
                in("x3") fourth,
                in("x4") fifth,
                options(nostack, preserves_flags)
            );
        }
        // SAFETY: as above.
        #[cfg(target_arch = "riscv64")]
        unsafe {
            asm!(
                "ecall",
                in("a7") number,
                inlateout("a0") socket as isize => done,
                in("a1") second,
                in("a2") third,
                in("a3") fourth,
                in("a4") fifth,
                options(nostack, preserves_flags)
            );
        }
        match i32::try_from(done) {
            Ok(errno @ -4095..=-1) => Err(Errno::from_raw_os_error(-errno)),
            Ok(_) | Err(_) => Ok(usize::try_from(done).unwrap_or(0)),
        }
    }
}

/// By the C library.
#[cfg(not(all(
    not(feature = "use-libc"),
    any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "riscv64"
    )
)))]
mod way {
    use core::ffi::{c_int, c_void};
    use rustix::io::Errno;

    unsafe extern "C" {
        fn setsockopt(
            socket: c_int,
            level: c_int,
            name: c_int,
            value: *const c_void,
            len: u32,
        ) -> c_int;
        #[cfg(any(feature = "std", feature = "use-libc", test))]
        fn getsockopt(
            socket: c_int,
            level: c_int,
            name: c_int,
            value: *mut c_void,
            len: *mut u32,
        ) -> c_int;
        fn sendmsg(socket: c_int, message: *const c_void, flags: c_int) -> isize;
        fn __errno_location() -> *mut c_int;
    }

    pub(super) unsafe fn set_option(
        socket: c_int,
        level: c_int,
        name: c_int,
        value: &[u8],
    ) -> Result<(), Errno> {
        let len = u32::try_from(value.len()).unwrap_or(u32::MAX);
        // SAFETY: the caller's promise.
        let done = unsafe { setsockopt(socket, level, name, value.as_ptr().cast(), len) };
        returned(done as isize).map(drop)
    }

    #[cfg(any(feature = "std", feature = "use-libc", test))]
    pub(super) unsafe fn get_option(
        socket: c_int,
        level: c_int,
        name: c_int,
        into: &mut [u8],
        len: &mut u32,
    ) -> Result<(), Errno> {
        // SAFETY: the caller's promise.
        let done = unsafe { getsockopt(socket, level, name, into.as_mut_ptr().cast(), len) };
        returned(done as isize).map(drop)
    }

    pub(super) unsafe fn send_message(
        socket: c_int,
        message: *const c_void,
        flags: c_int,
    ) -> Result<usize, Errno> {
        // SAFETY: the caller's promise.
        returned(unsafe { sendmsg(socket, message, flags) })
    }

    fn returned(done: isize) -> Result<usize, Errno> {
        usize::try_from(done).map_err(|_| {
            // SAFETY: it is this thread's own error number, which every C library of Linux has there.
            Errno::from_raw_os_error(unsafe { *__errno_location() })
        })
    }
}
