//! Why a pickle was refused.

/// A pickle that cannot be read, or that asks for more than data. Offsets are bytes from the start of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PickleError {
    /// The pickle names a Python object outside the few that rebuild tensors.
    #[error(
        "the pickle asks for '{name}' at byte {offset}; only plain values and torch's tensor-rebuild calls are \
         understood, nothing was executed; {}",
        advice(name)
    )]
    ForbiddenGlobal {
        /// `module.name` as the pickle spells it.
        name: String,
        /// Where the opcode starts.
        offset: usize,
    },
    /// An opcode that builds or calls something a tensor file has no use for.
    #[error("pickle opcode {opcode} at byte {offset} is refused: {reason}; nothing was executed")]
    ForbiddenOpcode {
        /// The opcode's name in `pickletools`, or its byte.
        opcode: String,
        /// Where the opcode starts.
        offset: usize,
        /// What it would have done.
        reason: String,
    },
    /// The bytes end inside an opcode or a storage.
    #[error("the pickle is cut off: {what} at byte {offset} needs {expected} bytes, {found} are left")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Where it starts.
        offset: usize,
        /// Bytes it needs.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// A bound that no honest checkpoint comes near.
    #[error("the pickle exceeds the limit of {limit} {what} at byte {offset}")]
    Limit {
        /// What is counted.
        what: &'static str,
        /// The bound.
        limit: usize,
        /// Where it was exceeded.
        offset: usize,
    },
    /// The opcodes are known but make no sense together.
    #[error("malformed pickle at byte {offset}: {what}")]
    Malformed {
        /// What was expected and what was found.
        what: String,
        /// Where.
        offset: usize,
    },
}

/// What to do about a name that is refused. Files of one's own hold numpy's and torch's objects by oversight.
fn advice(name: &str) -> &'static str {
    match name.split('.').next() {
        Some("numpy") => "it is a numpy object: write float(x), or a tensor, in its place and save the file again",
        Some("pathlib") => "it is a path: write str(path) in its place and save the file again",
        Some("torch") => "write a state dict of plain tensors, or plain numbers and strings, and save the file again",
        _ => {
            "do not use this file unless you know who made it; one of your own can be saved again with plain values in \
             place of this object (module.state_dict() in place of a module)"
        }
    }
}

/// A name out of a file, shortened and escaped so that it can stand in a message.
pub(super) fn shown(bytes: &[u8]) -> String {
    const LONGEST: usize = 120;
    let text: String = String::from_utf8_lossy(bytes).chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if bytes.len() > LONGEST { format!("{text}…") } else { text }
}
