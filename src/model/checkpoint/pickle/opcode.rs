//! The opcodes of pickle protocols 2 to 5, read from bytes.

use super::error::PickleError;
use super::value::Span;

/// Tensor names and paths are short. A string may be looked at as often as the pickle mentions it, so that a long one
/// would be a way to make a small file slow.
const LONGEST_TEXT: u64 = 4096;

/// One instruction. Text and bytes are spans of the buffer, checked to lie inside it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Op {
    Proto(u8),
    Frame,
    Mark,
    Stop,
    Pop,
    PopMark,
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(Span),
    Bytes(Span),
    EmptyList,
    Append,
    Appends,
    List,
    EmptyTuple,
    Tuple,
    /// TUPLE1, TUPLE2, TUPLE3
    TupleOf(usize),
    EmptyDict,
    Dict,
    SetItem,
    SetItems,
    Put(u32),
    Memoize,
    Get(u32),
    Global {
        module: Span,
        name: Span,
    },
    StackGlobal,
    Reduce,
    Build,
    PersistentId,
}

/// Reads instructions from `buffer[position..end]`.
pub struct OpcodeReader<'a> {
    buffer: &'a [u8],
    position: usize,
    end: usize,
}

impl<'a> OpcodeReader<'a> {
    /// A reader over a span of the buffer; the span is cut to the buffer.
    pub fn new(buffer: &'a [u8], span: Span) -> Self {
        let end = span.end().min(buffer.len());
        Self { buffer, position: span.start.min(end), end }
    }

    /// Byte offset of what comes next.
    pub fn position(&self) -> usize {
        self.position
    }

    /// The next instruction and the offset of its first byte.
    pub fn next(&mut self) -> Result<(usize, Op), PickleError> {
        let offset = self.position;
        let [code] = self.array::<1>("an opcode")?;
        let op = match code {
            0x80 => Op::Proto(self.byte()?),
            0x95 => {
                let length = u64::from_le_bytes(self.array("a frame length")?);
                let left = (self.end - self.position) as u64;
                if length > left {
                    return Err(PickleError::Truncated { what: "a frame", offset, expected: length, found: left });
                }
                Op::Frame
            }
            b'(' => Op::Mark,
            b'.' => Op::Stop,
            b'0' => Op::Pop,
            b'1' => Op::PopMark,
            b'N' => Op::None,
            0x88 => Op::Bool(true),
            0x89 => Op::Bool(false),
            b'J' => Op::Int(i32::from_le_bytes(self.array("an integer")?).into()),
            b'K' => Op::Int(self.byte()?.into()),
            b'M' => Op::Int(u16::from_le_bytes(self.array("an integer")?).into()),
            0x8a => {
                let length = self.byte()?;
                Op::Int(self.long(length.into(), offset)?)
            }
            0x8b => {
                let length = u32::from_le_bytes(self.array("an integer's length")?);
                Op::Int(self.long(length.into(), offset)?)
            }
            b'G' => Op::Float(f64::from_be_bytes(self.array("a float")?)),
            b'X' => {
                let length = u32::from_le_bytes(self.array("a string's length")?);
                self.text(length.into(), offset)?
            }
            0x8c => {
                let length = self.byte()?;
                self.text(length.into(), offset)?
            }
            0x8d => {
                let length = u64::from_le_bytes(self.array("a string's length")?);
                self.text(length, offset)?
            }
            b'B' => {
                let length = u32::from_le_bytes(self.array("a byte string's length")?);
                Op::Bytes(self.span(length.into(), "a byte string", offset)?)
            }
            b'C' => {
                let length = self.byte()?;
                Op::Bytes(self.span(length.into(), "a byte string", offset)?)
            }
            0x8e => {
                let length = u64::from_le_bytes(self.array("a byte string's length")?);
                Op::Bytes(self.span(length, "a byte string", offset)?)
            }
            b']' => Op::EmptyList,
            b'a' => Op::Append,
            b'e' => Op::Appends,
            b'l' => Op::List,
            b')' => Op::EmptyTuple,
            b't' => Op::Tuple,
            0x85 => Op::TupleOf(1),
            0x86 => Op::TupleOf(2),
            0x87 => Op::TupleOf(3),
            b'}' => Op::EmptyDict,
            b'd' => Op::Dict,
            b's' => Op::SetItem,
            b'u' => Op::SetItems,
            b'q' => Op::Put(self.byte()?.into()),
            b'r' => Op::Put(u32::from_le_bytes(self.array("a memo index")?)),
            0x94 => Op::Memoize,
            b'h' => Op::Get(self.byte()?.into()),
            b'j' => Op::Get(u32::from_le_bytes(self.array("a memo index")?)),
            b'c' => Op::Global { module: self.line()?, name: self.line()? },
            0x93 => Op::StackGlobal,
            b'R' => Op::Reduce,
            b'b' => Op::Build,
            b'Q' => Op::PersistentId,
            b'i' => {
                // INST names its class in the stream, so the refusal can name it too.
                let (module, name) = (self.line()?, self.line()?);
                let name = [module.of(self.buffer), b".", name.of(self.buffer)].concat();
                return Err(PickleError::ForbiddenGlobal { name: super::error::shown(&name), offset });
            }
            other => return Err(refused(other, offset)),
        };
        Ok((offset, op))
    }

    /// A little-endian 64-bit count, as the storages of the legacy torch format begin.
    pub fn count(&mut self) -> Result<i64, PickleError> {
        Ok(i64::from_le_bytes(self.array("a storage's element count")?))
    }

    /// The next `length` bytes, if there are so many.
    pub fn span(&mut self, length: u64, what: &'static str, offset: usize) -> Result<Span, PickleError> {
        let left = self.end - self.position;
        match usize::try_from(length) {
            Ok(len) if len <= left => {
                let span = Span { start: self.position, len };
                self.position += len;
                Ok(span)
            }
            _ => Err(PickleError::Truncated { what, offset, expected: length, found: left as u64 }),
        }
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], PickleError> {
        let offset = self.position;
        let span = self.span(N as u64, what, offset)?;
        span.of(self.buffer).try_into().map_err(|_| PickleError::Truncated {
            what,
            offset,
            expected: N as u64,
            found: span.len as u64,
        })
    }

    fn byte(&mut self) -> Result<u8, PickleError> {
        self.array::<1>("an argument").map(|[byte]| byte)
    }

    fn text(&mut self, length: u64, offset: usize) -> Result<Op, PickleError> {
        if length > LONGEST_TEXT {
            return Err(PickleError::Limit { what: "bytes in a string", limit: LONGEST_TEXT as usize, offset });
        }
        let span = self.span(length, "a string", offset)?;
        match std::str::from_utf8(span.of(self.buffer)) {
            Ok(_) => Ok(Op::Text(span)),
            Err(error) => Err(PickleError::Malformed { what: format!("a string is not UTF-8: {error}"), offset }),
        }
    }

    /// A newline-terminated argument. Names are short; the bound keeps a missing newline from being a long search.
    fn line(&mut self) -> Result<Span, PickleError> {
        const LONGEST: usize = 1024;
        let offset = self.position;
        let rest = self.buffer.get(self.position..self.end).unwrap_or_default();
        match rest.iter().take(LONGEST).position(|&byte| byte == b'\n') {
            Some(len) => {
                self.position += len + 1;
                Ok(Span { start: offset, len })
            }
            None if rest.len() >= LONGEST => {
                Err(PickleError::Limit { what: "bytes in the name of a global", limit: LONGEST, offset })
            }
            None => Err(PickleError::Truncated {
                what: "the name of a global",
                offset,
                expected: rest.len() as u64 + 1,
                found: rest.len() as u64,
            }),
        }
    }

    /// A two's complement little-endian integer.
    fn long(&mut self, length: u64, offset: usize) -> Result<i128, PickleError> {
        const LONGEST: usize = 16;
        if length > LONGEST as u64 {
            return Err(PickleError::Limit { what: "bytes in an integer", limit: LONGEST, offset });
        }
        let bytes = self.span(length, "an integer", offset)?.of(self.buffer);
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let fill = if negative { -1 } else { 0 };
        Ok(bytes.iter().rev().fold(fill, |value: i128, &byte| (value << 8) | i128::from(byte)))
    }
}

/// The refusal of an opcode that is known but unwanted, or not known at all.
fn refused(code: u8, offset: usize) -> PickleError {
    let (opcode, reason) = match code {
        b'o' => ("OBJ", "it creates an instance of a class"),
        0x81 => ("NEWOBJ", "it creates an instance of a class"),
        0x92 => ("NEWOBJ_EX", "it creates an instance of a class"),
        0x82 => ("EXT1", "it calls something from Python's extension registry"),
        0x83 => ("EXT2", "it calls something from Python's extension registry"),
        0x84 => ("EXT4", "it calls something from Python's extension registry"),
        b'P' => ("PERSID", "protocol 0 is not read; torch writes protocol 2 or later"),
        b'I' => ("INT", "protocol 0 is not read; torch writes protocol 2 or later"),
        b'L' => ("LONG", "protocol 0 is not read; torch writes protocol 2 or later"),
        b'F' => ("FLOAT", "protocol 0 is not read; torch writes protocol 2 or later"),
        b'S' => ("STRING", "protocol 0 is not read; torch writes protocol 2 or later"),
        b'V' => ("UNICODE", "protocol 0 is not read; torch writes protocol 2 or later"),
        b'p' => ("PUT", "protocol 0 is not read; torch writes protocol 2 or later"),
        b'g' => ("GET", "protocol 0 is not read; torch writes protocol 2 or later"),
        b'T' => ("BINSTRING", "Python 2 strings have no place in a tensor file"),
        b'U' => ("SHORT_BINSTRING", "Python 2 strings have no place in a tensor file"),
        b'2' => ("DUP", "torch never writes it"),
        0x8f => ("EMPTY_SET", "sets have no place in a tensor file"),
        0x90 => ("ADDITEMS", "sets have no place in a tensor file"),
        0x91 => ("FROZENSET", "sets have no place in a tensor file"),
        0x96 => ("BYTEARRAY8", "byte arrays have no place in a tensor file"),
        0x97 => ("NEXT_BUFFER", "out-of-band buffers are not in the file"),
        0x98 => ("READONLY_BUFFER", "out-of-band buffers are not in the file"),
        _ => {
            return PickleError::ForbiddenOpcode {
                opcode: format!("0x{code:02x}"),
                offset,
                reason: "no such opcode; this is not a pickle, or it is damaged".into(),
            };
        }
    };
    PickleError::ForbiddenOpcode { opcode: opcode.into(), offset, reason: reason.into() }
}
