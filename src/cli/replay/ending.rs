//! The last words of a replay: where the picture is.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

/// Says it in lines of its own, below everything else: above a table of numbers nobody would see it.
pub fn say_where(picture: &Path) {
    if !log::log_enabled!(log::Level::Info) {
        return;
    }
    let mut stderr = std::io::stderr().lock();
    let (bold, plain) = if stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty()) {
        ("\x1b[1m", "\x1b[0m")
    } else {
        ("", "")
    };
    // Nobody is left to be told.
    writeln!(stderr, "\n  {bold}The picture:  {}{plain}\n", picture.display()).ok();
}
