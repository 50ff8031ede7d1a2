//! Is there enough memory? Asked before the first byte is read.

use std::path::Path;

use candle_core::{DType, Device};

use super::{LoadPlan, WeightError};
use crate::device::GpuFacts;

/// Working memory on top of the weights: the tensor that is being read and merged, activations, the program itself.
const OVERHEAD_BYTES: u64 = 500 << 20;

/// Memory that the system can give to this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryBudget {
    available: u64,
}

impl MemoryBudget {
    /// A fixed budget in bytes.
    pub fn of_bytes(available: u64) -> Self {
        Self { available }
    }

    /// What Linux says is available: `MemAvailable` of /proc/meminfo, cut to the control group's limit. `None` where
    /// neither can be read.
    pub fn of_this_machine() -> Option<Self> {
        let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
        let available = mem_available(&meminfo)?;
        let cgroup = cgroup_headroom(Path::new("/sys/fs/cgroup"));
        Some(Self { available: cgroup.map_or(available, |headroom| headroom.min(available)) })
    }

    /// What a device can give: a GPU's free memory, or this machine's. `None` where neither says.
    pub fn of_device(device: &Device) -> Option<Self> {
        if device.is_cpu() {
            return Self::of_this_machine();
        }
        GpuFacts::of(device).map(|gpu| Self { available: gpu.free_bytes })
    }

    /// The budget, bytes.
    pub fn available(self) -> u64 {
        self.available
    }

    /// Compares with what loading `plan` takes at its peak.
    ///
    /// # Errors
    /// [`WeightError::Memory`] with what is needed, what there is, and the form that would fit.
    pub fn check(self, plan: &LoadPlan, what: &str) -> Result<(), WeightError> {
        let need = plan.bytes().saturating_add(OVERHEAD_BYTES);
        if need <= self.available {
            return Ok(());
        }
        let fits = |dtype| {
            let bytes = plan.bytes_as(dtype);
            bytes < plan.bytes() && bytes.saturating_add(OVERHEAD_BYTES) <= self.available
        };
        let advice = match (fits(DType::BF16), fits(DType::F4)) {
            (true, _) => ", or pass --dtype bf16, which would fit",
            (false, true) => ", or pass --quantize nf4, which would fit",
            (false, false) => "",
        };
        Err(WeightError::Memory {
            what: what.to_string(),
            need_mib: need >> 20,
            available_mib: self.available >> 20,
            advice: advice.to_string(),
        })
    }
}

fn mem_available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// What a control group (version 2, as in containers) leaves; `None` without a limit.
fn cgroup_headroom(folder: &Path) -> Option<u64> {
    let number = |name: &str| std::fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
    Some(number("memory.max")?.saturating_sub(number("memory.current")?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn meminfo_is_read_in_bytes() {
        assert_eq!(mem_available("MemTotal: 9 kB\nMemAvailable:   24000 kB\n"), Some(24_576_000));
        assert_eq!(mem_available("MemTotal: 9 kB\n"), None);
    }

    #[test]
    fn a_cgroup_without_limit_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(cgroup_headroom(folder.path()), None);
        std::fs::write(folder.path().join("memory.current"), "40\n").unwrap();
        std::fs::write(folder.path().join("memory.max"), "max\n").unwrap();
        assert_eq!(cgroup_headroom(folder.path()), None);
        std::fs::write(folder.path().join("memory.max"), "100\n").unwrap();
        assert_eq!(cgroup_headroom(folder.path()), Some(60));
    }

    #[test]
    fn too_little_names_need_have_and_what_would_fit() {
        let gigabyte_of_f32 = LoadPlan::survey(DType::F32, |vb| vb.get((1 << 28,), "w")).unwrap();
        MemoryBudget::of_bytes(2 << 30).check(&gigabyte_of_f32, "model").unwrap();
        let error = MemoryBudget::of_bytes(1100 << 20).check(&gigabyte_of_f32, "model").unwrap_err().to_string();
        assert!(error.contains("model needs 1524 MiB of memory, 1100 MiB are available"), "{error}");
        assert!(error.contains("--dtype bf16"), "{error}");
        let error = MemoryBudget::of_bytes(900 << 20).check(&gigabyte_of_f32, "model").unwrap_err().to_string();
        assert!(error.contains("--quantize nf4"), "{error}");
        let error = MemoryBudget::of_bytes(400 << 20).check(&gigabyte_of_f32, "model").unwrap_err().to_string();
        assert!(error.ends_with("close other programs"), "{error}");
    }
}
