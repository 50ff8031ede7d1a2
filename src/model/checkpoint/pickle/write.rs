//! Pickles as Python writes them, from plain data only.
//!
//! Protocol 4 with the opcodes of Python's own pickler in its order, every object memoised as it does it; frames, which
//! only tell a reader how far to read ahead, are left out.

use std::collections::HashMap;

/// Python puts at most this many items into one SETITEMS.
const BATCH: usize = 1000;

/// Builds one pickle from the inside out.
pub struct PickleWriter {
    bytes: Vec<u8>,
    memoised: u32,
    globals: HashMap<&'static str, u32>,
}

impl PickleWriter {
    /// Begins a pickle.
    pub fn new() -> Self {
        Self { bytes: b"\x80\x04".to_vec(), memoised: 0, globals: HashMap::new() }
    }

    /// Ends the pickle after its root.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.push(b'.');
        self.bytes
    }

    /// A dict of strings to whatever `value` writes.
    pub fn dict<T, E>(
        &mut self,
        items: &[(&str, T)],
        mut value: impl FnMut(&mut Self, &T) -> Result<(), E>,
    ) -> Result<(), E> {
        self.bytes.push(b'}');
        self.memoise();
        for batch in items.chunks(BATCH) {
            let single = batch.len() == 1;
            if !single {
                self.bytes.push(b'(');
            }
            for (key, item) in batch {
                self.text(key);
                value(self, item)?;
            }
            self.bytes.push(if single { b's' } else { b'u' });
        }
        Ok(())
    }

    /// A string.
    pub fn text(&mut self, text: &str) {
        match (u8::try_from(text.len()), u32::try_from(text.len())) {
            (Ok(length), _) => self.bytes.extend([0x8c, length]),
            (_, Ok(length)) => {
                self.bytes.push(b'X');
                self.bytes.extend(length.to_le_bytes());
            }
            _ => {
                self.bytes.push(0x8d);
                self.bytes.extend((text.len() as u64).to_le_bytes());
            }
        }
        self.bytes.extend(text.as_bytes());
        self.memoise();
    }

    /// A byte string.
    pub fn byte_string(&mut self, parts: &[&[u8]]) {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        match (u8::try_from(length), u32::try_from(length)) {
            (Ok(length), _) => self.bytes.extend([b'C', length]),
            (_, Ok(length)) => {
                self.bytes.push(b'B');
                self.bytes.extend(length.to_le_bytes());
            }
            _ => {
                self.bytes.push(0x8e);
                self.bytes.extend((length as u64).to_le_bytes());
            }
        }
        parts.iter().for_each(|part| self.bytes.extend(*part));
        self.memoise();
    }

    /// A float.
    pub fn float(&mut self, value: f64) {
        self.bytes.push(b'G');
        self.bytes.extend(value.to_be_bytes());
    }

    /// `True` or `False`.
    pub fn bool(&mut self, value: bool) {
        self.bytes.push(if value { 0x88 } else { 0x89 });
    }

    /// A tuple of sizes.
    pub fn sizes(&mut self, sizes: &[usize]) {
        let ends: &[u8] = match sizes.len() {
            0 => return self.bytes.push(b')'),
            1 => b"\x85",
            2 => b"\x86",
            3 => b"\x87",
            _ => {
                self.bytes.push(b'(');
                b"t"
            }
        };
        sizes.iter().for_each(|&size| int(&mut self.bytes, size));
        self.bytes.extend(ends);
        self.memoise();
    }

    /// A number.
    pub fn int(&mut self, value: usize) {
        int(&mut self.bytes, value);
    }

    /// A Python name, `module name`: written once, referred to afterwards.
    pub fn global(&mut self, name: &'static str) {
        if let Some(&index) = self.globals.get(name) {
            match u8::try_from(index) {
                Ok(index) => self.bytes.extend([b'h', index]),
                Err(_) => {
                    self.bytes.push(b'j');
                    self.bytes.extend(index.to_le_bytes());
                }
            }
            return;
        }
        name.split(' ').for_each(|part| self.text(part));
        self.bytes.push(0x93);
        self.globals.insert(name, self.memoised);
        self.memoise();
    }

    /// Calls a Python name with the arguments that `arguments` writes.
    pub fn call(&mut self, name: &'static str, count: Arguments, arguments: impl FnOnce(&mut Self)) {
        self.global(name);
        if count == Arguments::Many {
            self.bytes.push(b'(');
        }
        arguments(self);
        match count {
            Arguments::None => self.bytes.push(b')'),
            Arguments::One => {
                self.bytes.push(0x85);
                self.memoise();
            }
            Arguments::Many => {
                self.bytes.push(b't');
                self.memoise();
            }
        }
        self.bytes.push(b'R');
        self.memoise();
    }

    fn memoise(&mut self) {
        self.bytes.push(0x94);
        self.memoised += 1;
    }
}

/// How many arguments a call has: Python spells each in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arguments {
    /// `f()`
    None,
    /// `f(a)`
    One,
    /// More than three.
    Many,
}

/// An integer in the shortest opcode that holds it.
pub fn int(bytes: &mut Vec<u8>, value: usize) {
    match (u8::try_from(value), u16::try_from(value), i32::try_from(value)) {
        (Ok(value), ..) => bytes.extend([b'K', value]),
        (_, Ok(value), _) => {
            bytes.push(b'M');
            bytes.extend(value.to_le_bytes());
        }
        (.., Ok(value)) => {
            bytes.push(b'J');
            bytes.extend(value.to_le_bytes());
        }
        _ => {
            // LONG1: as few bytes of the two's complement as hold it. The ninth is the sign's.
            let mut long = (value as i128).to_le_bytes().to_vec();
            while let [.., before, 0] = long.as_slice()
                && *before < 0x80
            {
                long.pop();
            }
            bytes.extend([0x8a, long.len() as u8]);
            bytes.extend(long);
        }
    }
}
