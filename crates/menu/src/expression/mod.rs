//! The language of conditions: text to tree. Types are checked later, against a schema.
//!
//! ```text
//!   or      = and { "||" and }
//!   and     = compare { "&&" compare }
//!   compare = sum [ ("<" | "<=" | ">" | ">=" | "==" | "!=") sum ]        not chained: a < b < c is an error
//!   sum     = product { ("+" | "-") product }
//!   product = unary { ("*" | "/") unary }
//!   unary   = { "!" | "-" } primary
//!   primary = number | name [ "[" index "]" ] | function "(" or { "," or } ")" | "(" or ")"
//!   name    = word { "." word }                                           a field (jets.pt) or a score (anomaly.score)
//! ```

mod embedded;
mod lexer;
mod parser;

pub(crate) use parser::parse;
use tamis_event::Decimal;

/// A node of the tree and the byte of the menu text that an error about it points at.
#[derive(Clone, Debug)]
pub(crate) struct Expr {
    pub(crate) at: usize,
    /// Unlike that of any other node of the expression.
    pub(crate) id: usize,
    pub(crate) node: ExpressionNode,
    /// Nodes on the longest path down, including this one, where a chain is one: at most [`crate::limits::EXPRESSION_DEPTH_MAX`].
    depth: usize,
}

/// A number as it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Literal {
    /// The nearest f64.
    pub(crate) value: f64,
    /// As it is written; the shortest decimal of `value` if it has more digits than can be kept.
    pub(crate) written: Decimal,
}

#[derive(Clone, Debug)]
pub(crate) enum ExpressionNode {
    Number(Literal),
    Name {
        name: String,
        index: Option<usize>,
    },
    Negate(Box<Expr>),
    Not(Box<Expr>),
    /// `a + b - c`: operators that bind equally, from left to right. The place of the node is that of the last one.
    Chain(Box<Expr>, Vec<ChainLink>),
    Call(Function, Vec<Expr>),
}

/// An operator of a chain and what stands to the right of it.
#[derive(Clone, Debug)]
pub(crate) struct ChainLink {
    pub(crate) at: usize,
    pub(crate) operator: Binary,
    pub(crate) operand: Expr,
}

impl Expr {
    /// The nodes directly below.
    pub(crate) fn parts(&self) -> Vec<&Self> {
        match &self.node {
            ExpressionNode::Number(_) | ExpressionNode::Name { .. } => Vec::new(),
            ExpressionNode::Negate(operand) | ExpressionNode::Not(operand) => vec![operand],
            ExpressionNode::Chain(first, links) => {
                std::iter::once(&**first).chain(links.iter().map(|link| &link.operand)).collect()
            }
            ExpressionNode::Call(_, arguments) => arguments.iter().collect(),
        }
    }
}

/// Operators with two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    Or,
    And,
    Compare(Comparison),
    Combine(Arithmetic),
}

impl Binary {
    /// How tightly the operator binds.
    fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Compare(_) => 3,
            Self::Combine(Arithmetic::Add | Arithmetic::Sub) => 4,
            Self::Combine(_) => 5,
        }
    }

    /// The operator as it is written.
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Or => "||",
            Self::And => "&&",
            Self::Compare(comparison) => comparison.symbol(),
            Self::Combine(arithmetic) => arithmetic.symbol(),
        }
    }
}

/// Compares two numbers as IEEE 754 does: with a NaN only `!=` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Comparison {
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Equal,
    NotEqual,
}

impl Comparison {
    #[inline(always)]
    pub(crate) fn holds<T: PartialOrd + Copy>(self, x: T, y: T) -> bool {
        match self {
            Self::Less => x < y,
            Self::LessEqual => x <= y,
            Self::Greater => x > y,
            Self::GreaterEqual => x >= y,
            Self::Equal => x == y,
            Self::NotEqual => x != y,
        }
    }

    /// The comparison with its sides swapped: `x op y` is `y op.mirrored() x`.
    pub(crate) fn mirrored(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessEqual => Self::GreaterEqual,
            Self::Greater => Self::Less,
            Self::GreaterEqual => Self::LessEqual,
            Self::Equal | Self::NotEqual => self,
        }
    }

    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        }
    }
}

/// An operation that makes one number of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    Min,
    Max,
}

impl Arithmetic {
    /// IEEE 754 in f64. `Min` and `Max` of a NaN and a number give the number; of two equal operands they give the second, so even the sign of
    /// a zero is the same on every machine (`f64::min` leaves that open).
    #[inline(always)]
    pub(crate) fn apply(self, x: f64, y: f64) -> f64 {
        match self {
            Self::Add => x + y,
            Self::Sub => x - y,
            Self::Mul => x * y,
            Self::Div => x / y,
            Self::Min => prefer(x < y, x, y),
            Self::Max => prefer(x > y, x, y),
        }
    }

    fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Min => "min",
            Self::Max => "max",
        }
    }
}

#[inline(always)]
fn prefer(first: bool, x: f64, y: f64) -> f64 {
    if first | y.is_nan() { x } else { y }
}

/// The functions of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Abs,
    Min,
    Max,
    Sum,
    Count,
}

impl Function {
    const ALL: [Self; 5] = [Self::Abs, Self::Min, Self::Max, Self::Sum, Self::Count];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Abs => "abs",
            Self::Min => "min",
            Self::Max => "max",
            Self::Sum => "sum",
            Self::Count => "count",
        }
    }

    /// Can the function take more than one argument?
    fn is_variadic(self) -> bool {
        matches!(self, Self::Min | Self::Max)
    }
}
