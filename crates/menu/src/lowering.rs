//! Lowers expressions to operations: resolves names to record elements and score columns, checks types, expands arrays element by element.
//!
//! A line reads every field that its condition names, whatever else the condition says. Where such a field is NaN, no line decides the event.

mod list;

use std::collections::{BTreeSet, HashMap};

use tamis_event::{Element, Field, PAYLOAD_LEN, Role, Schema};

use crate::expression::{Arithmetic, Binary, Comparison, Expr, ExpressionNode, Function};
use crate::flag::Flag;
use crate::graph::{MenuGraph, NodeId, TooLarge};
use crate::limits::OPERATIONS_MAX;
use crate::lottery::Lottery;
use crate::names::{Scores, owner, unknown};
use crate::number::MenuNumber;
use crate::reason::{Outcomes, reason};
use crate::value::{Array, Operand, Value, flags, numbers};
use tamis_form::{Complaint, MistakeKind, quoted};

/// Adds the conditions of a menu to one graph.
#[derive(Debug)]
pub(crate) struct Lowering<'a> {
    schema: &'a Schema,
    fields: HashMap<&'a str, &'a Field>,
    scores: Scores<'a>,
    columns: HashMap<&'a str, usize>,
    graph: MenuGraph,
    /// True where a field is NaN, or a line is unknown.
    undecided: BTreeSet<NodeId>,
    /// Mistakes besides the one that is returned: an expression can have several.
    complaints: Vec<Complaint>,
    /// The conditions within that of the current line that are the same for every event.
    outcomes: Outcomes,
    /// The models whose scores the lines read.
    read: BTreeSet<String>,
}

type Lowered<T> = Result<T, Complaint>;

fn mismatch<T>(at: usize, message: impl Into<String>) -> Lowered<T> {
    Err(Complaint::new(at, MistakeKind::Type, message))
}

fn too_large(at: usize) -> impl Fn(TooLarge) -> Complaint {
    move |TooLarge| {
        let message =
            format!("the menu needs more than {OPERATIONS_MAX} operations; an array costs one per element");
        Complaint::new(at, MistakeKind::Limit, message)
    }
}

impl<'a> Lowering<'a> {
    pub(crate) fn new(schema: &'a Schema, scores: Scores<'a>) -> Self {
        let fields = schema.fields().iter().map(|field| (field.name.as_str(), field)).collect();
        let columns =
            scores.names().iter().enumerate().map(|(column, score)| (score.as_str(), column)).collect();
        Self {
            schema,
            fields,
            scores,
            columns,
            graph: MenuGraph::default(),
            undecided: BTreeSet::new(),
            complaints: Vec::new(),
            outcomes: Outcomes::default(),
            read: BTreeSet::new(),
        }
    }

    /// The graph, and the node that is true for events that no line may decide; `None` if there can be none.
    pub(crate) fn finish(self) -> Lowered<(MenuGraph, Option<NodeId>)> {
        let Self { mut graph, undecided, .. } = self;
        let root = undecided.into_iter().try_fold(None, |root, id| graph.either(root, Some(id)));
        Ok((graph, root.map_err(too_large(0))?))
    }

    /// The mistakes found besides those that were returned as errors.
    pub(crate) fn complaints(&mut self) -> Vec<Complaint> {
        std::mem::take(&mut self.complaints)
    }

    /// Do the lines so far read a score of this model?
    pub(crate) fn reads(&self, model: &str) -> bool {
        self.read.contains(model)
    }

    /// Adds a draw for every event.
    pub(crate) fn draw(&mut self, at: usize, lottery: Lottery) -> Lowered<NodeId> {
        self.graph.draw(lottery).map_err(too_large(at))
    }

    /// Adds a condition that is true for every event.
    pub(crate) fn always(&mut self, at: usize) -> Lowered<NodeId> {
        self.graph.truth(true).map_err(too_large(at))
    }

    /// The truth value of a whole expression, and a warning if it is the same for every event.
    pub(crate) fn condition(&mut self, expr: &Expr) -> Lowered<(NodeId, Option<Complaint>)> {
        self.outcomes = Outcomes::default();
        match self.value(expr)? {
            Value::Flag(Flag { id, unknown }) => {
                self.undecided.extend(unknown);
                Ok((id, self.warning(expr, id)))
            }
            Value::Number(_) => mismatch(
                expr.at,
                "a line needs a condition, this is a number; compare it, for example with > 0",
            ),
            Value::Numbers(array) => bare_array(&array, "one condition"),
            Value::Flags(array) => bare_array(&array, "one condition"),
        }
    }

    fn warning(&self, condition: &Expr, id: NodeId) -> Option<Complaint> {
        let holds = self.graph.as_truth(id)?;
        let what = if holds { "passes every event" } else { "can never pass" };
        let (at, why) = reason(condition, &self.outcomes, &self.graph);
        Some(Complaint::new(at, MistakeKind::Value, format!("the line {what}: {why}")))
    }

    /// Lowers an expression, and keeps in mind if it is a condition that is the same for every event.
    fn value(&mut self, expr: &Expr) -> Lowered<Value> {
        let value = self.value_of(expr)?;
        let flag = match &value {
            Value::Flag(flag) => Some(flag),
            // The elements of an array have one type, and so one outcome.
            Value::Flags(array) => array.items.first(),
            Value::Number(_) | Value::Numbers(_) => None,
        };
        if let Some(holds) = flag.and_then(|flag| self.graph.as_truth(flag.id)) {
            self.outcomes.keep(expr.id, holds);
        }
        Ok(value)
    }

    fn value_of(&mut self, expr: &Expr) -> Lowered<Value> {
        let at = expr.at;
        match &expr.node {
            ExpressionNode::Number(literal) => {
                self.graph.literal(*literal).map(Value::Number).map_err(too_large(at))
            }
            ExpressionNode::Name { name, index } => self.name(at, name, *index),
            ExpressionNode::Negate(operand) => match self.value(operand)? {
                Value::Number(number) => self.negated(at, number).map(Value::Number),
                Value::Numbers(array) => array.try_map(|number| self.negated(at, number)).map(Value::Numbers),
                other => mismatch(at, format!("'-' needs a number, this is {}", other.describe())),
            },
            ExpressionNode::Not(operand) => match self.value(operand)? {
                Value::Flag(flag) => self.fails(at, flag).map(Value::Flag),
                Value::Flags(array) => array.try_map(|flag| self.fails(at, flag)).map(Value::Flags),
                other => {
                    let message =
                        format!("'!' needs a condition, this is {}; write !( ... )", other.describe());
                    mismatch(at, message)
                }
            },
            ExpressionNode::Chain(first, links) => {
                let mut so_far = self.value(first);
                for link in links {
                    let next = self.value(&link.operand);
                    so_far = self
                        .both(so_far, next)
                        .and_then(|[a, b]| self.binary(expr.id, link.at, link.operator, a, b));
                }
                so_far
            }
            ExpressionNode::Call(Function::Count, arguments)
                if let Some((at, list)) = self.list(arguments) =>
            {
                self.len_of(at, list)
            }
            ExpressionNode::Call(function, arguments) => {
                let values = self.all_values(arguments)?;
                self.call(at, *function, values)
            }
        }
    }

    /// Two operands. If both are wrong, both mistakes are reported.
    fn both(&mut self, a: Lowered<Value>, b: Lowered<Value>) -> Lowered<[Value; 2]> {
        match (a, b) {
            (Ok(a), Ok(b)) => Ok([a, b]),
            (Err(first), Err(second)) => {
                self.complaints.push(second);
                Err(first)
            }
            (Err(wrong), _) | (_, Err(wrong)) => Err(wrong),
        }
    }

    fn all_values(&mut self, arguments: &[Expr]) -> Lowered<Vec<Value>> {
        let mut values = Vec::with_capacity(arguments.len());
        let mut first = None;
        for argument in arguments {
            match self.value(argument) {
                Ok(value) => values.push(value),
                Err(wrong) if first.is_none() => first = Some(wrong),
                Err(wrong) => self.complaints.push(wrong),
            }
        }
        first.map_or(Ok(values), Err)
    }

    fn negated(&mut self, at: usize, number: MenuNumber) -> Lowered<MenuNumber> {
        self.graph.negated(number).map_err(too_large(at))
    }

    fn magnitude(&mut self, at: usize, number: MenuNumber) -> Lowered<MenuNumber> {
        self.graph.magnitude(number).map_err(too_large(at))
    }

    fn fails(&mut self, at: usize, flag: Flag) -> Lowered<Flag> {
        self.graph.fails(flag).map_err(too_large(at))
    }

    /// `id` is that of the chain with this operator.
    fn binary(&mut self, id: usize, at: usize, operator: Binary, a: Value, b: Value) -> Lowered<Value> {
        let wants_flags = matches!(operator, Binary::Or | Binary::And);
        let fits = |value: &Value| matches!(value, Value::Flag(_) | Value::Flags(_)) == wants_flags;
        if let Some(wrong) = [&a, &b].into_iter().find(|value| !fits(value)) {
            let wanted = if wants_flags { "conditions" } else { "numbers" };
            let message =
                format!("'{}' needs {wanted} on both sides, one is {}", operator.symbol(), wrong.describe());
            return mismatch(at, message);
        }
        match operator {
            Binary::Or | Binary::And => {
                let join = |graph: &mut MenuGraph, a, b| match operator {
                    Binary::Or => graph.one_holds(a, b),
                    _ => graph.both_hold(a, b),
                };
                let join = |this: &mut Self, a, b| join(&mut this.graph, a, b).map_err(too_large(at));
                Ok(self.pairs(at, flags(a), flags(b), join)?.into_flags())
            }
            Binary::Compare(comparison) => {
                let compare = |this: &mut Self, a, b| this.compare(id, at, comparison, a, b);
                Ok(self.pairs(at, numbers(a), numbers(b), compare)?.into_flags())
            }
            Binary::Combine(arithmetic) => {
                let combine = |this: &mut Self, a, b| this.combine(at, arithmetic, a, b);
                Ok(self.pairs(at, numbers(a), numbers(b), combine)?.into_numbers())
            }
        }
    }

    /// The same operation on two scalars, on an array and a scalar, or on two arrays element by element.
    fn pairs<T: Copy, U>(
        &mut self,
        at: usize,
        a: Operand<T>,
        b: Operand<T>,
        mut pair: impl FnMut(&mut Self, T, T) -> Lowered<U>,
    ) -> Lowered<Operand<U>> {
        match (a, b) {
            (Operand::One(x), Operand::One(y)) => Ok(Operand::One(pair(self, x, y)?)),
            (Operand::Many(xs), Operand::One(y)) => xs.try_map(|x| pair(self, x, y)).map(Operand::Many),
            (Operand::One(x), Operand::Many(ys)) => ys.try_map(|y| pair(self, x, y)).map(Operand::Many),
            (Operand::Many(xs), Operand::Many(ys)) => {
                self.check_pairing(at, &xs, &ys)?;
                let mut ys = ys.items.into_iter();
                xs.try_map(|x| pair(self, x, ys.next().expect("as many"))).map(Operand::Many)
            }
        }
    }

    fn compare(
        &mut self,
        id: usize,
        at: usize,
        comparison: Comparison,
        a: MenuNumber,
        b: MenuNumber,
    ) -> Lowered<Flag> {
        self.outcomes.compare(id, comparison, a, b);
        self.graph.compared(comparison, a, b).map_err(too_large(at))
    }

    fn combine(
        &mut self,
        at: usize,
        arithmetic: Arithmetic,
        a: MenuNumber,
        b: MenuNumber,
    ) -> Lowered<MenuNumber> {
        if arithmetic == Arithmetic::Div && b.is_literal() && self.graph.constant(b) == Some(0.0) {
            return Err(Complaint::new(at, MistakeKind::Value, "this divides by zero"));
        }
        let result = self.graph.calculate(arithmetic, a, b).map_err(too_large(at))?;
        match self.graph.constant(result) {
            Some(value) if !value.is_finite() && a.is_literal() && b.is_literal() => {
                Err(Complaint::new(at, MistakeKind::Value, "the result is too large a number"))
            }
            _ => Ok(result),
        }
    }

    fn call(&mut self, at: usize, function: Function, mut values: Vec<Value>) -> Lowered<Value> {
        if values.len() > 1 {
            return self.extreme_of(at, function, values);
        }
        let value = values.pop().expect("the parser gives every function an argument");
        match (function, value) {
            (Function::Abs, Value::Number(number)) => self.magnitude(at, number).map(Value::Number),
            (Function::Abs, Value::Numbers(array)) => {
                array.try_map(|number| self.magnitude(at, number)).map(Value::Numbers)
            }
            (Function::Min, Value::Numbers(array)) => self.extreme(at, Arithmetic::Min, &array),
            (Function::Max, Value::Numbers(array)) => self.extreme(at, Arithmetic::Max, &array),
            (Function::Sum, Value::Numbers(array)) => self.sum(at, &array),
            (Function::Count, Value::Flags(array)) => self.count(at, &array),
            (Function::Count, Value::Numbers(Array { list: Some(list), field, .. })) => {
                self.not_counted(at, list, &field)
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
                Value::Number(number) => items.push(number),
                Value::Numbers(array) => return bare_array(&array, "one number"),
                Value::Flags(array) => return bare_array(&array, "one number"),
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

    /// Combines the items from left to right.
    fn fold(&mut self, at: usize, arithmetic: Arithmetic, items: &[MenuNumber]) -> Lowered<Value> {
        let (&first, rest) = items.split_first().expect("an array of a schema has an element");
        let folded =
            rest.iter().try_fold(first, |so_far, &item| self.graph.calculate(arithmetic, so_far, item));
        folded.map(Value::Number).map_err(too_large(at))
    }

    fn name(&mut self, at: usize, name: &str, index: Option<usize>) -> Lowered<Value> {
        match (self.fields.get(name).copied(), self.columns.get(name).copied()) {
            (_, Some(_)) if name == PAYLOAD_LEN && self.schema.payload().is_some() => {
                let message = "'payload.len' is the length of the payload, and also a score; rename that";
                Err(Complaint::new(at, MistakeKind::Unknown, message))
            }
            (Some(field), None) => self.field(at, field, index),
            (None, Some(column)) if index.is_none() => {
                self.read.extend(owner(name).map(String::from));
                self.graph.score_number(column).map(Value::Number).map_err(too_large(at))
            }
            (None, Some(_)) => {
                mismatch(at, format!("{} is a score, one number; leave the index out", quoted(name)))
            }
            (Some(_), Some(_)) => {
                let message =
                    format!("{} is both a field and a score; give the model another name", quoted(name));
                Err(Complaint::new(at, MistakeKind::Unknown, message))
            }
            (None, None) if self.is_payload(name) => self.payload(at, name, index),
            (None, None) if self.scores.may_have(name) => {
                self.graph.score_number(0).map(Value::Number).map_err(too_large(at))
            }
            (None, None) => match self.schema.list(name) {
                Some(list) => mismatch(at, self.bare_list(list)),
                None => {
                    Err(Complaint::new(at, MistakeKind::Unknown, unknown(self.schema, self.scores, name)))
                }
            },
        }
    }

    fn field(&mut self, at: usize, field: &Field, index: Option<usize>) -> Lowered<Value> {
        if field.role == Role::Truth {
            let message = format!("'{}' is simulation truth; a menu that reads it would cheat", field.name);
            return Err(Complaint::new(at, MistakeKind::Truth, message));
        }
        match (field.len, index) {
            (None, None) => self.element(at, field.element(0)).map(Value::Number),
            (None, Some(_)) => mismatch(at, format!("'{}' is one number; leave the index out", field.name)),
            (Some(len), Some(index)) if index >= len => {
                let message = format!("'{}' has {len} elements, 0 to {}", field.name, len - 1);
                Err(Complaint::new(at, MistakeKind::Unknown, message))
            }
            (Some(_), Some(index)) => self.element(at, field.element(index)).map(Value::Number),
            (Some(len), None) => {
                let items = (0..len).map(|index| self.element(at, field.element(index)));
                let items = items.collect::<Lowered<_>>()?;
                Ok(Value::Numbers(Array { items, field: field.name.clone(), list: field.list, at }))
            }
        }
    }

    fn element(&mut self, at: usize, element: Element) -> Lowered<MenuNumber> {
        let number = self.graph.field(element).map_err(too_large(at))?;
        if element.dtype.integer_range().is_none() {
            let nan = self.graph.compare(Comparison::NotEqual, number.id, number.id);
            self.undecided.insert(nan.map_err(too_large(at))?);
        }
        Ok(number)
    }
}

fn bare_array<T, U>(array: &Array<T>, wanted: &str) -> Lowered<U> {
    let Array { field, at, .. } = array;
    let message = format!(
        "'{field}' is {} where {wanted} is needed; use {field}[0], max({field}) or count({field} > ...)",
        array.describe("elements")
    );
    mismatch(*at, message)
}
