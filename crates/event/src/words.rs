//! Words that people write in TOML files: without quotation marks, in the language of other tools, nearly right.

use crate::dtype::Dtype;

/// What other tools call the types. Where bytes are counted, `u8` and `i8` mean something else there.
const OTHER_NAMES: [(&[&str], Dtype); 11] = [
    (&["uint8", "u1", "byte", "bool", "boolean"], Dtype::U8),
    (&["int8", "i1"], Dtype::I8),
    (&["uint16", "u2", "ushort"], Dtype::U16),
    (&["int16", "i2", "short"], Dtype::I16),
    (&["uint32", "u4", "uint"], Dtype::U32),
    (&["int32", "i4", "int", "integer"], Dtype::I32),
    (&["uint64", "ulong"], Dtype::U64),
    (&["int64", "long", "longlong"], Dtype::I64),
    (&["float16", "f2", "half"], Dtype::F16),
    (&["float32", "f4", "float", "single"], Dtype::F32),
    (&["float64", "f8", "double"], Dtype::F64),
];

/// The type of this name.
pub(crate) fn dtype(word: &str) -> Result<Dtype, String> {
    if let Some(dtype) = Dtype::ALL.into_iter().find(|dtype| dtype.name() == word) {
        return Ok(dtype);
    }
    let lower = word.to_ascii_lowercase();
    let bare = lower.trim_start_matches(['<', '>', '|', '=']);
    let other = OTHER_NAMES.iter().find(|(names, _)| names.contains(&bare)).map(|(_, dtype)| dtype.name());
    let hint = match other.or(nearest_word(word, Dtype::ALL.map(Dtype::name))) {
        Some(name) => format!("; did you mean '{name}'?"),
        None => format!("; it is one of {}", Dtype::ALL.map(Dtype::name).join(", ")),
    };
    Err(format!("no dtype '{}'{hint}", word.escape_debug()))
}

/// The candidate that is nearest to `word`, if one is near. Upper and lower case count as the same.
pub fn nearest_word<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_ascii_lowercase();
    let distance = |candidate: &'a str| {
        (strsim::damerau_levenshtein(&candidate.to_ascii_lowercase(), &lower), candidate)
    };
    let (distance, near) = candidates.into_iter().map(distance).min()?;
    (distance <= 1 + word.len() / 4).then_some(near)
}

/// The remedy where a TOML file is not understood at the byte `at`, if a word without quotation marks stands there.
pub fn unquoted(text: &str, at: usize) -> Option<String> {
    let (before, rest) = text.split_at_checked(at)?;
    let before = before[before.rfind('\n').map_or(0, |end| end + 1)..].trim_end();
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_.-/".contains(c))).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    // What begins with a bracket is a table, and what an equals sign follows is a key.
    let is_value = before.contains('=') && before.ends_with(['=', '[', ',']);
    let is_key = after.trim_start_matches([' ', '\t']).starts_with('=');
    let start = word.trim_start_matches(['.', '/']);
    let is_word = start.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && !["true", "false", "inf", "nan"].contains(&start);
    let is_short = word.len() <= 80;
    (is_value && !is_key && is_word && is_short).then(|| format!("a word needs quotation marks: \"{word}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_without_quotation_marks_is_told_from_other_mistakes() {
        for (text, wanted) in [
            ("a = >f32", Some("f32")),
            ("a=>../b.toml # x", Some("../b.toml")),
            ("b = 1\na = >_x", Some("_x")),
            ("a = [>x]", Some("x")),
            ("a = ['b', >c]", Some("c")),
            ("field = [{ name = >met.pt }]", Some("met.pt")),
            ("a = >.5", None),
            ("a = >true", None),
            ("a = >3x", None),
            ("a = 'b>c", None),
            ("b = 1\n>c d", None),
            ("a = 1\n[>a]", None),
            ("a = { b = 1, >b = 2 }", None),
        ] {
            let at = text.find('>').unwrap();
            let wanted = wanted.map(|word| format!("a word needs quotation marks: \"{word}\""));
            assert_eq!(unquoted(&text.replacen('>', "", 1), at), wanted, "{text}");
        }
        assert_eq!(unquoted("\u{fc}", 1), None);
    }
}
