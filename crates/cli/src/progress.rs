//! Progress bars: on standard error, and only if that is a terminal.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};
use tamis_app::SoFar;

use crate::figures;

/// A bar to `total`, or a counter if that is not known.
pub(crate) fn bar(total: Option<u64>, template: &Template) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, text) = match total {
        Some(total) => (ProgressBar::new(total), template.bounded),
        None => (ProgressBar::no_length(), template.unbounded),
    };
    bar.set_style(
        ProgressStyle::with_template(text).expect("the templates are constants").progress_chars("━╸─"),
    );
    bar
}

/// What a bar looks like.
pub(crate) struct Template {
    bounded: &'static str,
    unbounded: &'static str,
}

/// Bytes of input; the message has the events.
pub(crate) const BYTES: Template = Template {
    bounded: "{bar:10} {percent:>3} %  {decimal_bytes} of {decimal_total_bytes}  {msg}  {eta} left",
    unbounded: "{spinner} {decimal_bytes}  {msg}  {elapsed}",
};

/// A bar of things that are counted; the message shows the state.
pub(crate) const COUNT: Template = Template {
    bounded: "{bar:10} {percent:>3} %  {human_pos} of {human_len}  {msg}  {eta} left",
    unbounded: "{spinner} {human_pos}  {msg}  {elapsed}",
};

/// A bar over a recording, whose size is known once its beginning has been read.
#[derive(Default)]
pub(crate) struct Reading {
    bar: Option<ProgressBar>,
}

impl Reading {
    pub(crate) fn show(&mut self, so_far: SoFar) {
        let bar = self.bar.get_or_insert_with(|| bar(so_far.total, &BYTES));
        bar.set_position(so_far.bytes);
        bar.set_message(format!("{} events", figures::grouped(so_far.events)));
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
    }
}
