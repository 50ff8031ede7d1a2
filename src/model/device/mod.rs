//! Where a model computes: the CPU, or a GPU that is opened once in a process.

mod choice;
mod error;
mod fault;
#[cfg(feature = "cuda")]
mod gpu;
mod host_memory;

pub use choice::DeviceChoice;
pub use error::DeviceError;
pub use fault::GpuFault;
pub(crate) use host_memory::give_back_freed;

use candle_core::Device;

/// What a GPU says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuFacts {
    /// Its name.
    pub name: String,
    /// Compute capability, major and minor.
    pub compute_capability: (u32, u32),
    /// Memory that is free, bytes.
    pub free_bytes: u64,
    /// All of its memory, bytes.
    pub total_bytes: u64,
}

impl GpuFacts {
    /// Asks a device; `None` for the CPU, and where the driver does not say.
    pub fn of(device: &Device) -> Option<Self> {
        #[cfg(feature = "cuda")]
        if device.is_cuda() {
            let (free_bytes, total_bytes) = gpu::memory(device)?;
            let (name, compute_capability) = (gpu::name(device)?, gpu::compute_capability(device)?);
            return Some(Self { name, compute_capability, free_bytes, total_bytes });
        }
        let _ = device;
        None
    }

    /// Whether it computes in bf16: from compute capability 8.0 on (Ampere).
    pub fn has_bf16(&self) -> bool {
        self.compute_capability.0 >= 8
    }
}
