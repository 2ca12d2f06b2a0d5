//! Expressions to operations: names become record elements and score columns, types are checked, arrays become one operation per element.

use std::collections::HashMap;

use tamis_event::{Field, Role, Schema};

use crate::error::{Complaint, Fault, quoted, suggestion};
use crate::expression::{Arithmetic, Binary, Expr, Function, Node};
use crate::graph::{Graph, NodeId, TooLarge};
use crate::limits::OPERATIONS_MAX;
use crate::lottery::Lottery;

/// Adds the conditions of a menu to one graph.
#[derive(Debug)]
pub(crate) struct Lowering<'a> {
    schema: &'a Schema,
    fields: HashMap<&'a str, &'a Field>,
    /// Full names, in column order.
    scores: &'a [String],
    columns: HashMap<&'a str, usize>,
    graph: Graph,
}

/// The type and the nodes of a subexpression.
enum Value {
    Number(NodeId),
    Flag(NodeId),
    Numbers(Array),
    Flags(Array),
}

struct Array {
    items: Vec<NodeId>,
    /// The field that makes it an array: what a message talks about.
    field: String,
    at: usize,
}

impl Value {
    fn describe(&self) -> String {
        match self {
            Self::Number(_) => "a number".into(),
            Self::Flag(_) => "a condition".into(),
            Self::Numbers(array) => format!("an array of {} numbers", array.items.len()),
            Self::Flags(array) => format!("an array of {} conditions", array.items.len()),
        }
    }
}

type Lowered<T> = Result<T, Complaint>;

fn mismatch<T>(at: usize, message: impl Into<String>) -> Lowered<T> {
    Err(Complaint::new(at, Fault::Type, message))
}

fn too_large(at: usize) -> impl Fn(TooLarge) -> Complaint {
    move |TooLarge| {
        let message =
            format!("the menu needs more than {OPERATIONS_MAX} operations; an array costs one per element");
        Complaint::new(at, Fault::Limit, message)
    }
}

impl<'a> Lowering<'a> {
    pub(crate) fn new(schema: &'a Schema, scores: &'a [String]) -> Self {
        let fields = schema.fields().iter().map(|field| (field.name.as_str(), field)).collect();
        let columns = scores.iter().enumerate().map(|(column, score)| (score.as_str(), column)).collect();
        Self { schema, fields, scores, columns, graph: Graph::default() }
    }

    pub(crate) fn finish(self) -> Graph {
        self.graph
    }

    /// A draw for every event.
    pub(crate) fn draw(&mut self, at: usize, lottery: Lottery) -> Lowered<NodeId> {
        self.graph.draw(lottery).map_err(too_large(at))
    }

    /// True for every event.
    pub(crate) fn always(&mut self, at: usize) -> Lowered<NodeId> {
        self.graph.truth(true).map_err(too_large(at))
    }

    /// The truth value of a whole expression.
    pub(crate) fn condition(&mut self, expr: &Expr) -> Lowered<NodeId> {
        match self.value(expr)? {
            Value::Flag(id) => Ok(id),
            Value::Number(_) => mismatch(
                expr.at,
                "a line needs a condition, this is a number; compare it, for example with > 0",
            ),
            Value::Numbers(array) | Value::Flags(array) => bare_array(&array, "one condition"),
        }
    }

    fn value(&mut self, expr: &Expr) -> Lowered<Value> {
        let at = expr.at;
        match &expr.node {
            Node::Number(value) => self.graph.number(*value).map(Value::Number).map_err(too_large(at)),
            Node::Name { name, index } => self.name(at, name, *index),
            Node::Negate(operand) => match self.value(operand)? {
                Value::Number(id) => self.graph.negate(id).map(Value::Number).map_err(too_large(at)),
                Value::Numbers(array) => Ok(Value::Numbers(self.map(at, array, Graph::negate)?)),
                other => mismatch(at, format!("'-' needs a number, this is {}", other.describe())),
            },
            Node::Not(operand) => match self.value(operand)? {
                Value::Flag(id) => self.graph.not(id).map(Value::Flag).map_err(too_large(at)),
                Value::Flags(array) => Ok(Value::Flags(self.map(at, array, Graph::not)?)),
                other => {
                    let message =
                        format!("'!' needs a condition, this is {}; write !( ... )", other.describe());
                    mismatch(at, message)
                }
            },
            Node::Binary(operator, a, b) => {
                let (a, b) = (self.value(a)?, self.value(b)?);
                self.binary(at, *operator, a, b)
            }
            Node::Call(function, arguments) => {
                let values =
                    arguments.iter().map(|argument| self.value(argument)).collect::<Lowered<Vec<_>>>()?;
                self.call(at, *function, values)
            }
        }
    }

    fn map(
        &mut self,
        at: usize,
        array: Array,
        make: fn(&mut Graph, NodeId) -> Result<NodeId, TooLarge>,
    ) -> Lowered<Array> {
        let items = array.items.iter().map(|&item| make(&mut self.graph, item)).collect::<Result<_, _>>();
        Ok(Array { items: items.map_err(too_large(at))?, ..array })
    }

    fn binary(&mut self, at: usize, operator: Binary, a: Value, b: Value) -> Lowered<Value> {
        use Value::{Flag, Flags, Number, Numbers};
        let wants_flags = matches!(operator, Binary::Or | Binary::And);
        let makes_flags = !matches!(operator, Binary::Combine(_));
        let fits = |value: &Value| matches!(value, Flag(_) | Flags(_)) == wants_flags;
        if let Some(wrong) = [&a, &b].into_iter().find(|value| !fits(value)) {
            let wanted = if wants_flags { "conditions" } else { "numbers" };
            let message =
                format!("'{}' needs {wanted} on both sides, one is {}", operator.symbol(), wrong.describe());
            return mismatch(at, message);
        }
        let one = |id, flag| if flag { Flag(id) } else { Number(id) };
        let many = |array, flag| if flag { Flags(array) } else { Numbers(array) };
        match (a, b) {
            (Number(x) | Flag(x), Number(y) | Flag(y)) => {
                Ok(one(self.pair(at, operator, x, y)?, makes_flags))
            }
            (Numbers(xs) | Flags(xs), Number(y) | Flag(y)) => {
                let items =
                    xs.items.iter().map(|&x| self.pair(at, operator, x, y)).collect::<Lowered<_>>()?;
                Ok(many(Array { items, ..xs }, makes_flags))
            }
            (Number(x) | Flag(x), Numbers(ys) | Flags(ys)) => {
                let items =
                    ys.items.iter().map(|&y| self.pair(at, operator, x, y)).collect::<Lowered<_>>()?;
                Ok(many(Array { items, ..ys }, makes_flags))
            }
            (Numbers(xs) | Flags(xs), Numbers(ys) | Flags(ys)) => {
                let lengths = (xs.items.len(), ys.items.len());
                if lengths.0 != lengths.1 {
                    let (x, y) = (quoted(&xs.field), quoted(&ys.field));
                    let message = format!(
                        "{x} has {} elements and {y} has {}; they must be equal",
                        lengths.0, lengths.1
                    );
                    return mismatch(at, message);
                }
                let pairs = xs.items.iter().zip(&ys.items);
                let items = pairs.map(|(&x, &y)| self.pair(at, operator, x, y)).collect::<Lowered<_>>()?;
                Ok(many(Array { items, ..xs }, makes_flags))
            }
        }
    }

    fn pair(&mut self, at: usize, operator: Binary, x: NodeId, y: NodeId) -> Lowered<NodeId> {
        match operator {
            Binary::Or => self.graph.or(x, y),
            Binary::And => self.graph.and(x, y),
            Binary::Compare(comparison) => self.graph.compare(comparison, x, y),
            Binary::Combine(arithmetic) => self.graph.combine(arithmetic, x, y),
        }
        .map_err(too_large(at))
    }

    fn call(&mut self, at: usize, function: Function, mut values: Vec<Value>) -> Lowered<Value> {
        if values.len() > 1 {
            return self.extreme_of(at, function, values);
        }
        let value = values.pop().expect("the parser gives every function an argument");
        match (function, value) {
            (Function::Abs, Value::Number(id)) => {
                self.graph.absolute(id).map(Value::Number).map_err(too_large(at))
            }
            (Function::Abs, Value::Numbers(array)) => {
                Ok(Value::Numbers(self.map(at, array, Graph::absolute)?))
            }
            (Function::Min, Value::Numbers(array)) => self.fold(at, Arithmetic::Min, &array.items),
            (Function::Max, Value::Numbers(array)) => self.fold(at, Arithmetic::Max, &array.items),
            (Function::Sum, Value::Numbers(array)) => {
                self.graph.sum(&array.items).map(Value::Number).map_err(too_large(at))
            }
            (Function::Count, Value::Flags(array)) => {
                self.graph.count(&array.items).map(Value::Number).map_err(too_large(at))
            }
            (function, value) => {
                let wanted = match function {
                    Function::Abs => "a number or an array of numbers",
                    Function::Min | Function::Max => "an array of numbers, or several numbers",
                    Function::Sum => "an array of numbers",
                    Function::Count => "a condition on an array, for example count(jets.pt > 30)",
                };
                mismatch(at, format!("{} takes {wanted}, this is {}", function.name(), value.describe()))
            }
        }
    }

    /// `min(a, b, ...)` and `max(a, b, ...)` of numbers.
    fn extreme_of(&mut self, at: usize, function: Function, values: Vec<Value>) -> Lowered<Value> {
        let mut items = Vec::with_capacity(values.len());
        for value in values {
            match value {
                Value::Number(id) => items.push(id),
                Value::Numbers(array) | Value::Flags(array) => return bare_array(&array, "one number"),
                Value::Flag(_) => {
                    return mismatch(
                        at,
                        format!("{} takes numbers, one of these is a condition", function.name()),
                    );
                }
            }
        }
        let arithmetic = if function == Function::Min { Arithmetic::Min } else { Arithmetic::Max };
        self.fold(at, arithmetic, &items)
    }

    /// From left to right.
    fn fold(&mut self, at: usize, arithmetic: Arithmetic, items: &[NodeId]) -> Lowered<Value> {
        let (&first, rest) = items.split_first().expect("an array of a schema has an element");
        let folded =
            rest.iter().try_fold(first, |so_far, &item| self.graph.combine(arithmetic, so_far, item));
        folded.map(Value::Number).map_err(too_large(at))
    }

    fn name(&mut self, at: usize, name: &str, index: Option<usize>) -> Lowered<Value> {
        match (self.fields.get(name).copied(), self.columns.get(name).copied()) {
            (Some(field), None) => self.field(at, field, index),
            (None, Some(column)) if index.is_none() => {
                self.graph.score(column).map(Value::Number).map_err(too_large(at))
            }
            (None, Some(_)) => {
                mismatch(at, format!("{} is a score, one number; leave the index out", quoted(name)))
            }
            (Some(_), Some(_)) => {
                let message =
                    format!("{} is both a field and a score; give the model another name", quoted(name));
                Err(Complaint::new(at, Fault::Unknown, message))
            }
            (None, None) => Err(self.unknown(at, name)),
        }
    }

    fn field(&mut self, at: usize, field: &Field, index: Option<usize>) -> Lowered<Value> {
        if field.role == Role::Truth {
            let message = format!("'{}' is simulation truth; a menu that reads it would cheat", field.name);
            return Err(Complaint::new(at, Fault::Truth, message));
        }
        match (field.len, index) {
            (None, None) => self.graph.load(field.element(0)).map(Value::Number).map_err(too_large(at)),
            (None, Some(_)) => mismatch(at, format!("'{}' is one number; leave the index out", field.name)),
            (Some(len), Some(index)) if index >= len => {
                let message = format!("'{}' has {len} elements, 0 to {}", field.name, len - 1);
                Err(Complaint::new(at, Fault::Unknown, message))
            }
            (Some(_), Some(index)) => {
                self.graph.load(field.element(index)).map(Value::Number).map_err(too_large(at))
            }
            (Some(len), None) => {
                let items =
                    (0..len).map(|index| self.graph.load(field.element(index))).collect::<Result<_, _>>();
                let items = items.map_err(too_large(at))?;
                Ok(Value::Numbers(Array { items, field: field.name.clone(), at }))
            }
        }
    }

    fn unknown(&self, at: usize, name: &str) -> Complaint {
        let model = name.rsplit_once('.').map_or("", |(model, _)| model);
        let outputs: Vec<&str> =
            self.scores.iter().map(String::as_str).filter(|s| is_output_of(s, model)).collect();
        let message = if outputs.is_empty() {
            let fields = self.schema.fields().iter().filter(|field| field.role == Role::Data);
            let names = fields.map(|field| field.name.as_str()).chain(self.scores.iter().map(String::as_str));
            format!("no field {} in schema '{}'{}", quoted(name), self.schema.name(), suggestion(name, names))
        } else {
            format!("no score {}; model '{model}' gives {}", quoted(name), outputs.join(", "))
        };
        Complaint::new(at, Fault::Unknown, message)
    }
}

fn is_output_of(score: &str, model: &str) -> bool {
    score.rsplit_once('.').is_some_and(|(owner, _)| owner == model)
}

fn bare_array<T>(array: &Array, wanted: &str) -> Lowered<T> {
    let Array { items, field, at } = array;
    let message = format!(
        "'{field}' is an array of {} elements where {wanted} is needed; use {field}[0], max({field}) or count({field} > ...)",
        items.len()
    );
    mismatch(*at, message)
}
