//! What is asked of the CUDA driver itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Device;
use candle_core::cuda_backend::cudarc::driver::{CudaContext, DriverError};

use super::{DeviceChoice, DeviceError};

/// GPUs by ordinal, each opened once.
static OPENED: Mutex<BTreeMap<usize, Device>> = Mutex::new(BTreeMap::new());

pub(super) fn open(ordinal: usize) -> Result<Device, DeviceError> {
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(device) = opened.get(&ordinal) {
        return Ok(device.clone());
    }
    let device = DeviceChoice::Cuda(ordinal);
    let refused = |reason: String| DeviceError::Open { device, reason };
    // A driver that does not answer is an error of its own; none at all ends the program before, in the loader.
    let found = CudaContext::device_count().map_err(|error| refused(error.to_string()))?;
    let found = usize::try_from(found).unwrap_or_default();
    if ordinal >= found {
        return Err(DeviceError::NoSuchGpu { device, ordinal, found });
    }
    let gpu = open_on_one_stream(ordinal).map_err(|error| refused(error.to_string()))?;
    opened.insert(ordinal, gpu.clone());
    Ok(gpu)
}

/// One stream for all threads, so that what one thread uploads is there before another computes with it; the per-thread
/// streams of [`Device::new_cuda`] are not ordered among each other.
fn open_on_one_stream(ordinal: usize) -> candle_core::Result<Device> {
    let device = Device::new_cuda_with_stream(ordinal)?;
    let cuda = device.as_cuda_device()?;
    // Waits asleep: a robot needs the core for its planner.
    context(&device)?.set_blocking_synchronize().map_err(candle_core::Error::wrap)?;
    // Two events for each tensor would order streams among each other, and there is one.
    #[allow(unsafe_code)]
    // SAFETY: nothing has been allocated yet, and all work of the process goes through this one stream.
    unsafe {
        cuda.disable_event_tracking();
    }
    Ok(device)
}

fn context(device: &Device) -> candle_core::Result<Arc<CudaContext>> {
    Ok(Arc::clone(device.as_cuda_device()?.cuda_stream().context()))
}

fn ask<T>(device: &Device, question: impl FnOnce(&CudaContext) -> Result<T, DriverError>) -> Option<T> {
    question(&*context(device).ok()?).ok()
}

/// Free and total memory, bytes.
pub(super) fn memory(device: &Device) -> Option<(u64, u64)> {
    let (free, total) = ask(device, CudaContext::mem_get_info)?;
    Some((free as u64, total as u64))
}

pub(super) fn name(device: &Device) -> Option<String> {
    ask(device, CudaContext::name)
}

/// Major and minor number.
pub(super) fn compute_capability(device: &Device) -> Option<(u32, u32)> {
    let (major, minor) = ask(device, CudaContext::compute_capability)?;
    Some((u32::try_from(major).ok()?, u32::try_from(minor).ok()?))
}
