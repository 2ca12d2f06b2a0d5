//! Maps each byte of an expression to its offset in the menu file.
//!
//! An expression is the value of a TOML string. Its decoded text differs from the bytes in the file by quotation marks, escapes and folded
//! lines, so an error needs this map to point into the file.

/// For every byte of `decoded`, and for its end, the offset in the file of the text that encodes it.
///
/// `raw` is the TOML string with its quotation marks, `start` its offset in the file. If `raw` and `decoded` disagree, everything points at the
/// start of the string: a vague place is better than a wrong one.
pub(super) fn offsets(raw: &str, start: usize, decoded: &str) -> Vec<usize> {
    let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| raw.starts_with(quote)).unwrap_or("");
    let mut at = quote.len();
    if quote.len() == 3 {
        let newline = ["\r\n", "\n"].into_iter().find(|newline| raw[at..].starts_with(newline));
        at += newline.map_or(0, str::len);
    }
    let escapes = quote.starts_with('"');
    let mut offsets = Vec::with_capacity(decoded.len() + 1);
    for c in decoded.chars() {
        while escapes && let Some(folded) = folded_line(&raw[at..]) {
            at += folded;
        }
        offsets.extend(std::iter::repeat_n(start + at, c.len_utf8()));
        let written = if escapes { escape_len(&raw[at..]) } else { None };
        at += written.unwrap_or(c.len_utf8());
        if raw.get(at..).is_none() {
            return vec![start; decoded.len() + 1];
        }
    }
    offsets.push(start + at);
    offsets
}

/// Length in bytes of a backslash at the end of a line and all the white space that it removes.
fn folded_line(rest: &str) -> Option<usize> {
    let blank = rest.strip_prefix('\\')?;
    let after = blank.trim_start_matches([' ', '\t', '\r', '\n']);
    let removed = &blank[..blank.len() - after.len()];
    removed.contains('\n').then_some(1 + removed.len())
}

/// Length in bytes of the escape at the front, which stands for one character.
fn escape_len(rest: &str) -> Option<usize> {
    Some(match rest.strip_prefix('\\')?.chars().next()? {
        'x' => 4,
        'u' => 6,
        'U' => 10,
        c => 1 + c.len_utf8(),
    })
}
