//! Who attends to whom, made once for a geometry and kept for all layers.

use std::sync::Arc;

use candle_core::{Result, Tensor};

use super::{AttentionSpan, LearnedAttention, attention, is_cpu_f32};

/// The spans of an attention, and on a GPU the tiles that its kernel makes of them.
#[derive(Debug)]
pub struct AttentionPlan {
    spans: Arc<[AttentionSpan]>,
    /// u32 `[tiles, 5]`, made when a GPU first asks.
    #[cfg(feature = "cuda")]
    tiles: std::sync::OnceLock<Tensor>,
}

impl AttentionPlan {
    /// For spans that cover the queries in order.
    pub fn new(spans: Vec<AttentionSpan>) -> Self {
        Self {
            spans: spans.into(),
            #[cfg(feature = "cuda")]
            tiles: std::sync::OnceLock::new(),
        }
    }

    /// `rows` queries, the last of `seq` tokens: each sees itself and what comes before it.
    pub fn causal(rows: usize, seq: usize) -> Self {
        Self::new(AttentionSpan::causal(rows, seq))
    }

    /// The spans.
    pub fn spans(&self) -> &[AttentionSpan] {
        &self.spans
    }

    /// `softmax(scale * query key^T) value` by a kernel: `[heads, rows, dim]`, `[kv_heads, seq, dim]` twice to
    /// `[rows, heads * dim]` in the format of the values. `None` where there is no kernel for the tensors.
    ///
    /// # Errors
    /// When the shapes do not fit, or the device refuses.
    pub fn attend(&self, query: &Tensor, key: &Tensor, value: &Tensor, scale: f64) -> Result<Option<Tensor>> {
        let learns = query.track_op() || value.track_op();
        if is_cpu_f32(query) && learns {
            let attention = LearnedAttention { scale: scale as f32, spans: Arc::clone(&self.spans) };
            return query.contiguous()?.apply_op3(&key.contiguous()?, &value.contiguous()?, attention).map(Some);
        }
        if is_cpu_f32(query) {
            return attention(query, key, value, scale, &self.spans).map(Some);
        }
        if learns {
            return Ok(None);
        }
        #[cfg(feature = "cuda")]
        if query.device().is_cuda()
            && query.dim(2)? <= crate::vision_language::cuda::ATTENTION_MAX_DIM
            && self.is_worth_it(query.dim(0)?)
        {
            let attention = on_gpu::FusedAttention::new(self.tiles(query.device())?, scale as f32);
            let parts = [query, key, value].map(Tensor::contiguous);
            let [query, key, value] = parts;
            return query?.apply_op3_no_bwd(&key?, &value?, &attention).map(Some);
        }
        Ok(None)
    }

    /// Whether there are blocks enough to fill a GPU: with a few long rows, as in the language model, cuBLAS is faster, although it
    /// writes all scores down (H100, 3B shape: 18.6 against 22.2 ms).
    #[cfg(feature = "cuda")]
    fn is_worth_it(&self, heads: usize) -> bool {
        const FULL: usize = 512;
        self.spans.iter().map(|span| span.queries.len().div_ceil(32)).sum::<usize>() * heads >= FULL
    }

    #[cfg(feature = "cuda")]
    fn tiles(&self, device: &candle_core::Device) -> Result<Tensor> {
        if let Some(tiles) = self.tiles.get() {
            return Ok(tiles.clone());
        }
        let numbers = crate::vision_language::cuda::attention_tiles(&self.spans);
        let tiles = Tensor::from_slice(&numbers, (numbers.len() / 5, 5), device)?;
        Ok(self.tiles.get_or_init(|| tiles).clone())
    }
}

#[cfg(feature = "cuda")]
mod on_gpu {
    //! `attention.cu`.

    use candle_core::backend::BackendStorage as _;
    use candle_core::cuda_backend::WrapErr as _;
    use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaView, DeviceRepr, PushKernelArg as _};
    use candle_core::cuda_backend::{CudaDType, CudaDevice};
    use candle_core::{CpuStorage, CudaStorage, CustomOp3, DType, Layout, Result, Shape, Storage, Tensor, bail};
    use half::bf16;

    use crate::vision_language::cuda::{ATTENTION, attention_launch};

    pub(super) struct FusedAttention {
        /// u32 `[tiles, 5]`
        tiles: Tensor,
        scale: f32,
    }

    /// What the kernel counts with.
    struct Sizes {
        heads: u32,
        kv_heads: u32,
        rows: u32,
        seq: u32,
        dim: u32,
    }

    impl CustomOp3 for FusedAttention {
        fn name(&self) -> &'static str {
            "fused-attention"
        }

        fn cpu_fwd(
            &self,
            _: &CpuStorage,
            _: &Layout,
            _: &CpuStorage,
            _: &Layout,
            _: &CpuStorage,
            _: &Layout,
        ) -> Result<(CpuStorage, Shape)> {
            bail!("{} is for a GPU", self.name())
        }

        fn cuda_fwd(
            &self,
            query: &CudaStorage,
            query_layout: &Layout,
            key: &CudaStorage,
            key_layout: &Layout,
            value: &CudaStorage,
            value_layout: &Layout,
        ) -> Result<(CudaStorage, Shape)> {
            let (heads, rows, dim) = query_layout.shape().dims3()?;
            let (kv_heads, seq, key_dim) = key_layout.shape().dims3()?;
            if key_dim != dim || value_layout.shape() != key_layout.shape() || heads % kv_heads != 0 {
                bail!("attention of {heads}x{rows}x{dim} queries and {kv_heads}x{seq}x{key_dim} keys");
            }
            let sizes = [heads, kv_heads, rows, seq, dim].map(|number| number as u32);
            let [heads_32, kv_heads, rows_32, seq, dim_32] = sizes;
            let sizes = Sizes { heads: heads_32, kv_heads, rows: rows_32, seq, dim: dim_32 };
            let device = query.device().clone();
            let query = query.as_cuda_slice::<f32>()?.slice(query_layout.start_offset()..);
            let key = key.as_cuda_slice::<f32>()?.slice(key_layout.start_offset()..);
            let offset = value_layout.start_offset();
            let storage = match value.dtype() {
                DType::BF16 => {
                    let value = value.as_cuda_slice::<bf16>()?.slice(offset..);
                    let out = self.launch::<bf16>("attend_bf16", &device, [&query, &key], &value, &sizes)?;
                    CudaStorage::wrap_cuda_slice(out, device)
                }
                DType::F32 => {
                    let value = value.as_cuda_slice::<f32>()?.slice(offset..);
                    let out = self.launch::<f32>("attend_f32", &device, [&query, &key], &value, &sizes)?;
                    CudaStorage::wrap_cuda_slice(out, device)
                }
                other => bail!("attention takes values in bf16 or f32, found {other:?}"),
            };
            Ok((storage, Shape::from((rows, heads * dim))))
        }
    }

    impl FusedAttention {
        pub(super) fn new(tiles: Tensor, scale: f32) -> Self {
            Self { tiles, scale }
        }

        fn launch<T: CudaDType + DeviceRepr>(
            &self,
            name: &str,
            device: &CudaDevice,
            [query, key]: [&CudaView<'_, f32>; 2],
            value: &CudaView<'_, T>,
            sizes: &Sizes,
        ) -> Result<CudaSlice<T>> {
            let Sizes { heads, kv_heads, rows, seq, dim } = sizes;
            let (tiles, layout) = self.tiles.storage_and_layout();
            let Storage::Cuda(tiles) = &*tiles else { bail!("{name}: the tiles are not on the GPU") };
            let tiles = tiles.as_cuda_slice::<u32>()?.slice(layout.start_offset()..);
            let launch = attention_launch(layout.shape().dims2()?.0, *heads as usize, *dim as usize);
            let kernel = device.get_or_load_custom_func(name, "planner_tuner_attention", ATTENTION)?;
            #[allow(unsafe_code)]
            // SAFETY: the tiles cover every row once, so that the launch below writes every number of `out`, and nobody
            // reads them before: there is one stream. Shapes have been compared, and all tensors are contiguous.
            unsafe {
                let out = device.alloc::<T>(*rows as usize * *heads as usize * *dim as usize)?;
                let mut builder = kernel.builder();
                builder.arg(query).arg(key).arg(value).arg(&tiles).arg(&out);
                builder.arg(heads).arg(kv_heads).arg(rows).arg(seq).arg(dim).arg(&self.scale);
                builder.launch(launch).w()?;
                Ok(out)
            }
        }
    }
}
