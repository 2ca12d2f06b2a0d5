//! The lexer: text to tokens.

use super::{Arithmetic, Binary, Comparison};
use tamis_form::{Complaint, MistakeKind, quoted};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token<'a> {
    /// The digits as written: an index needs an integer, an operand a number.
    Number(&'a str),
    /// `word { "." word }`
    Name(&'a str),
    Operator(Binary),
    Not,
    Open,
    Close,
    OpenIndex,
    CloseIndex,
    Comma,
    End,
}

impl Token<'_> {
    /// What messages call the token.
    pub(super) fn describe(self) -> String {
        match self {
            Self::Number(text) | Self::Name(text) => quoted(text),
            Self::Operator(operator) => format!("'{}'", operator.symbol()),
            Self::Not => "'!'".into(),
            Self::Open => "'('".into(),
            Self::Close => "')'".into(),
            Self::OpenIndex => "'['".into(),
            Self::CloseIndex => "']'".into(),
            Self::Comma => "','".into(),
            Self::End => "the end".into(),
        }
    }
}

/// Longest first, so that `<=` is not read as `<`.
const SYMBOLS: [(&str, Token<'static>); 18] = {
    use Arithmetic::{Add, Div, Mul, Sub};
    use Binary::{And, Combine, Compare, Or};
    use Comparison::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
    [
        ("||", Token::Operator(Or)),
        ("&&", Token::Operator(And)),
        ("<=", Token::Operator(Compare(LessEqual))),
        (">=", Token::Operator(Compare(GreaterEqual))),
        ("==", Token::Operator(Compare(Equal))),
        ("!=", Token::Operator(Compare(NotEqual))),
        ("<", Token::Operator(Compare(Less))),
        (">", Token::Operator(Compare(Greater))),
        ("+", Token::Operator(Combine(Add))),
        ("-", Token::Operator(Combine(Sub))),
        ("*", Token::Operator(Combine(Mul))),
        ("/", Token::Operator(Combine(Div))),
        ("!", Token::Not),
        ("(", Token::Open),
        (")", Token::Close),
        ("[", Token::OpenIndex),
        ("]", Token::CloseIndex),
        (",", Token::Comma),
    ]
};

/// Symbols of other languages, and what to write instead.
const FOREIGN: [(&str, &str); 7] = [
    ("=", "=="),
    ("&", "&&"),
    ("|", "||"),
    ("\u{2265}", ">="),
    ("\u{2264}", "<="),
    ("\u{2260}", "!="),
    ("\u{2212}", "-"),
];

/// The tokens of `text` with their offsets in the menu file (`offsets`), ending with [`Token::End`].
pub(super) fn tokens<'a>(text: &'a str, offsets: &[usize]) -> Result<Vec<(usize, Token<'a>)>, Complaint> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let at = offsets[text.len() - rest.len()];
        let Some(first) = rest.chars().next() else {
            tokens.push((at, Token::End));
            return Ok(tokens);
        };
        let (len, token) = if first.is_ascii_digit() {
            let len = number_len(rest);
            (len, Token::Number(&rest[..len]))
        } else if is_word_start(first) {
            let len = name_len(rest);
            (len, Token::Name(&rest[..len]))
        } else if let Some((symbol, token)) = SYMBOLS.iter().find(|(symbol, _)| rest.starts_with(symbol)) {
            (symbol.len(), *token)
        } else {
            return Err(strange(at, rest, first));
        };
        tokens.push((at, token));
        rest = &rest[len..];
    }
}

fn strange(at: usize, rest: &str, first: char) -> Complaint {
    let hint = match FOREIGN.iter().find(|(foreign, _)| rest.starts_with(foreign)) {
        Some((_, ours)) => format!("; write '{ours}'"),
        None if first == '.' => "; a number starts with a digit: 0.5".into(),
        None => String::new(),
    };
    let mut buffer = [0; 4];
    Complaint::new(
        at,
        MistakeKind::Syntax,
        format!("{} means nothing here{hint}", quoted(first.encode_utf8(&mut buffer))),
    )
}

fn is_word_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn name_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    let in_word = |at: usize| bytes.get(at).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let mut len = 0;
    loop {
        while in_word(len) {
            len += 1;
        }
        let another =
            bytes.get(len) == Some(&b'.') && bytes.get(len + 1).is_some_and(|&b| is_word_start(b.into()));
        if !another {
            return len;
        }
        len += 1;
    }
}

/// `digits [ "." digits ] [ ("e" | "E") [ "+" | "-" ] digits ]`
fn number_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut len = digits(0);
    if bytes.get(len) == Some(&b'.') {
        len += 1 + digits(len + 1);
    }
    if bytes.get(len).is_some_and(|b| b.eq_ignore_ascii_case(&b'e')) {
        let sign = usize::from(matches!(bytes.get(len + 1), Some(b'+' | b'-')));
        let exponent = digits((len + 1 + sign).min(bytes.len()));
        if exponent > 0 {
            len += 1 + sign + exponent;
        }
    }
    len
}
