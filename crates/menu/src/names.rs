//! The names of scores, and what to say of a name that means nothing.

use tamis_event::{List, Role, Schema};
use tamis_form::{quoted, suggestion};

use crate::menu::ModelRef;

/// What is known about the scores.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scores<'a> {
    /// Their full names, in the order of their columns.
    Known(&'a [String]),
    /// Only the models that give them. Any name of the form `MODEL.x` counts as a score, and the graph serves for checks alone.
    Of(&'a [ModelRef]),
}

impl<'a> Scores<'a> {
    pub(crate) fn names(self) -> &'a [String] {
        match self {
            Self::Known(names) => names,
            Self::Of(_) => &[],
        }
    }

    pub(crate) fn may_have(self, name: &str) -> bool {
        matches!(self, Self::Of(models) if models.iter().any(|model| is_output_of(name, &model.name)))
    }
}

/// The model that gives a score.
pub(crate) fn owner(score: &str) -> Option<&str> {
    score.rsplit_once('.').map(|(model, _)| model)
}

fn is_output_of(score: &str, model: &str) -> bool {
    owner(score) == Some(model)
}

/// What is wrong with `name`, which is neither a field that a menu may read nor a score.
pub(crate) fn unknown(schema: &Schema, scores: Scores<'_>, name: &str) -> String {
    let outputs_of = |model: &str| {
        let outputs = scores.names().iter().map(String::as_str).filter(|score| is_output_of(score, model));
        outputs.collect::<Vec<_>>().join(", ")
    };
    let is_model = match scores {
        Scores::Known(names) => names.iter().any(|score| is_output_of(score, name)),
        Scores::Of(models) => models.iter().any(|model| model.name == name),
    };
    if is_model {
        let outputs = outputs_of(name);
        let outputs = if outputs.is_empty() { format!("as in {name}.score") } else { outputs };
        return format!("{} is a model; name one of its scores: {outputs}", quoted(name));
    }
    let model = owner(name).unwrap_or_default();
    let outputs = outputs_of(model);
    if !outputs.is_empty() {
        return format!("no score {}; model '{model}' gives {outputs}", quoted(name));
    }
    match name.to_ascii_lowercase().as_str() {
        "nan" => {
            return format!(
                "there is no number {}: leave the comparison out, since an event with a field that is NaN goes to the error stream by itself",
                quoted(name)
            );
        }
        "inf" | "infinity" => {
            return format!(
                "there is no number {}: compare with the largest finite one, 3.4028235e38 of an f32 and 65504 of an f16",
                quoted(name)
            );
        }
        _ => {}
    }
    let fields = schema.fields().iter().filter(|field| field.role == Role::Data);
    let fields = fields.map(|field| field.name.as_str());
    let lists = schema.lists().iter().map(List::name);
    let mut hint = suggestion(name, fields.chain(lists).chain(scores.names().iter().map(String::as_str)));
    if hint.is_empty() && !model.is_empty() {
        hint = format!(", and no [[model]] is called {}", quoted(model));
    }
    format!("no field {} in schema '{}'{hint}", quoted(name), schema.name())
}
