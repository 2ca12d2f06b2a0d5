//! A slow evaluator of menus that shares nothing with the crate: its own tree, printed as text for the menu, and evaluated event by event.

pub mod number;

use std::cell::Cell;

use number::{Kind, Number};
use proptest::prelude::*;

/// An expression, untyped; the strategies below make only well-typed ones.
#[derive(Clone, Debug)]
pub enum Tree {
    Number(f64),
    /// A literal with all its digits.
    Written(&'static str),
    /// A whole field or a score.
    Name(String),
    Element(String, usize),
    /// The number of elements of a list.
    Len(String),
    Negate(Box<Tree>),
    Not(Box<Tree>),
    Binary(&'static str, Box<Tree>, Box<Tree>),
    Call(&'static str, Vec<Tree>),
}

/// The value of a subexpression for one event. A condition on a number that became NaN is `None`.
#[derive(Clone, Debug)]
pub enum Value {
    Number(Number),
    Flag(Option<bool>),
    Numbers(Items<Number>),
    Flags(Items<Option<bool>>),
}

/// An array, with as many items as it may have.
#[derive(Clone, Debug)]
pub struct Items<T> {
    all: Vec<T>,
    /// For a list: how many of them the event has.
    members: Option<usize>,
}

impl<T: Copy> Items<T> {
    fn map(self, f: impl FnMut(T) -> T) -> Self {
        Self { all: self.all.into_iter().map(f).collect(), members: self.members }
    }

    fn members(&self) -> &[T] {
        &self.all[..self.members.unwrap_or(self.all.len())]
    }
}

/// What the names in an expression stand for in one event.
pub struct Event<'a> {
    /// The numbers of a field, or a score; of a list those of all elements that it may have.
    pub values: &'a dyn Fn(&str) -> Vec<Number>,
    /// The number of elements of a list, given by its name or by a field.
    pub members: &'a dyn Fn(&str) -> Option<usize>,
    pub is_array: &'a dyn Fn(&str) -> bool,
    /// Was a comparison so close, after a loss of digits, that either answer is right?
    pub is_vague: &'a Cell<bool>,
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
    /// The tree as text, with only the necessary parentheses.
    pub fn print(&self) -> String {
        let bracket = |tree: &Self, least: u8| match tree {
            Self::Binary(operator, ..) if precedence(operator) < least => format!("({})", tree.print()),
            _ => tree.print(),
        };
        match self {
            Self::Number(value) => format!("{value}"),
            Self::Written(text) => (*text).into(),
            Self::Name(name) => name.clone(),
            Self::Element(name, index) => format!("{name}[{index}]"),
            Self::Len(list) => format!("count({list})"),
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
            Self::Number(value) => Value::Number(number::literal(*value)),
            Self::Written(text) => Value::Number(number::written(text)),
            Self::Name(name) if (event.is_array)(name) => {
                Value::Numbers(Items { all: (event.values)(name), members: (event.members)(name) })
            }
            Self::Len(list) => whole((event.members)(list).unwrap(), 65_535),
            Self::Name(name) => Value::Number((event.values)(name)[0]),
            Self::Element(name, index) => Value::Number((event.values)(name)[*index]),
            Self::Negate(of) => match of.value(event) {
                Value::Number(x) => Value::Number(x.negated()),
                Value::Numbers(xs) => Value::Numbers(xs.map(Number::negated)),
                other => panic!("-{other:?}"),
            },
            Self::Not(of) => match of.value(event) {
                Value::Flag(x) => Value::Flag(x.map(|x| !x)),
                Value::Flags(xs) => Value::Flags(xs.map(|x| x.map(|x| !x))),
                other => panic!("!{other:?}"),
            },
            Self::Binary(operator, a, b) => binary(event, operator, a.value(event), b.value(event)),
            Self::Call(name, arguments) => call(name, arguments.iter().map(|a| a.value(event)).collect()),
        }
    }

    /// Calls `each` with every field or score that the tree names, and the index if there is one.
    pub fn for_each_name(&self, each: &mut dyn FnMut(&str, Option<usize>)) {
        match self {
            Self::Number(_) | Self::Written(_) | Self::Len(_) => {}
            Self::Name(name) => each(name, None),
            Self::Element(name, index) => each(name, Some(*index)),
            Self::Negate(of) | Self::Not(of) => of.for_each_name(each),
            Self::Binary(_, a, b) => [a, b].into_iter().for_each(|of| of.for_each_name(each)),
            Self::Call(_, arguments) => arguments.iter().for_each(|of| of.for_each_name(each)),
        }
    }
}

/// The same operation on two scalars, on an array and a scalar, or on two arrays.
fn binary(event: &Event<'_>, operator: &str, a: Value, b: Value) -> Value {
    let broadcast = |a: &Value, b: &Value| a.len().max(b.len());
    match (a.len(), b.len()) {
        (None, None) => scalar(event, operator, a, b),
        _ => {
            let items =
                (0..broadcast(&a, &b).unwrap()).map(|k| scalar(event, operator, a.item(k), b.item(k)));
            Value::array(&items.collect::<Vec<_>>(), a.members().or(b.members()))
        }
    }
}

impl Value {
    fn len(&self) -> Option<usize> {
        match self {
            Self::Number(_) | Self::Flag(_) => None,
            Self::Numbers(xs) => Some(xs.all.len()),
            Self::Flags(xs) => Some(xs.all.len()),
        }
    }

    fn members(&self) -> Option<usize> {
        match self {
            Self::Number(_) | Self::Flag(_) => None,
            Self::Numbers(xs) => xs.members,
            Self::Flags(xs) => xs.members,
        }
    }

    fn array(items: &[Self], members: Option<usize>) -> Self {
        match items[0] {
            Self::Number(_) => {
                Self::Numbers(Items { all: items.iter().map(Self::number).collect(), members })
            }
            _ => Self::Flags(Items { all: items.iter().map(Self::flag).collect(), members }),
        }
    }

    fn item(&self, k: usize) -> Self {
        match self {
            Self::Numbers(xs) => Self::Number(xs.all[k]),
            Self::Flags(xs) => Self::Flag(xs.all[k]),
            scalar => scalar.clone(),
        }
    }

    fn number(&self) -> Number {
        match self {
            Self::Number(x) => *x,
            other => panic!("{other:?} is no number"),
        }
    }

    fn flag(&self) -> Option<bool> {
        match self {
            Self::Flag(x) => *x,
            other => panic!("{other:?} is no condition"),
        }
    }
}

fn whole(number: usize, most: usize) -> Value {
    Value::Number(Number::Decimal {
        digits: number as i128,
        places: 0,
        reach: most as f64,
        is_constant: false,
        is_large: false,
        written: None,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "called with temporaries")]
fn scalar(event: &Event<'_>, operator: &str, a: Value, b: Value) -> Value {
    match operator {
        "&&" => Value::Flag(match (a.flag(), b.flag()) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        }),
        "||" => Value::Flag(match (a.flag(), b.flag()) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        }),
        "+" | "-" | "*" | "/" => Value::Number(Number::calculated(operator, a.number(), b.number())),
        _ => {
            let (holds, is_vague) = Number::compared(operator, a.number(), b.number());
            event.is_vague.set(event.is_vague.get() || is_vague);
            Value::Flag(holds)
        }
    }
}

fn call(name: &str, mut arguments: Vec<Value>) -> Value {
    if arguments.len() > 1 {
        return fold(name, arguments.iter().map(Value::number));
    }
    match (name, arguments.remove(0)) {
        ("abs", Value::Number(x)) => Value::Number(x.magnitude()),
        ("abs", Value::Numbers(xs)) => Value::Numbers(xs.map(Number::magnitude)),
        ("count", Value::Flags(xs)) => {
            let known: Option<Vec<bool>> = xs.members().iter().copied().collect();
            known.map_or(Value::Number(Number::Nan(Kind::Double)), |known| {
                whole(known.into_iter().filter(|&holds| holds).count(), xs.all.len())
            })
        }
        ("sum", Value::Numbers(xs)) if xs.members.is_some() => {
            let rest = xs.all[xs.members().len()..].iter().map(|x| x.form().zero());
            let start = std::iter::once(number::literal(0.0));
            fold("sum", start.chain(xs.members().iter().copied()).chain(rest))
        }
        (_, Value::Numbers(xs)) if xs.members == Some(0) => Value::Number(Number::Absent(xs.all[0].form())),
        (name, Value::Numbers(xs)) => fold(name, xs.members().iter().copied()),
        (name, value) => panic!("{name}({value:?})"),
    }
}

fn fold(name: &str, numbers: impl Iterator<Item = Number>) -> Value {
    let operator = if name == "sum" { "+" } else { name };
    Value::Number(numbers.reduce(|x, y| Number::calculated(operator, x, y)).unwrap())
}

/// What the strategies may use.
pub struct Names {
    /// Scalar fields and scores.
    pub scalars: Vec<String>,
    /// Array fields with their lengths, in groups that can be combined.
    pub arrays: Vec<Vec<(String, usize)>>,
    pub lists: Vec<String>,
}

type Group = [(String, usize)];

const ARITHMETIC: [&str; 4] = ["+", "-", "*", "/"];
const COMPARISONS: [&str; 6] = ["<", "<=", ">", ">=", "==", "!="];
const LOGIC: [&str; 2] = ["&&", "||"];

fn constant() -> BoxedStrategy<Tree> {
    let plain = prop::sample::select(vec![0.0, 0.5, 1.0, 2.0, 3.25, 22.0, 127.5, 1000.0, 65_535.0, 1e20]);
    let steps = (0..600_i32).prop_map(|step| f64::from(step) * 0.0435);
    let tenths = (0..300_i32).prop_map(|step| f64::from(step) / 10.0);
    let mils = (0..30_000_i32).prop_map(|step| f64::from(step) / 1000.0);
    let quarters = (0..1200_i32).prop_map(|step| f64::from(step) / 4.0);
    let numbers = prop_oneof![plain, steps, quarters, tenths, mils].prop_map(Tree::Number);
    prop_oneof![5 => numbers, 1 => prop::sample::select(EDGES.to_vec()).prop_map(Tree::Written)].boxed()
}

/// Literals around the limits of f64 and of 64-bit integers; of these fields with scales, too.
pub const EDGES: [&str; 17] = [
    "9007199254740991",
    "9007199254740992",
    "9007199254740992.5",
    "9007199254740993",
    "9007199254740994",
    "9223372036854775807",
    "9223372036854775808",
    "9223372036854775807.75",
    "922337203685477580.7",
    "18446744073709551614",
    "18446744073709551615",
    "18446744073709551616",
    "18446744073.709551615",
    "18446744073.7095516155",
    "9007199.254740993",
    "100000000000000000000000000000000000000",
    "0.00000000000000000000000000000000000001",
];

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
    let elements = prop::sample::select(names.arrays.concat())
        .prop_flat_map(|(name, len)| (0..len).prop_map(move |index| Tree::Element(name.clone(), index)));
    let lens = prop::sample::select(names.lists.clone()).prop_map(Tree::Len);
    let arrays = prop::strategy::Union::new(names.arrays.iter().map(|group| array(group)));
    let folds = (prop::sample::select(vec!["min", "max", "sum"]), arrays);
    let folds = folds.prop_map(|(name, of)| Tree::Call(name, vec![of]));
    let flags = prop::strategy::Union::new(names.arrays.iter().map(|group| array_flags(group)));
    let counts = flags.prop_map(|of| Tree::Call("count", vec![of]));
    let leaf = prop_oneof![4 => constant(), 4 => scalars, 6 => elements, 3 => folds, 3 => counts, 1 => lens];
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

fn array(group: &Group) -> BoxedStrategy<Tree> {
    let leaf = prop::sample::select(group.to_vec()).prop_map(|(name, _)| Tree::Name(name));
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

fn array_flags(group: &Group) -> BoxedStrategy<Tree> {
    flags(pair(COMPARISONS, array(group), prop_oneof![constant(), array(group)]))
}

/// Conditions, well typed.
pub fn condition(names: &Names) -> BoxedStrategy<Tree> {
    flags(pair(COMPARISONS, number(names), prop_oneof![2 => constant(), 1 => number(names)]))
}
