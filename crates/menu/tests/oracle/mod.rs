//! A slow evaluator of menus that shares nothing with the crate: its own tree, printed as text for the menu, and evaluated event by event.

use proptest::prelude::*;

/// An expression, untyped; the strategies below only make well-typed ones.
#[derive(Clone, Debug)]
pub enum Tree {
    Number(f64),
    /// A whole field or a score.
    Name(String),
    Element(String, usize),
    Negate(Box<Tree>),
    Not(Box<Tree>),
    Binary(&'static str, Box<Tree>, Box<Tree>),
    Call(&'static str, Vec<Tree>),
}

/// What a subexpression is for one event.
#[derive(Clone, Debug)]
pub enum Value {
    Number(f64),
    Flag(bool),
    Numbers(Vec<f64>),
    Flags(Vec<bool>),
}

/// What the names in an expression stand for in one event.
pub struct Event<'a> {
    /// Physical values of a field, or a score.
    pub values: &'a dyn Fn(&str) -> Vec<f64>,
    pub is_array: &'a dyn Fn(&str) -> bool,
}

fn precedence(operator: &str) -> u8 {
    match operator {
        "||" => 1,
        "&&" => 2,
        "+" | "-" => 4,
        "*" | "/" => 5,
        _ => 3,
    }
}

impl Tree {
    /// As text, with only the parentheses that are needed.
    pub fn print(&self) -> String {
        let bracket = |tree: &Self, least: u8| match tree {
            Self::Binary(operator, ..) if precedence(operator) < least => format!("({})", tree.print()),
            _ => tree.print(),
        };
        match self {
            Self::Number(value) => format!("{value}"),
            Self::Name(name) => name.clone(),
            Self::Element(name, index) => format!("{name}[{index}]"),
            Self::Negate(of) => format!("-{}", bracket(of, 9)),
            Self::Not(of) => format!("!{}", bracket(of, 9)),
            Self::Binary(operator, a, b) => {
                let own = precedence(operator);
                let left = if own == 3 { own + 1 } else { own };
                format!("{} {operator} {}", bracket(a, left), bracket(b, own + 1))
            }
            Self::Call(name, arguments) => {
                format!("{name}({})", arguments.iter().map(Self::print).collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// The value for one event.
    pub fn value(&self, event: &Event<'_>) -> Value {
        match self {
            Self::Number(value) => Value::Number(*value),
            Self::Name(name) if (event.is_array)(name) => Value::Numbers((event.values)(name)),
            Self::Name(name) => Value::Number((event.values)(name)[0]),
            Self::Element(name, index) => Value::Number((event.values)(name)[*index]),
            Self::Negate(of) => match of.value(event) {
                Value::Number(x) => Value::Number(-x),
                Value::Numbers(xs) => Value::Numbers(xs.into_iter().map(|x| -x).collect()),
                other => panic!("-{other:?}"),
            },
            Self::Not(of) => match of.value(event) {
                Value::Flag(x) => Value::Flag(!x),
                Value::Flags(xs) => Value::Flags(xs.into_iter().map(|x| !x).collect()),
                other => panic!("!{other:?}"),
            },
            Self::Binary(operator, a, b) => binary(operator, a.value(event), b.value(event)),
            Self::Call(name, arguments) => call(name, arguments.iter().map(|a| a.value(event)).collect()),
        }
    }
}

/// The same operation on two scalars, on an array and a scalar, or on two arrays.
fn binary(operator: &str, a: Value, b: Value) -> Value {
    let broadcast = |a: &Value, b: &Value| a.len().max(b.len());
    match (a.len(), b.len()) {
        (None, None) => scalar(operator, a, b),
        _ => {
            let items = (0..broadcast(&a, &b).unwrap()).map(|k| scalar(operator, a.item(k), b.item(k)));
            items.collect::<Vec<_>>().into()
        }
    }
}

impl Value {
    fn len(&self) -> Option<usize> {
        match self {
            Self::Number(_) | Self::Flag(_) => None,
            Self::Numbers(xs) => Some(xs.len()),
            Self::Flags(xs) => Some(xs.len()),
        }
    }

    fn item(&self, k: usize) -> Self {
        match self {
            Self::Numbers(xs) => Self::Number(xs[k]),
            Self::Flags(xs) => Self::Flag(xs[k]),
            scalar => scalar.clone(),
        }
    }

    fn number(&self) -> f64 {
        match self {
            Self::Number(x) => *x,
            other => panic!("{other:?} is no number"),
        }
    }

    fn flag(&self) -> bool {
        match self {
            Self::Flag(x) => *x,
            other => panic!("{other:?} is no condition"),
        }
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        match items[0] {
            Self::Number(_) => Self::Numbers(items.iter().map(Self::number).collect()),
            _ => Self::Flags(items.iter().map(Self::flag).collect()),
        }
    }
}

#[expect(clippy::float_cmp, reason = "exact equality is what the menu asks for")]
#[expect(clippy::needless_pass_by_value, reason = "called with temporaries")]
fn scalar(operator: &str, a: Value, b: Value) -> Value {
    match operator {
        "&&" => Value::Flag(a.flag() && b.flag()),
        "||" => Value::Flag(a.flag() || b.flag()),
        "+" => Value::Number(a.number() + b.number()),
        "-" => Value::Number(a.number() - b.number()),
        "*" => Value::Number(a.number() * b.number()),
        "/" => Value::Number(a.number() / b.number()),
        "<" => Value::Flag(a.number() < b.number()),
        "<=" => Value::Flag(a.number() <= b.number()),
        ">" => Value::Flag(a.number() > b.number()),
        ">=" => Value::Flag(a.number() >= b.number()),
        "==" => Value::Flag(a.number() == b.number()),
        "!=" => Value::Flag(a.number() != b.number()),
        _ => panic!("{operator}"),
    }
}

fn call(name: &str, mut arguments: Vec<Value>) -> Value {
    if arguments.len() > 1 {
        return fold(name, arguments.iter().map(Value::number));
    }
    match (name, arguments.remove(0)) {
        ("abs", Value::Number(x)) => Value::Number(x.abs()),
        ("abs", Value::Numbers(xs)) => Value::Numbers(xs.into_iter().map(f64::abs).collect()),
        ("count", Value::Flags(xs)) => Value::Number(xs.into_iter().map(|x| f64::from(u8::from(x))).sum()),
        (name, Value::Numbers(xs)) => fold(name, xs.into_iter()),
        (name, value) => panic!("{name}({value:?})"),
    }
}

fn fold(name: &str, numbers: impl Iterator<Item = f64>) -> Value {
    let two = |x: f64, y: f64| match (name, x.is_nan(), y.is_nan()) {
        ("sum", ..) => x + y,
        (_, true, _) => y,
        (_, false, true) => x,
        ("min", ..) if x < y => x,
        ("max", ..) if x > y => x,
        _ => y,
    };
    Value::Number(numbers.reduce(two).unwrap())
}

/// What the strategies may use. All arrays have one length, so that they can be combined.
pub struct Names {
    /// Scalar fields and scores.
    pub scalars: Vec<String>,
    /// With their lengths.
    pub arrays: Vec<(String, usize)>,
}

const ARITHMETIC: [&str; 4] = ["+", "-", "*", "/"];
const COMPARISONS: [&str; 6] = ["<", "<=", ">", ">=", "==", "!="];
const LOGIC: [&str; 2] = ["&&", "||"];

fn constant() -> BoxedStrategy<Tree> {
    let plain = prop::sample::select(vec![0.0, 0.5, 1.0, 2.0, 3.25, 22.0, 127.5, 1000.0, 65_535.0, 1e20]);
    let steps = (0..600_i32).prop_map(|step| f64::from(step) * 0.0435);
    let quarters = (0..1200_i32).prop_map(|step| f64::from(step) / 4.0);
    prop_oneof![plain, steps, quarters].prop_map(Tree::Number).boxed()
}

/// `a op b` or `b op a`.
fn pair<const N: usize>(
    operators: [&'static str; N],
    a: impl Strategy<Value = Tree> + 'static,
    b: impl Strategy<Value = Tree> + 'static,
) -> BoxedStrategy<Tree> {
    let parts = (prop::sample::select(operators.to_vec()), a, b, any::<bool>());
    let join = |(operator, a, b, swap)| {
        let (a, b) = if swap { (b, a) } else { (a, b) };
        Tree::Binary(operator, Box::new(a), Box::new(b))
    };
    parts.prop_map(join).boxed()
}

fn number(names: &Names) -> BoxedStrategy<Tree> {
    let scalars = prop::sample::select(names.scalars.clone()).prop_map(Tree::Name);
    let elements = prop::sample::select(names.arrays.clone())
        .prop_flat_map(|(name, len)| (0..len).prop_map(move |index| Tree::Element(name.clone(), index)));
    let folds = (prop::sample::select(vec!["min", "max", "sum"]), array(names));
    let folds = folds.prop_map(|(name, of)| Tree::Call(name, vec![of]));
    let counts = array_flags(names).prop_map(|of| Tree::Call("count", vec![of]));
    let leaf = prop_oneof![2 => constant(), 2 => scalars, 3 => elements, 1 => folds, 1 => counts];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let several = (prop::sample::select(vec!["min", "max"]), prop::collection::vec(inner.clone(), 2..4));
        prop_oneof![
            3 => pair(ARITHMETIC, inner.clone(), inner.clone()),
            1 => inner.clone().prop_map(|of| Tree::Negate(Box::new(of))),
            1 => inner.prop_map(|of| Tree::Call("abs", vec![of])),
            1 => several.prop_map(|(name, of)| Tree::Call(name, of)),
        ]
    })
    .boxed()
}

fn array(names: &Names) -> BoxedStrategy<Tree> {
    let leaf = prop::sample::select(names.arrays.clone()).prop_map(|(name, _)| Tree::Name(name));
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            2 => pair(ARITHMETIC, inner.clone(), constant()),
            1 => pair(ARITHMETIC, inner.clone(), inner.clone()),
            1 => inner.clone().prop_map(|of| Tree::Negate(Box::new(of))),
            2 => inner.prop_map(|of| Tree::Call("abs", vec![of])),
        ]
    })
    .boxed()
}

fn flags(leaf: BoxedStrategy<Tree>) -> BoxedStrategy<Tree> {
    leaf.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            3 => pair(LOGIC, inner.clone(), inner.clone()),
            1 => inner.prop_map(|of| Tree::Not(Box::new(of))),
        ]
    })
    .boxed()
}

fn array_flags(names: &Names) -> BoxedStrategy<Tree> {
    flags(pair(COMPARISONS, array(names), prop_oneof![constant(), array(names)]))
}

/// A condition on one event.
pub fn condition(names: &Names) -> BoxedStrategy<Tree> {
    flags(pair(COMPARISONS, number(names), prop_oneof![2 => constant(), 1 => number(names)]))
}
