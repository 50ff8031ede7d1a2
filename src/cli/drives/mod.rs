//! Simulated drives on the command line: which worlds, which policies, which robot, and how many at a time.
//!
//! | file | what it is |
//! | --- | --- |
//! | `worlds` | `--world generated:7`, `barn:3` |
//! | `policies` | `--policy default`, `fixed:…`, `laser:…`, a policy checkpoint |
//! | `repeats` | how often, and from which seed |
//! | `robot` | what disturbs the robot |
//! | `collect` | the subcommand `collect` |
//! | `labelling` | pictures with what rules say to them, for `collect --frames` |
//! | `drive` | the subcommand `drive` |
//! | `shown` | a drive as viewers are shown it |
//! | `drive_page`, `field` | the page of a drive; worlds and ways on pages |
//! | `evaluate`, `table`, `page` | the subcommand `evaluate`, what it prints, and its page |
//! | `search` | the subcommand `search` |
//! | `workers` | many drives at a time |

pub mod collect;
pub mod drive;
mod drive_page;
pub mod evaluate;
mod field;
mod labelling;
mod page;
mod policies;
mod repeats;
mod robot;
pub mod search;
mod shown;
mod table;
mod workers;
mod worlds;
