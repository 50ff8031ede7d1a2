//! The stack machine: containers, numbers, strings, and the calls that rebuild tensors.

use super::error::{PickleError, shown};
use super::legacy_torch::read_storage_blob;
use super::opcode::{Op, OpcodeReader};
use super::parsed::Pickle;
use super::value::{Known, Object, Span, Value};
use std::collections::HashMap;

/// Values on the stack at one time. Python's pickler pushes containers in batches of 1000.
const MAX_STACK: usize = 100_000;
/// Containers begun and not ended: how deep opcodes nest.
const MAX_MARKS: usize = 64;

/// Instructions left to a whole file, nested pickles included, so that one long byte string that is loaded again and
/// again costs no more than a long file. A checkpoint of 1000 tensors takes about 60,000.
pub struct Budget {
    operations: usize,
}

impl Budget {
    const OPERATIONS: usize = 4_000_000;

    /// The budget of one file.
    pub fn new() -> Self {
        Self { operations: Self::OPERATIONS }
    }

    fn spend(&mut self, offset: usize) -> Result<(), PickleError> {
        let limit = PickleError::Limit { what: "pickle instructions", limit: Self::OPERATIONS, offset };
        self.operations = self.operations.checked_sub(1).ok_or(limit)?;
        Ok(())
    }
}

/// What surrounds a pickle: decides which references it may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// Nothing: tensors carry their numbers as embedded legacy torch files.
    Plain,
    /// Nothing, and no tensors are expected: a number, or a dict of settings.
    Settings,
    /// A torch container (zip or legacy): persistent ids name its storages.
    Torch,
}

/// Reads the one pickle that starts at `span.start`; `span` bounds it.
pub fn run<'a>(
    buffer: &'a [u8],
    span: Span,
    container: Container,
    budget: &mut Budget,
) -> Result<Pickle<'a>, PickleError> {
    let pickle = Pickle::empty(buffer);
    let mut machine = Machine { pickle, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new(), container };
    let mut reader = OpcodeReader::new(buffer, span);
    loop {
        let (offset, op) = reader.next()?;
        budget.spend(offset)?;
        if op == Op::Stop {
            machine.pickle.root = machine.pop(offset)?;
            machine.pickle.end = reader.position();
            return Ok(machine.pickle);
        }
        machine.step(op, offset, budget)?;
    }
}

struct Machine<'a> {
    pickle: Pickle<'a>,
    stack: Vec<Value>,
    /// Height of the stack at each mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    container: Container,
}

impl Machine<'_> {
    fn step(&mut self, op: Op, offset: usize, budget: &mut Budget) -> Result<(), PickleError> {
        match op {
            Op::Proto(2..=5) | Op::Frame | Op::Stop => {}
            Op::Proto(version) => {
                return Err(malformed(offset, format!("pickle protocol {version}, expected 2 to 5")));
            }
            Op::Mark if self.marks.len() >= MAX_MARKS => {
                return Err(PickleError::Limit { what: "nested containers", limit: MAX_MARKS, offset });
            }
            Op::Mark => self.marks.push(self.stack.len()),
            Op::Pop => drop(self.pop(offset)?),
            Op::PopMark => drop(self.pop_to_mark(offset)?),
            Op::None => self.push(Value::None, offset)?,
            Op::Bool(value) => self.push(Value::Bool(value), offset)?,
            Op::Int(value) => self.push(Value::Int(value), offset)?,
            Op::Float(value) => self.push(Value::Float(value), offset)?,
            Op::Text(span) => self.push(Value::Text(span), offset)?,
            Op::Bytes(span) => self.push(Value::Bytes(span), offset)?,
            Op::EmptyList => self.push_object(Object::List(Vec::new()), offset)?,
            Op::EmptyTuple => self.push_object(Object::Tuple(Vec::new()), offset)?,
            Op::EmptyDict => self.push_object(Object::Dict { items: Vec::new(), ordered: false }, offset)?,
            Op::List => {
                let items = self.pop_to_mark(offset)?;
                self.push_object(Object::List(items), offset)?;
            }
            Op::Tuple => {
                let items = self.pop_to_mark(offset)?;
                self.push_object(Object::Tuple(items), offset)?;
            }
            Op::TupleOf(count) => {
                let mut items = (0..count).map(|_| self.pop(offset)).collect::<Result<Vec<_>, _>>()?;
                items.reverse();
                self.push_object(Object::Tuple(items), offset)?;
            }
            Op::Dict => {
                let items = pairs(&self.pop_to_mark(offset)?, offset)?;
                self.push_object(Object::Dict { items, ordered: false }, offset)?;
            }
            Op::Append => {
                let item = self.pop(offset)?;
                self.extend_list(&[item], offset)?;
            }
            Op::Appends => {
                let items = self.pop_to_mark(offset)?;
                self.extend_list(&items, offset)?;
            }
            Op::SetItem => {
                let value = self.pop(offset)?;
                let key = self.pop(offset)?;
                self.extend_dict(&[key, value], offset)?;
            }
            Op::SetItems => {
                let items = self.pop_to_mark(offset)?;
                self.extend_dict(&items, offset)?;
            }
            Op::Put(index) => {
                let top = self.top(offset)?;
                self.memo.insert(index, top);
            }
            Op::Memoize => {
                let (index, top) = (self.memo.len(), self.top(offset)?);
                // The budget keeps the memo far below u32::MAX entries.
                self.memo.insert(index as u32, top);
            }
            Op::Get(index) => {
                let value = self.memo.get(&index).copied();
                let value = value.ok_or_else(|| malformed(offset, format!("memo entry {index} was never stored")))?;
                self.push(value, offset)?;
            }
            Op::Global { module, name } => self.global(module, name, offset)?,
            Op::StackGlobal => match (self.pop(offset)?, self.pop(offset)?) {
                (Value::Text(name), Value::Text(module)) => self.global(module, name, offset)?,
                _ => return Err(malformed(offset, "STACK_GLOBAL without two strings".into())),
            },
            Op::Reduce => self.reduce(offset, budget)?,
            Op::Build => self.build(offset)?,
            Op::PersistentId => {
                let id = self.pop(offset)?;
                if self.container != Container::Torch {
                    return Err(PickleError::ForbiddenOpcode {
                        opcode: "BINPERSID".into(),
                        offset,
                        reason: format!("it refers to {} outside of the file", self.pickle.describe(id)),
                    });
                }
                let storage = self.pickle.storage(id, offset)?;
                self.push_object(Object::Storage(storage), offset)?;
            }
        }
        Ok(())
    }

    fn global(&mut self, module: Span, name: Span, offset: usize) -> Result<(), PickleError> {
        let (module, name) = (module.of(self.pickle.buffer()), name.of(self.pickle.buffer()));
        match Known::look_up(self.container, module, name) {
            Some(known) => self.push(Value::Known(known), offset),
            None => Err(PickleError::ForbiddenGlobal { name: format!("{}.{}", shown(module), shown(name)), offset }),
        }
    }

    fn reduce(&mut self, offset: usize, budget: &mut Budget) -> Result<(), PickleError> {
        let arguments = self.pop(offset)?;
        let callable = self.pop(offset)?;
        let refused = |what: String| PickleError::ForbiddenOpcode { opcode: "REDUCE".into(), offset, reason: what };
        let Some(fields) = self.pickle.tuple(arguments) else {
            return Err(malformed(offset, format!("REDUCE with {}", self.pickle.describe(arguments))));
        };
        let result = match (callable, fields) {
            (Value::Known(Known::NumpyScalar), fields) => {
                let number = self.pickle.numpy_scalar(fields, offset)?;
                return self.push(number, offset);
            }
            (Value::Known(Known::NumpyType), fields) => self.pickle.numpy_type(fields, offset)?,
            (Value::Known(Known::NumpyReconstruct), [Value::Known(Known::NumpyArray), ..]) => Object::NumpyArray(None),
            (Value::Known(Known::Encode), fields) => self.pickle.encoded(fields, offset)?,
            (Value::Known(Known::Path(separator)), parts) => self.pickle.path(parts, separator, offset)?,
            (Value::Known(Known::OrderedDict), []) => Object::Dict { items: Vec::new(), ordered: true },
            (Value::Known(Known::RebuildTensor), fields) => Object::Tensor(self.pickle.tensor(fields, offset)?),
            (Value::Known(Known::RebuildParameter), [data, ..]) => match self.pickle.object(*data) {
                Some(Object::Tensor(tensor)) => Object::Tensor(tensor.clone()),
                _ => return Err(malformed(offset, format!("a parameter over {}", self.pickle.describe(*data)))),
            },
            // Only the outermost pickle may embed a torch file: an embedded one never embeds another.
            (Value::Known(Known::LoadFromBytes), [Value::Bytes(blob)]) if self.container != Container::Torch => {
                Object::Storage(read_storage_blob(self.pickle.buffer(), *blob, budget)?)
            }
            (callable, fields) => {
                let callable = self.pickle.describe(callable);
                return Err(refused(format!("it calls {callable} with {} unexpected arguments", fields.len())));
            }
        };
        self.push_object(result, offset)
    }

    /// The one BUILD that torch writes: `_metadata` (module versions) onto a state dict. It is dropped. In settings, those
    /// of numpy, too.
    fn build(&mut self, offset: usize) -> Result<(), PickleError> {
        let state = self.pop(offset)?;
        let target = self.top(offset)?;
        if let Some(object) = self.pickle.numpy_state(target, state, offset)? {
            *self.top_object(offset)? = object;
            return Ok(());
        }
        let is_state_dict = matches!(self.pickle.object(target), Some(Object::Dict { ordered: true, .. }));
        let is_metadata = self
            .pickle
            .dict(state)
            .is_some_and(|items| items.iter().all(|(key, _)| self.pickle.text(*key) == Some("_metadata")));
        if is_state_dict && is_metadata {
            return Ok(());
        }
        let (state, target) = (self.pickle.describe(state), self.pickle.describe(target));
        Err(PickleError::ForbiddenOpcode {
            opcode: "BUILD".into(),
            offset,
            reason: format!("it sets the state of {target} to {state}; only a state dict's _metadata is expected"),
        })
    }

    fn extend_list(&mut self, new: &[Value], offset: usize) -> Result<(), PickleError> {
        match self.top_object(offset)? {
            Object::List(items) => items.extend_from_slice(new),
            other => return Err(malformed(offset, format!("APPEND to {}", other.kind()))),
        }
        Ok(())
    }

    fn extend_dict(&mut self, new: &[Value], offset: usize) -> Result<(), PickleError> {
        let new = pairs(new, offset)?;
        match self.top_object(offset)? {
            Object::Dict { items, .. } => items.extend(new),
            other => return Err(malformed(offset, format!("SETITEM on {}", other.kind()))),
        }
        Ok(())
    }

    fn push(&mut self, value: Value, offset: usize) -> Result<(), PickleError> {
        if self.stack.len() >= MAX_STACK {
            return Err(PickleError::Limit { what: "values on the stack", limit: MAX_STACK, offset });
        }
        self.stack.push(value);
        Ok(())
    }

    fn push_object(&mut self, object: Object, offset: usize) -> Result<(), PickleError> {
        let value = self.pickle.insert(object);
        self.push(value, offset)
    }

    /// Height below which the innermost open container does not reach.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self, offset: usize) -> Result<Value, PickleError> {
        match self.stack.pop() {
            Some(value) if self.stack.len() >= self.floor() => Ok(value),
            _ => Err(malformed(offset, "an opcode takes more values than there are".into())),
        }
    }

    fn pop_to_mark(&mut self, offset: usize) -> Result<Vec<Value>, PickleError> {
        let height = self.marks.pop().filter(|&height| height <= self.stack.len());
        let height = height.ok_or_else(|| malformed(offset, "a container ends that never began".into()))?;
        Ok(self.stack.split_off(height))
    }

    fn top(&self, offset: usize) -> Result<Value, PickleError> {
        let top = self.stack.last().copied().filter(|_| self.stack.len() > self.floor());
        top.ok_or_else(|| malformed(offset, "an opcode needs a value and the stack is empty".into()))
    }

    fn top_object(&mut self, offset: usize) -> Result<&mut Object, PickleError> {
        let top = self.top(offset)?;
        let object = self.pickle.object_mut(top);
        object.ok_or_else(|| malformed(offset, "items are added to something that is no container".into()))
    }
}

fn malformed(offset: usize, what: String) -> PickleError {
    PickleError::Malformed { what, offset }
}

fn pairs(flat: &[Value], offset: usize) -> Result<Vec<(Value, Value)>, PickleError> {
    let (pairs, rest) = flat.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(malformed(offset, "a dict with a key that has no value".into()));
    }
    Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
}
