//! The C library's allocator, told to give memory back: a worker waits most of its life, and there
//! are hundreds of them.
#![expect(unsafe_code, reason = "the allocator's settings have no safe wrapper")]

/// Blocks from this size on come from the kernel alone and go back to it when freed; free memory
/// of this size at the end of the heap goes back too.
const LARGE: libc::c_int = 64 << 10;

/// Settings for a process of one thread that waits most of its life. Call before other threads.
pub fn settle() {
    for (setting, value) in
        [(libc::M_ARENA_MAX, 1), (libc::M_MMAP_THRESHOLD, LARGE), (libc::M_TRIM_THRESHOLD, LARGE)]
    {
        // SAFETY: mallopt takes any pair of integers; one that it does not know changes nothing.
        let _changed = unsafe { libc::mallopt(setting, value) };
    }
}

/// Gives free memory back to the kernel. Takes up to some milliseconds after much was allocated.
pub fn trim() {
    // SAFETY: malloc_trim may be called at any time from any thread; it locks the allocator itself.
    let _released = unsafe { libc::malloc_trim(0) };
}
