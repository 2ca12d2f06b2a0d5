//! Exit codes and failures: how a program that ran a trigger ends.

use std::{fmt, io};

/// The exit codes of every command, and what they mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; if events were read, every one is accounted for.
    Done = 0,
    /// The command line makes no sense.
    Usage = 2,
    /// A setting has an impossible value.
    Settings = 64,
    /// Input data, menu or model cannot be used.
    Input = 65,
    /// A needed service is absent.
    Absent = 69,
    /// A defect of Tamis: the ledger does not balance, or a stage panicked.
    Internal = 70,
    /// The system refused a resource at the start: memory, threads, locked pages.
    Resources = 71,
    /// Storage failed.
    Storage = 74,
    /// Finished, but data was dropped, corrupt, missing or undecided; the ledger says how much.
    Losses = 75,
    /// A gate was not met.
    Gate = 76,
}

impl Exit {
    /// Every code.
    pub const ALL: [Self; 10] = [
        Self::Done,
        Self::Usage,
        Self::Settings,
        Self::Input,
        Self::Absent,
        Self::Internal,
        Self::Resources,
        Self::Storage,
        Self::Losses,
        Self::Gate,
    ];

    /// Of an output that cannot be begun: a name at which there can be no file is a slip of the command line, anything else is storage that failed.
    pub fn of_output(error: &io::Error) -> Self {
        use io::ErrorKind::{AlreadyExists, InvalidFilename, IsADirectory, NotADirectory, NotFound};
        match error.kind() {
            AlreadyExists | InvalidFilename | IsADirectory | NotADirectory | NotFound => Self::Settings,
            _ => Self::Storage,
        }
    }

    /// The number that the process ends with.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// One line for help texts.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done, every event accounted for",
            Self::Usage => "the command line makes no sense",
            Self::Settings => "a setting has an impossible value",
            Self::Input => "input data, menu or model cannot be used",
            Self::Absent => "a needed service is absent",
            Self::Internal => "a defect of tamis: the ledger does not balance",
            Self::Resources => "the system refused a resource at the start",
            Self::Storage => "storage failed",
            Self::Losses => "finished, but data was lost or left undecided: see the ledger",
            Self::Gate => "a gate was not met",
        }
    }
}

/// Why something did not work: one clear sentence that names the place and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How the process should end.
    pub exit: Exit,
    /// The sentence.
    pub message: String,
}

impl Failure {
    /// A failure with this code; the message is what `error` displays.
    pub fn new(exit: Exit, error: impl fmt::Display) -> Self {
        Self { exit, message: error.to_string() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Turns any error into a failure with a code.
pub(crate) trait OrFail<T> {
    fn or_fail(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: fmt::Display> OrFail<T> for Result<T, E> {
    fn or_fail(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(exit, error))
    }
}
