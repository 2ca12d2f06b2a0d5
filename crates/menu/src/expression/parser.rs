//! The parser: tokens to tree by precedence climbing, with bounds on size and depth.

use super::lexer::{Token, tokens};
use super::{Arithmetic, Binary, ChainLink, Expr, ExpressionNode, Function, Literal, embedded};
use crate::limits::{EXPRESSION_DEPTH_MAX, EXPRESSION_NODES_MAX};
use tamis_event::Decimal;
use tamis_form::PlacedStr;
use tamis_form::{Complaint, MistakeKind, quoted, suggestion};

/// Words that are operators in other languages, and what to write instead.
const FOREIGN_WORDS: [(&str, &str); 3] = [("and", "&&"), ("or", "||"), ("not", "!")];

/// Parses the expression in a TOML string of the menu file `text`.
pub(crate) fn parse(text: &str, source: &PlacedStr<'_>) -> Result<Expr, Complaint> {
    let offsets = embedded::offsets(&text[source.span.clone()], source.span.start, source.value);
    let tokens = tokens(source.value, &offsets)?;
    let mut parser = Parser { tokens, next: 0, nodes: 0, nesting: 0 };
    let expr = parser.binary(1)?;
    match parser.take() {
        (_, Token::End) => Ok(expr),
        (at, token) => Err(parser.unexpected(at, token, "an operator or the end")),
    }
}

struct Parser<'a> {
    /// The tokens with their offsets in the file; the last is [`Token::End`].
    tokens: Vec<(usize, Token<'a>)>,
    next: usize,
    nodes: usize,
    nesting: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> (usize, Token<'a>) {
        self.tokens[self.next]
    }

    /// Takes the next token; never moves past the end.
    fn take(&mut self) -> (usize, Token<'a>) {
        let token = self.peek();
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    /// Takes the next token if it is `wanted`.
    fn accept(&mut self, wanted: Token<'_>) -> bool {
        let found = self.peek().1 == wanted;
        if found {
            self.take();
        }
        found
    }

    fn expect(&mut self, wanted: Token<'_>, opened: usize) -> Result<(), Complaint> {
        let (at, token) = self.peek();
        if self.accept(wanted) {
            return Ok(());
        }
        if token == Token::End {
            return Err(Complaint::new(
                opened,
                MistakeKind::Syntax,
                format!("{} is missing for this one", wanted.describe()),
            ));
        }
        Err(self.unexpected(at, token, &wanted.describe()))
    }

    /// `a op b op c ...` with operators that bind at least as tightly as `least`.
    fn binary(&mut self, least: u8) -> Result<Expr, Complaint> {
        let mut left = self.unary()?;
        while let (at, Token::Operator(operator)) = self.peek()
            && operator.precedence() >= least
        {
            self.take();
            let right = self.binary(operator.precedence() + 1)?;
            if let (at, Token::Operator(next @ Binary::Compare(_))) = self.peek()
                && matches!(operator, Binary::Compare(_))
            {
                let (first, second) = (operator.symbol(), next.symbol());
                let message = format!("comparisons cannot be chained; write a {first} b && b {second} c");
                return Err(Complaint::new(at, MistakeKind::Syntax, message));
            }
            left = self.linked(left, ChainLink { at, operator, operand: right })?;
        }
        Ok(left)
    }

    /// `left op right`, as a longer chain if `left` is one of such operators.
    fn linked(&mut self, left: Expr, link: ChainLink) -> Result<Expr, Complaint> {
        let (at, below) = (link.at, link.operand.depth);
        match left {
            Expr { id, node: ExpressionNode::Chain(first, mut links), depth, .. }
                if links[0].operator.precedence() == link.operator.precedence() =>
            {
                links.push(link);
                let longer = self.node(at, below.max(depth - 1), ExpressionNode::Chain(first, links))?;
                Ok(Expr { id, ..longer })
            }
            left => {
                let depth = left.depth.max(below);
                self.node(at, depth, ExpressionNode::Chain(Box::new(left), vec![link]))
            }
        }
    }

    /// Parses an operand with its prefix operators. Every recursion of the parser passes here, so this is where nesting is bounded.
    fn unary(&mut self) -> Result<Expr, Complaint> {
        let (at, token) = self.peek();
        self.nesting += 1;
        if self.nesting > EXPRESSION_DEPTH_MAX {
            return Err(too_deep(at));
        }
        let expr = match token {
            Token::Not => {
                self.take();
                let operand = self.unary()?;
                self.node(at, operand.depth, ExpressionNode::Not(Box::new(operand)))
            }
            Token::Operator(Binary::Combine(Arithmetic::Sub)) => {
                self.take();
                let operand = self.unary()?;
                self.node(at, operand.depth, ExpressionNode::Negate(Box::new(operand)))
            }
            _ => self.primary(),
        };
        self.nesting -= 1;
        expr
    }

    fn primary(&mut self) -> Result<Expr, Complaint> {
        let (at, token) = self.take();
        match token {
            Token::Number(digits) => match literal(digits) {
                Some(literal) => self.node(at, 0, ExpressionNode::Number(literal)),
                None => Err(Complaint::new(
                    at,
                    MistakeKind::Syntax,
                    format!("{} is too large a number", quoted(digits)),
                )),
            },
            Token::Open => {
                let inner = self.binary(1)?;
                self.expect(Token::Close, at)?;
                Ok(inner)
            }
            Token::Name(name) if self.peek().1 == Token::Open => self.call(at, name),
            Token::Name(name) => {
                let index = self.index(at, name)?;
                self.node(at, 0, ExpressionNode::Name { name: name.into(), index })
            }
            _ => Err(self.unexpected(at, token, "a number, a field, a score, a function or '('")),
        }
    }

    fn index(&mut self, name_at: usize, name: &str) -> Result<Option<usize>, Complaint> {
        let (opened, _) = self.peek();
        if !self.accept(Token::OpenIndex) {
            return Ok(None);
        }
        let (at, token) = self.take();
        let index = match token {
            Token::Number(digits) => digits.parse::<usize>().ok(),
            _ => None,
        };
        let Some(index) = index else {
            let message = format!("an index is a whole number, as in {name}[0], not {}", token.describe());
            return Err(Complaint::new(at.max(name_at), MistakeKind::Syntax, message));
        };
        self.expect(Token::CloseIndex, opened)?;
        Ok(Some(index))
    }

    fn call(&mut self, at: usize, name: &str) -> Result<Expr, Complaint> {
        let (opened, _) = self.take();
        let Some(function) = Function::ALL.into_iter().find(|f| f.name() == name) else {
            let names = Function::ALL.map(Function::name);
            let mut hint = suggestion(name, names);
            if hint.is_empty() {
                hint = format!("; functions are {}", names.join(", "));
            }
            return Err(Complaint::new(
                at,
                MistakeKind::Unknown,
                format!("no function {}{hint}", quoted(name)),
            ));
        };
        let mut arguments = vec![self.binary(1)?];
        while self.accept(Token::Comma) {
            arguments.push(self.binary(1)?);
        }
        self.expect(Token::Close, opened)?;
        if arguments.len() > 1 && !function.is_variadic() {
            let message = format!("{name} takes one argument, not {}", arguments.len());
            return Err(Complaint::new(at, MistakeKind::Syntax, message));
        }
        let depth = arguments.iter().map(|argument| argument.depth).max().unwrap_or(0);
        self.node(at, depth, ExpressionNode::Call(function, arguments))
    }

    fn node(&mut self, at: usize, depth_below: usize, node: ExpressionNode) -> Result<Expr, Complaint> {
        self.nodes += 1;
        if self.nodes > EXPRESSION_NODES_MAX {
            let message = format!(
                "the expression has more than {EXPRESSION_NODES_MAX} parts; split it into several lines"
            );
            return Err(Complaint::new(at, MistakeKind::Limit, message));
        }
        let depth = depth_below + 1;
        let id = self.nodes;
        if depth > EXPRESSION_DEPTH_MAX { Err(too_deep(at)) } else { Ok(Expr { at, id, node, depth }) }
    }

    fn unexpected(&self, at: usize, token: Token<'_>, wanted: &str) -> Complaint {
        let before = self.tokens.iter().take_while(|&&(other, _)| other < at).last();
        let follows_number = matches!(before, Some((_, Token::Number(_))));
        let hint = match token {
            Token::Name(name) => match FOREIGN_WORDS.iter().find(|(word, _)| *word == name) {
                Some((_, ours)) => format!("; write '{ours}'"),
                None if follows_number => {
                    "; if it is a unit leave it out: a number has that of its field in the schema".into()
                }
                None => String::new(),
            },
            _ => String::new(),
        };
        let found = if self.tokens.len() == 1 { "nothing".into() } else { token.describe() };
        Complaint::new(at, MistakeKind::Syntax, format!("expected {wanted}, found {found}{hint}"))
    }
}

/// The number that is written; `None` if it is beyond f64.
fn literal(text: &str) -> Option<Literal> {
    let value = text.parse().ok()?;
    let shortest = Decimal::shortest(value)?;
    Some(Literal { value, written: Decimal::parse(text).unwrap_or(shortest) })
}

fn too_deep(at: usize) -> Complaint {
    let message = format!(
        "more than {EXPRESSION_DEPTH_MAX} operators, functions and parentheses inside one another; split the line"
    );
    Complaint::new(at, MistakeKind::Limit, message)
}
