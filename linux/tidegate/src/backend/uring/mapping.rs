//! [`Mapping`] and [`Zeroed`]: memory from the kernel, unmapped when it is dropped.

use core::ffi::c_void;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::{NonNull, null_mut};
use core::slice;
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

/// A mapping of whole pages, all zeros or the kernel's own.
#[derive(Debug)]
pub(super) struct Mapping {
    at: NonNull<c_void>,
    bytes: usize,
}

impl Mapping {
    /// Memory of our own, zeros; pages that are never touched are never there.
    pub(super) fn anonymous(bytes: usize) -> Result<Self, Errno> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: no address is requested, so nothing that is mapped is replaced.
        let at = unsafe { mmap_anonymous(null_mut(), bytes, access, MapFlags::PRIVATE) }?;
        Self::new(at, bytes)
    }

    /// A part of a ring, shared with the kernel (`io_uring_setup(2)`).
    pub(super) fn of_ring(ring: BorrowedFd<'_>, bytes: usize, part: u64) -> Result<Self, Errno> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::SHARED | MapFlags::POPULATE;
        // SAFETY: no address is requested, so nothing that is mapped is replaced.
        let at = unsafe { mmap(null_mut(), bytes, access, flags, ring, part) }?;
        Self::new(at, bytes)
    }

    fn new(at: *mut c_void, bytes: usize) -> Result<Self, Errno> {
        let at = NonNull::new(at).ok_or(Errno::NOMEM)?;
        Ok(Self { at, bytes })
    }

    /// A pointer to the `index`th of those `T` that begin at `offset` bytes.
    ///
    /// # Panics
    ///
    /// If it does not lie inside, or is not aligned: offsets come from the kernel, indices are masked or checked.
    #[inline]
    pub(super) fn at<T>(&self, offset: usize, index: usize) -> NonNull<T> {
        let start = offset + index * size_of::<T>();
        assert!(
            start + size_of::<T>() <= self.bytes && start.is_multiple_of(align_of::<T>()),
            "a mapping of {} bytes has nothing at {start}",
            self.bytes
        );
        // SAFETY: it lies inside the mapping, as just asserted; pages are aligned for any `T` that is used here.
        unsafe { self.at.byte_add(start).cast() }
    }
}

/// So many `T` of our own, all zeros at first.
#[derive(Debug)]
pub(super) struct Zeroed<T> {
    memory: Mapping,
    count: usize,
    of: PhantomData<T>,
}

impl<T: Zeroable> Zeroed<T> {
    pub(super) fn new(count: usize) -> Result<Self, Errno> {
        let bytes = count.checked_mul(size_of::<T>()).ok_or(Errno::NOMEM)?;
        Ok(Self {
            // A mapping of nothing is refused.
            memory: Mapping::anonymous(bytes.max(1))?,
            count,
            of: PhantomData,
        })
    }
}

impl<T> Deref for Zeroed<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        let first = self.memory.at.cast().as_ptr();
        // SAFETY: the mapping has so many elements, aligned to a page, and zeros are valid. It is ours alone, but for
        // bytes that the kernel receives into: that it does only in a call of ours, during which they are not borrowed.
        unsafe { slice::from_raw_parts(first, self.count) }
    }
}

impl<T> DerefMut for Zeroed<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        let first = self.memory.at.cast().as_ptr();
        // SAFETY: as above, and we are borrowed alone.
        unsafe { slice::from_raw_parts_mut(first, self.count) }
    }
}

/// A type of which all zeros are a value.
///
/// # Safety
///
/// They must be.
pub(super) unsafe trait Zeroable: Copy {}

// SAFETY: 0 is a number.
unsafe impl Zeroable for u64 {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it was mapped by us, whole, and each holder of a pointer into it holds this, too.
        let unmapped = unsafe { munmap(self.at.as_ptr(), self.bytes) };
        debug_assert!(unmapped.is_ok(), "a mapping of our own is unmapped");
    }
}
