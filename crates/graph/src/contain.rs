//! Turns panics of libraries on untrusted files into refusals.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Runs code that may panic because of the contents of a file; `None` if it does. Nothing that it was changing is used afterwards.
pub fn contained<T>(run: impl FnOnce() -> T) -> Option<T> {
    let before = CONTAINED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(run));
    CONTAINED.set(before);
    result.ok()
}

/// Is this thread in [`contained`]? Then a panic is no defect of this program, and a panic hook should be silent.
pub fn in_contained() -> bool {
    CONTAINED.get()
}
