//! Memory that is free again, given back.

/// Gives the system back what was freed. glibc keeps it for what is asked for next: after the intermediate results of a large
/// model's block, whose sizes come again only in the next one, that is hundreds of megabytes. It takes milliseconds.
#[cfg_attr(target_env = "gnu", allow(unsafe_code))]
pub fn give_back_freed() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes no pointer, locks what it looks at, and leaves all that is allocated as it is.
    unsafe {
        libc::malloc_trim(0);
    }
}
