//! Guesses which columns were meant to feed a schema, for the message that it is not fed completely.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use tamis_event::{Role, Schema};

/// Most columns that the message maps.
const MAPPED: usize = 100;

/// What to do about the `missing` numbers: the options for columns whose names are nearly right, and where a label comes from.
pub(super) fn remedy(
    schema: &Schema,
    header: &[String],
    is_used: impl Fn(usize) -> bool,
    missing: &[String],
) -> String {
    let missing: HashSet<&str> = missing.iter().map(String::as_str).collect();
    let pairs = likely(schema, header, is_used, &missing);
    let mut text = String::from("map them");
    match pairs.len() {
        0 => text.push_str(" (--map COLUMN=FIELD)"),
        _ => text.push(':'),
    }
    for (column, address) in pairs.iter().take(MAPPED) {
        let _ = write!(text, " --map {}", argument(&format!("{column}={address}")));
    }
    if pairs.len() > MAPPED {
        let _ = write!(text, " and {} more", pairs.len() - MAPPED);
    }
    let truth: Vec<_> = schema.fields().iter().filter(|f| f.role == Role::Truth && f.len.is_none()).collect();
    if let [label] = truth[..]
        && missing.contains(label.name.as_str())
        && pairs.iter().all(|(_, address)| *address != label.name)
    {
        let _ = write!(text, "; --label-column COLUMN names the column of '{}'", label.name);
    }
    text
}

/// Unused columns and the missing numbers whose names they nearly have, in the order of the schema.
fn likely<'a>(
    schema: &Schema,
    header: &'a [String],
    is_used: impl Fn(usize) -> bool,
    missing: &HashSet<&str>,
) -> Vec<(&'a str, String)> {
    let mut columns: HashMap<String, Vec<usize>> = HashMap::new();
    for (column, name) in header.iter().enumerate() {
        columns.entry(plain(name)).or_default().push(column);
    }
    let mut found: HashMap<usize, Vec<String>> = HashMap::new();
    let mut order = Vec::new();
    for field in schema.fields() {
        let base = plain(&field.name);
        // Many people count from 1: then there is no column 0, and one for each number up to the length. Else nobody knows where they began.
        let is_column = |number: usize| columns.contains_key(&format!("{base}{number}"));
        let first = usize::from(!is_column(0));
        if field.len.is_some() && first == 1 && !(1..=field.elements()).all(is_column) {
            continue;
        }
        for index in 0..field.elements() {
            let (name, key) = match field.len {
                Some(_) => (format!("{}[{index}]", field.name), format!("{base}{}", index + first)),
                None => (field.name.clone(), base.clone()),
            };
            if let Some(&[column]) = columns.get(&key).map(Vec::as_slice)
                && missing.contains(name.as_str())
                && !is_used(column)
                && is_typable(&header[column])
            {
                found.entry(column).or_default().push(name);
                order.push(column);
            }
        }
    }
    let only = |column| match found.get(&column).map(Vec::as_slice) {
        Some([name]) => Some((header[column].as_str(), name.clone())),
        _ => None,
    };
    order.into_iter().filter_map(only).collect()
}

/// A name without what people write differently: upper case, and signs between words and indices.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !"_.-[]() ".contains(*c)).map(|c| c.to_ascii_lowercase()).collect()
}

/// Can the name stand in a command line?
fn is_typable(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('-') && !name.contains(char::is_control)
}

/// The text as one argument in a shell: in quotes, if it needs them.
fn argument(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.,:/+-=".contains(c);
    if text.chars().all(is_plain) { text.into() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
