//! Writing results.

use std::io::{ErrorKind, Write as _};

use anyhow::Context as _;

/// Whether anybody still reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// The text has been taken.
    Listening,
    /// The other end of the pipe is closed, as after `… | head`.
    Gone,
}

/// Writes to stdout at once.
///
/// # Errors
/// When stdout cannot be written, other than because its reader has seen enough.
pub fn write(text: &str) -> anyhow::Result<Reader> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(Reader::Listening),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(error).context("stdout cannot be written"),
    }
}

/// Characters in a line of the terminal that stdout is; `None` for a file or a pipe.
pub fn terminal_width() -> Option<usize> {
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0)).filter(|width| *width > 0)
}
