//! Bases whose matrices were stored in fewer bits by a method that is not read here.

use super::{WeightError, WeightSource as _};
use crate::checkpoint::TensorTable;

/// What ends the name of a tensor that only such files have, and the methods that write it.
const MARKS: [(&str, &str); 7] = [
    (".qweight", "AWQ or GPTQ"),
    (".qzeros", "AWQ or GPTQ"),
    (".g_idx", "GPTQ"),
    (".weight_packed", "compressed-tensors"),
    (".weight_scale_inv", "FP8"),
    (".weight_scale", "compressed-tensors or FP8"),
    (".SCB", "bitsandbytes in 8 bits"),
];

/// Refuses such a base by its method: that some weights are missing and others are extra would tell nobody.
pub(super) fn refuse_unread_methods(table: &TensorTable) -> Result<(), WeightError> {
    let marked = |name: &str| MARKS.iter().find(|(mark, _)| name.ends_with(mark)).map(|(_, method)| *method);
    match table.names().find_map(|name| Some((name, marked(name)?))) {
        Some((tensor, method)) => {
            Err(WeightError::Quantised { what: table.describe(), method, tensor: tensor.to_owned() })
        }
        None => Ok(()),
    }
}
