//! Attention by flash-attn: scores never leave the GPU's cores. Only in builds with the feature `flash-attn`.

use candle_core::{Result, Tensor};

/// `softmax(scale * query key^T) value`, `[batch, heads, rows, dim]` and `[batch, kv_heads, seq, dim]` twice to
/// `[batch, heads, rows, dim]`. `None` where flash-attn is not built in or does not take the tensors: it wants bf16 on a
/// GPU.
///
/// With `causal` the last query stands at the last key, as in flash-attn from version 2.1 on.
#[cfg(feature = "flash-attn")]
pub fn flash_attention(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    scale: f64,
    causal: bool,
) -> Result<Option<Tensor>> {
    if !query.device().is_cuda() || query.dtype() != candle_core::DType::BF16 {
        return Ok(None);
    }
    let rows_first = |tensor: &Tensor| tensor.transpose(1, 2); // [batch, rows, heads, dim]
    let (query, key, value) = (rows_first(query)?, rows_first(key)?, rows_first(value)?);
    let attended = candle_flash_attn::flash_attn(&query, &key, &value, scale as f32, causal)?;
    Ok(Some(attended.transpose(1, 2)?))
}

/// `None`: flash-attn is not built in.
#[cfg(not(feature = "flash-attn"))]
pub fn flash_attention(_: &Tensor, _: &Tensor, _: &Tensor, _: f64, _: bool) -> Result<Option<Tensor>> {
    Ok(None)
}
