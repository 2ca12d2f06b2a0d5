//! Progress bars: on standard error, and only if that is a terminal.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

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
    bounded: "{bar:20} {percent:>3} %  {decimal_bytes} of {decimal_total_bytes}  {msg}  {eta} left",
    unbounded: "{spinner} {decimal_bytes}  {msg}  {elapsed}",
};

/// Things that are counted; the message says how it goes.
pub(crate) const COUNT: Template = Template {
    bounded: "{bar:20} {percent:>3} %  {human_pos} of {human_len}  {msg}  {eta} left",
    unbounded: "{spinner} {human_pos}  {msg}  {elapsed}",
};
