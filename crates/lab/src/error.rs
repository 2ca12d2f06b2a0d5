//! Why a training or a bundle is refused.

use tamis_event::SchemaError;

/// Why a training failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum TrainError {
    #[error("the recipe names {wanted} files, {given} data sets were given")]
    Datasets { wanted: usize, given: usize },
    #[error("{file}: {bytes} bytes are no whole number of records of {record}")]
    Records { file: String, bytes: usize, record: usize },
    #[error("{file}: {source}")]
    Field { file: String, source: SchemaError },
    #[error("{file}: '{field}' is simulation truth; a network must not learn from it")]
    Truth { file: String, field: String },
    #[error("{file}: label '{field}' is an array; name one element")]
    Label { file: String, field: String },
    #[error("{file}: the inputs have {elements} numbers, the first layer takes {width}")]
    Width { file: String, elements: usize, width: usize },
    #[error("{file}: event {event}: input {input} is not finite")]
    NotFinite { file: String, event: usize, input: usize },
    #[error("class '{class}' has {train} events to train with and {held_out} held out; both must be above 0")]
    Empty { class: String, train: usize, held_out: usize },
    #[error("{file}: no event passes its label filter")]
    NoEvents { file: String },
    #[error("[[evaluate]] '{name}': all {events} events were trained on; name other events")]
    AllTrained { name: String, events: usize },
    #[error(
        "'{field}' is no angle that can rotate: its values are from {low} to {high}, and a turn is 2 pi, or 360 with the unit 'deg' in the schema"
    )]
    Angle { field: String, low: f32, high: f32 },
    #[error("the loss is {loss} in epoch {epoch}; lower the learning rate or clip the inputs")]
    Diverged { epoch: u32, loss: f64 },
    #[error("burn failed: {message}")]
    Engine { message: String },
}
