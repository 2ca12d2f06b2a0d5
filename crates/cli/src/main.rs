//! The `tamis` command: arguments in, one operation of the library, an exit code out.
//!
//! * I1: results go to standard output, everything else to standard error; with `--json` standard output is one document.
//! * I2: a process ends with a code of [`tamis_app::Exit`], and says why in one sentence if it is not 0.
//! * I3: a reader that closes the pipe early is no error.

mod arguments;
mod bench_tables;
mod commands;
mod config;
mod defect;
mod figures;
mod origins;
mod output;
mod progress;
mod report;
mod signals;
mod table;
mod units;
mod watch;
mod words;

use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use tamis_app::Exit;

fn main() -> ExitCode {
    defect::install_hook();
    signals::outlive_file_size_limit();
    // Nothing that a panic leaves behind is used again.
    let exit = panic::catch_unwind(AssertUnwindSafe(|| match arguments::parse(std::env::args_os()) {
        Ok(run) => run().unwrap_or_else(|failure| {
            output::say(&failure);
            failure.exit
        }),
        Err(stop) => stop.tell(),
    }));
    ExitCode::from(exit.unwrap_or(Exit::Internal).code())
}
