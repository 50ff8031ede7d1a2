//! Files from outside: tensors, pickles, arrays, and the folders that hold them.
