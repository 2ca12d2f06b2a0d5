//! Remarks on models that were trained elsewhere, shown at import and by `model info`.

use tamis_graph::{Constant, Data, Graph, KernelOp};

use crate::architecture::Architecture;
use crate::bundle::Bundle;
use crate::import::means;
use crate::manifest::NO_SCORE;

/// Most names in one sentence.
const NAMES_MAX: usize = 8;

impl Bundle {
    /// Sentences about inputs of the network that are not obvious.
    pub fn notes(&self) -> Vec<String> {
        if self.parsed().architecture != Architecture::Onnx {
            return Vec::new();
        }
        [self.by_position(), self.not_looked_at(), self.labels_not_shown()].into_iter().flatten().collect()
    }

    /// Are there labels that no golden vector has? Then a wrong one would not be noticed.
    fn labels_not_shown(&self) -> Option<String> {
        let graph = self.graph();
        let mut names = self.parsed().outputs.iter();
        let mut column = 0;
        for output in graph.outputs() {
            let scores = names.by_ref().take(output.kind.numbers()).filter(|name| *name != NO_SCORE).count();
            if let (Some(labels), 1) = (labels(graph, output.value()), scores) {
                let shown: Vec<f32> = self.golden_scores(column).collect();
                let hidden = labels.iter().filter(|label| !shown.contains(label));
                let hidden: Vec<String> = hidden.map(f32::to_string).collect();
                if !hidden.is_empty() {
                    let count = labels.len() - hidden.len();
                    return Some(format!(
                        "the golden vectors show {count} of the {} labels of output '{}', and not {}: a wrong one of these would not be noticed; \
                         import it with a recording that has them (--events)",
                        labels.len(),
                        output.name,
                        list(hidden.into_iter())
                    ));
                }
            }
            column += scores;
        }
        None
    }

    /// Are fields assigned by position, not by name?
    fn by_position(&self) -> Option<String> {
        let names = self.graph().inputs();
        let fields = self.inputs();
        let field = |at: usize| fields[at].field.as_str();
        let same = names.len() == fields.len();
        if same && (0..names.len()).all(|at| means(&names[at].name, field(at))) {
            return None;
        }
        if let [input] = names {
            let fields = list(fields.iter().map(|input| input.field.clone()));
            return Some(format!(
                "the fields go into input '{}' of the network by their place: {fields}",
                input.name
            ));
        }
        let what = if same {
            list(names.iter().enumerate().map(|(at, input)| format!("'{}' gets {}", input.name, field(at))))
        } else {
            let inputs = list(names.iter().map(|input| format!("'{}'", input.name)));
            format!("{inputs} get {} in this order", list(fields.iter().map(|input| input.field.clone())))
        };
        Some(format!("the fields go into the inputs of the network by their place, not by name: {what}"))
    }

    /// Are there inputs without effect?
    fn not_looked_at(&self) -> Option<String> {
        let used = self.graph().used_inputs();
        let count = used.iter().filter(|&&used| used).count();
        if count == used.len() {
            return None;
        }
        let columns = self.columns();
        let unused = columns.into_iter().zip(&used).filter(|(_, used)| !**used).map(|(name, _)| name);
        Some(format!(
            "the network looks at {count} of the {} numbers that go in; not at {}",
            used.len(),
            list(unused)
        ))
    }

    /// The field, or element of a field, in every column of a row.
    fn columns(&self) -> Vec<String> {
        let name = |input: &crate::manifest::ManifestInput| -> Vec<String> {
            let columns = input.one_hot.as_ref().map_or(1, Vec::len);
            match input.len {
                None | Some(1) => vec![input.field.clone(); columns],
                Some(len) => {
                    (0..len * columns).map(|at| format!("{}[{}]", input.field, at / columns)).collect()
                }
            }
        };
        self.inputs().iter().flat_map(name).collect()
    }
}

/// The labels that an output can have, if it is one of a classifier.
fn labels(graph: &Graph, mut value: usize) -> Option<Vec<f32>> {
    let maker = |value| graph.steps().find(|step| step.outputs.contains(&Some(value)));
    loop {
        let step = maker(value)?;
        let first = step.inputs.first().copied().flatten();
        let count = |count: usize| Some((0..count).map(|class| class as f32).collect());
        let list = |list: Option<&Constant>| match list.map(|list| &list.data) {
            Some(Data::Ints(labels)) => Some(labels.iter().map(|&label| label as f32).collect()),
            _ => None,
        };
        match step.kernel? {
            KernelOp::Identity => value = first?.0,
            KernelOp::LookUp => return list(first?.1),
            KernelOp::Classifier { labels: Some(labels), .. } if step.outputs[0] == Some(value) => {
                return list((*step.inputs.get(labels)?)?.1);
            }
            KernelOp::Classifier { outputs, .. } if step.outputs[0] == Some(value) => {
                return count(outputs.max(2));
            }
            KernelOp::TreeEnsemble if step.outputs[0] == Some(value) => {
                let forest = step.forest.filter(|forest| forest.choice().is_some())?;
                return match forest.labels() {
                    Some(labels) => Some(labels.iter().map(|&label| label as f32).collect()),
                    None => count(forest.scores()),
                };
            }
            _ => return None,
        }
    }
}

/// `a, b, c and 4 others`.
fn list(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    let shown = names[..names.len().min(NAMES_MAX)].join(", ");
    match names.len().saturating_sub(NAMES_MAX) {
        0 => shown,
        more => format!("{shown} and {more} others"),
    }
}
