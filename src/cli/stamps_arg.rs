//! The option that says which clock a bag's messages go by.

use clap::ValueEnum;

use crate::recording::StampSource;

/// Which clock.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct StampsArg {
    /// Clock of a bag's messages: their own stamps, or the time of recording where two publishers' clocks disagree
    #[arg(long, value_name = "CLOCK", value_enum, default_value_t, help_heading = "Recording")]
    stamps: Stamps,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Stamps {
    /// header.stamp; the time of recording where it is zero
    #[default]
    Header,
    /// The time of recording, for all messages
    Recorded,
}

impl StampsArg {
    /// The choice.
    pub fn source(self) -> StampSource {
        match self.stamps {
            Stamps::Header => StampSource::Header,
            Stamps::Recorded => StampSource::Recorded,
        }
    }
}
