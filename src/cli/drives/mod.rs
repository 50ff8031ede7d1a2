//! Simulated drives on the command line: which worlds, which policies, which robot, and how many at a time.
//!
//! | file | what it is |
//! | --- | --- |
//! | `worlds` | `--world generated:7`, `barn:3` |
//! | `policies` | `--policy default`, `fixed:…`, `laser:…`, a policy checkpoint |
//! | `repeats` | how often, and from which seed |
//! | `robot` | what disturbs the robot |
//! | `collect` | the subcommand `collect` |
//! | `drive` | the subcommand `drive` |
//! | `evaluate`, `table`, `page` | the subcommand `evaluate`, what it prints, and its page |

pub mod collect;
pub mod drive;
pub mod evaluate;
mod page;
mod policies;
mod repeats;
mod robot;
mod table;
mod worlds;
