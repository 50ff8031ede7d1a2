//! Why a device cannot be used.

use super::DeviceChoice;

/// Why a device cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The program was built for the CPU alone.
    #[error("this build has no GPU support; build it with --features cuda, or use --device cpu")]
    NotBuiltIn,
    /// There is no such GPU.
    #[error(
        "{device}: this machine shows {found} NVIDIA GPUs to this program, expected more than {ordinal}; use another \
         ordinal, see nvidia-smi -L and CUDA_VISIBLE_DEVICES, or use --device cpu"
    )]
    NoSuchGpu {
        /// What was asked for.
        device: DeviceChoice,
        /// Its ordinal.
        ordinal: usize,
        /// How many there are.
        found: usize,
    },
    /// The driver refused.
    #[error(
        "{device} cannot be opened: {reason}; is a driver installed that is not older than the CUDA toolkit of this \
         build? nvidia-smi shows both. Or use --device cpu"
    )]
    Open {
        /// The device.
        device: DeviceChoice,
        /// What the driver said.
        reason: String,
    },
    /// bf16 was asked for on a GPU that cannot compute it.
    #[error(
        "{name} has compute capability {major}.{minor}: bf16 needs 8.0 or newer; use --dtype f32, or leave the format \
         to the device"
    )]
    NoBf16 {
        /// The GPU's name.
        name: String,
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}
