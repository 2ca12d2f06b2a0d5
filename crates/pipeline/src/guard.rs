//! Calls of code that the pipeline does not know: models, sinks, sources. A panic there becomes an error of that part, with the text of the panic, and
//! does not end the run.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Is this thread inside a call whose panic will be counted and reported? Then a panic hook may stay silent.
pub fn is_guarded() -> bool {
    GUARDED.get()
}

/// Calls `call`; if it panics, the text of the panic is the error. What it borrowed may then be half changed: the caller no longer uses it, or resets
/// it.
pub(crate) fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    let _mark = Mark { before: GUARDED.replace(true) };
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| panic_message(&*panic))
}

/// The text of a panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().map(String::from);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".into())
}

/// Guarded calls may be nested.
struct Mark {
    before: bool,
}

impl Drop for Mark {
    fn drop(&mut self) {
        GUARDED.set(self.before);
    }
}
