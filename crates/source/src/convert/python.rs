//! The header of a `.npy` file: a Python literal (NEP 1).

/// Deepest nesting of lists; a header needs three levels.
const DEPTH_MAX: u32 = 8;

/// A value of a literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(u64),
    Bool(bool),
    /// A tuple or a list.
    Items(Vec<Self>),
    /// A dictionary with texts as keys.
    Pairs(Vec<(String, Self)>),
}

impl Value {
    /// Reads a literal; only white space may follow it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let value = value(&mut rest, 0)?;
        rest.trim().is_empty().then_some(value)
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Pairs(pairs) = self else { return None };
        pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The numbers of a tuple; a number alone is a tuple of one.
    pub(super) fn numbers(&self) -> Option<Vec<u64>> {
        match self {
            Self::Number(number) => Some(vec![*number]),
            Self::Items(items) => items
                .iter()
                .map(|item| match item {
                    Self::Number(number) => Some(*number),
                    _ => None,
                })
                .collect(),
            _ => None,
        }
    }
}

fn value(rest: &mut &str, depth: u32) -> Option<Value> {
    *rest = rest.trim_start();
    if depth > DEPTH_MAX {
        return None;
    }
    match rest.chars().next()? {
        quote @ ('\'' | '"') => {
            let (text, after) = rest[1..].split_once(quote)?;
            *rest = after;
            // No name in a schema contains escapes.
            (!text.contains('\\')).then(|| Value::Text(text.into()))
        }
        '(' => items(rest, ')', depth).map(Value::Items),
        '[' => items(rest, ']', depth).map(Value::Items),
        '{' => pairs(rest, depth).map(Value::Pairs),
        '0'..='9' => {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let number = rest[..end].parse().ok()?;
            // Python 2 wrote long integers with an L.
            *rest = rest[end..].strip_prefix('L').unwrap_or(&rest[end..]);
            Some(Value::Number(number))
        }
        _ => {
            let words = [("True", true), ("False", false)];
            let (word, truth) = words.into_iter().find(|(word, _)| rest.starts_with(word))?;
            *rest = &rest[word.len()..];
            Some(Value::Bool(truth))
        }
    }
}

fn items(rest: &mut &str, end: char, depth: u32) -> Option<Vec<Value>> {
    let mut items = Vec::new();
    *rest = &rest[1..];
    while !closes(rest, end) {
        items.push(value(rest, depth + 1)?);
        separated(rest, end)?;
    }
    Some(items)
}

fn pairs(rest: &mut &str, depth: u32) -> Option<Vec<(String, Value)>> {
    let mut pairs = Vec::new();
    *rest = &rest[1..];
    while !closes(rest, '}') {
        let Value::Text(key) = value(rest, depth + 1)? else { return None };
        *rest = rest.trim_start().strip_prefix(':')?;
        pairs.push((key, value(rest, depth + 1)?));
        separated(rest, '}')?;
    }
    Some(pairs)
}

/// Is `end` next? If so, it is consumed.
fn closes(rest: &mut &str, end: char) -> bool {
    *rest = rest.trim_start();
    let after = rest.strip_prefix(end);
    *rest = after.unwrap_or(rest);
    after.is_some()
}

/// Consumes a comma, if there is one; else `end` must follow.
fn separated(rest: &mut &str, end: char) -> Option<()> {
    *rest = rest.trim_start();
    match rest.strip_prefix(',') {
        Some(after) => *rest = after,
        None if rest.starts_with(end) => {}
        None => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_read_and_others_are_not() {
        let text = "{'descr': [('pt', '<f4'), (\"a's\", '|u1', (2L, 3))], 'fortran_order': False, 'shape': (7,), }  \n";
        let header = Value::parse(text).unwrap();
        assert_eq!(header.get("shape").unwrap().numbers(), Some(vec![7]));
        assert_eq!(header.get("fortran_order"), Some(&Value::Bool(false)));
        let Some(Value::Items(fields)) = header.get("descr") else { panic!("{header:?}") };
        let Value::Items(second) = &fields[1] else { panic!("{fields:?}") };
        assert_eq!(second[0], Value::Text("a's".into()));
        assert_eq!(second[2].numbers(), Some(vec![2, 3]));
        assert_eq!(Value::parse("()").unwrap().numbers(), Some(vec![]));
        for text in ["", "{", "{'a'}", "(1 2)", "'a", "None", "(1,) 2", "99999999999999999999", "{1: 2}"] {
            assert_eq!(Value::parse(text), None, "{text}");
        }
        assert_eq!(Value::parse(&"[".repeat(100_000)), None);
    }
}
