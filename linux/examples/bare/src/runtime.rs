//! What a program needs on x86-64 without a C runtime: an entry point, an exit, and the functions that the compiler
//! calls to copy and compare memory.

use core::arch::{asm, naked_asm};
use core::panic::PanicInfo;

/// The kernel enters here with the stack pointer aligned to 16; a function expects it to be off by the return address.
#[unsafe(naked)]
#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    naked_asm!("xor ebp, ebp", "call {main}", main = sym main)
}

extern "C" fn main() -> ! {
    exit(super::serve())
}

/// `exit_group(2)`.
fn exit(code: u8) -> ! {
    // SAFETY: system call 231 takes a number and does not return.
    unsafe { asm!("syscall", in("rax") 231, in("rdi") u64::from(code), options(noreturn)) }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    exit(101)
}

/// `memcpy(3)`.
///
/// # Safety
///
/// As in C.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    // SAFETY: the caller guarantees that `n` bytes may be read and written.
    unsafe {
        asm!("rep movsb", inout("rcx") n => _, inout("rdi") to => _, inout("rsi") from => _,
            options(nostack, preserves_flags));
    }
    to
}

/// `memmove(3)`.
///
/// # Safety
///
/// As in C.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    if to.addr().wrapping_sub(from.addr()) >= n {
        // SAFETY: the caller guarantees that `n` bytes may be read and written; a copy upwards reads none that it has
        // written.
        return unsafe { memcpy(to, from, n) };
    }
    // SAFETY: the same, from the last byte down; the direction flag is cleared again.
    unsafe {
        asm!("std", "rep movsb", "cld", inout("rcx") n => _,
            inout("rdi") to.wrapping_add(n).wrapping_sub(1) => _,
            inout("rsi") from.wrapping_add(n).wrapping_sub(1) => _, options(nostack));
    }
    to
}

/// `memset(3)`.
///
/// # Safety
///
/// As in C.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, n: usize) -> *mut u8 {
    // SAFETY: the caller guarantees that `n` bytes may be written.
    unsafe {
        asm!("rep stosb", inout("rcx") n => _, inout("rdi") to => _, in("eax") byte,
            options(nostack, preserves_flags));
    }
    to
}

/// `bcmp(3)`: 0 if equal.
///
/// # Safety
///
/// As in C.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    let mut at = 0;
    while at < n {
        // SAFETY: the caller guarantees that `n` bytes may be read.
        let (x, y) = unsafe { (a.add(at).read_volatile(), b.add(at).read_volatile()) };
        if x != y {
            return 1;
        }
        at += 1;
    }
    0
}

/// `strlen(3)`.
///
/// # Safety
///
/// As in C.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut n = 0;
    // SAFETY: the caller guarantees that a zero follows.
    while unsafe { text.add(n).read_volatile() } != 0 {
        n += 1;
    }
    n
}
