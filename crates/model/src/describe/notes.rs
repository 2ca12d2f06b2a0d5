//! Remarks on models that were trained elsewhere, shown at import and by `model info`.

use crate::architecture::Architecture;
use crate::bundle::Bundle;
use crate::import::means;

/// Most names in one sentence.
const NAMES_MAX: usize = 8;

impl Bundle {
    /// Sentences about inputs of the network that are not obvious.
    pub fn notes(&self) -> Vec<String> {
        if self.parsed().architecture != Architecture::Onnx {
            return Vec::new();
        }
        [self.by_position(), self.not_looked_at()].into_iter().flatten().collect()
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
        let name = |input: &crate::manifest::Input| -> Vec<String> {
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

/// `a, b, c and 4 others`.
fn list(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    let shown = names[..names.len().min(NAMES_MAX)].join(", ");
    match names.len().saturating_sub(NAMES_MAX) {
        0 => shown,
        more => format!("{shown} and {more} others"),
    }
}
