//! Why a condition is the same for every event.
//!
//! A condition is settled by comparisons in it that come out the same for every event: one of those that `||` joins if it always holds, all of them if
//! they never hold, and the other way round for `&&`. A comparison itself is settled because
//!
//! * it has no field and no score: `1 > 0`;
//! * what its fields can be lies on one side of what they are compared with: `n > 300` for a `u8`, or both sides do;
//! * none of the values that its fields can have is the one that is asked for: `n == 3.5`;
//! * conditions that are counted in it are settled: `count(jets.pt > 5000) > 0`;
//! * a number in it is NaN: `0 / count(jets.pt > 5000) > 1`.

use std::collections::HashMap;

use crate::expression::{Binary, Comparison, Expr, ExpressionNode, Function};
use crate::graph::MenuGraph;
use crate::number::{Form, MenuNumber};
use tamis_event::Decimal;

/// What is known of the conditions within an expression, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    /// Conditions that are the same for every event.
    settled: HashMap<usize, bool>,
    /// Every comparison, with its sides; of arrays, those of an element.
    compared: HashMap<usize, (Comparison, MenuNumber, MenuNumber)>,
}

impl Outcomes {
    /// A condition holds for every event, or for none.
    pub(crate) fn keep(&mut self, id: usize, holds: bool) {
        self.settled.insert(id, holds);
    }

    /// A comparison has these sides.
    pub(crate) fn compare(&mut self, id: usize, comparison: Comparison, a: MenuNumber, b: MenuNumber) {
        self.compared.insert(id, (comparison, a, b));
    }
}

/// The reason why `condition` is the same for every event, and the byte of the menu that it is about.
pub(crate) fn reason(condition: &Expr, outcomes: &Outcomes, graph: &MenuGraph) -> (usize, String) {
    if !has_name(condition) {
        return (condition.at, "nothing in it depends on the event".into());
    }
    let mut causes = Vec::new();
    Search { outcomes, graph }.conditions(condition, &mut causes);
    match causes.len() {
        0 => (condition.at, "it comes out the same for every event".into()),
        1 => causes.remove(0),
        more => {
            let (at, first) = causes.remove(0);
            let others = match more - 1 {
                1 => "1 other comparison in it is".into(),
                others => format!("{others} other comparisons in it are"),
            };
            (at, format!("{first}, and {others} settled, too"))
        }
    }
}

struct Search<'a> {
    outcomes: &'a Outcomes,
    graph: &'a MenuGraph,
}

impl Search<'_> {
    /// Adds the comparisons that settle a condition.
    fn conditions(&self, condition: &Expr, causes: &mut Vec<(usize, String)>) {
        let Some(&holds) = self.outcomes.settled.get(&condition.id) else { return };
        match &condition.node {
            ExpressionNode::Not(operand) => self.conditions(operand, causes),
            ExpressionNode::Chain(_, links) => match links[0].operator {
                Binary::Compare(_) => self.comparison(condition, causes),
                joined => {
                    // One of these settles the chain by itself.
                    let alone = holds == (joined == Binary::Or);
                    let settled = condition
                        .parts()
                        .into_iter()
                        .filter(|part| self.outcomes.settled.get(&part.id) == Some(&holds));
                    settled
                        .take(if alone { 1 } else { usize::MAX })
                        .for_each(|part| self.conditions(part, causes));
                }
            },
            _ => {}
        }
    }

    /// Adds why a comparison comes out the same for every event.
    fn comparison(&self, compared: &Expr, causes: &mut Vec<(usize, String)>) {
        let Some(&(comparison, a, b)) = self.outcomes.compared.get(&compared.id) else { return };
        let is_nan = |number: MenuNumber| number.nan.and_then(|nan| self.graph.as_truth(nan)) == Some(true);
        let before = causes.len();
        let why = match (self.graph.constant(a), self.graph.constant(b)) {
            _ if is_nan(a) || is_nan(b) => "a number that is compared here is NaN in every event".into(),
            (Some(_), Some(_)) => {
                self.counted(compared, causes);
                if causes.len() > before {
                    return;
                }
                "nothing in this comparison depends on the event".into()
            }
            (None, None) => {
                let [a, b] = [a, b].map(shown);
                format!("the left side is {a} in every event, and the right side {b}")
            }
            (None, Some(limit)) => one_side(comparison, a, limit, &self.written(b, limit)),
            (Some(limit), None) => one_side(comparison.mirrored(), b, limit, &self.written(a, limit)),
        };
        causes.push((compared.at, why));
        self.counted(compared, causes);
    }

    /// A number that is the same for every event, with all its digits.
    fn written(&self, number: MenuNumber, value: f64) -> String {
        let digits = number.written.or_else(|| self.graph.decimal(number));
        digits.map_or_else(|| value.to_string(), |digits| digits.to_string())
    }

    /// Adds why conditions are settled that are counted within a number.
    fn counted(&self, number: &Expr, causes: &mut Vec<(usize, String)>) {
        for part in number.parts() {
            match &number.node {
                ExpressionNode::Call(Function::Count, _) => self.conditions(part, causes),
                _ => self.counted(part, causes),
            }
        }
    }
}

/// Why a number compares with `limit` alike in every event.
fn one_side(comparison: Comparison, number: MenuNumber, limit: f64, written: &str) -> String {
    let (low, high) = number.range();
    let is_apart = match comparison {
        Comparison::Less | Comparison::GreaterEqual => high < limit || low >= limit,
        Comparison::LessEqual | Comparison::Greater => high <= limit || low > limit,
        Comparison::Equal | Comparison::NotEqual => high < limit || low > limit,
    };
    match comparison {
        _ if is_apart => format!("what is compared here is {} in every event", shown(number)),
        Comparison::Equal | Comparison::NotEqual => {
            format!("what is compared here is never exactly {written}")
        }
        _ => format!("no value that its fields can have is on the other side of {written}"),
    }
}

fn shown(number: MenuNumber) -> String {
    if let Form::Large { places, low, high } = number.form {
        let [least, most] = [low, high].map(|digits| Decimal { digits, places });
        return if low < high { format!("from {least} to {most}") } else { least.to_string() };
    }
    let (low, high) = number.range();
    // Nobody needs to know of -0.
    let (low, high) = (low + 0.0, high + 0.0);
    if low < high { format!("from {low} to {high}") } else { low.to_string() }
}

fn has_name(expr: &Expr) -> bool {
    matches!(expr.node, ExpressionNode::Name { .. }) || expr.parts().into_iter().any(has_name)
}
