//! Matches the inputs of a network with fields of a schema.

use tamis_event::{Field, Role, Schema};
use tamis_graph::Input;

/// The fields of a schema that are data, in order.
pub(super) fn data(schema: &Schema) -> impl Iterator<Item = &str> {
    data_fields(schema).map(|field| field.name.as_str())
}

fn data_fields(schema: &Schema) -> impl Iterator<Item = &Field> {
    schema.fields().iter().filter(|field| field.role != Role::Truth)
}

/// The fields that the inputs are named after, in input order. `None` if an input is named after no field, or has another size.
pub(super) fn by_name<'a>(inputs: &[Input], schema: &'a Schema) -> Option<Vec<&'a str>> {
    let field_of = |input: &Input| {
        let mut found = data_fields(schema).filter(|field| means(&input.name, &field.name));
        let field = found.next().filter(|_| found.next().is_none())?;
        let numbers: usize = input.dims.iter().product();
        // A size of 0 is open in the file.
        (numbers == 0 || numbers == field.len.unwrap_or(1)).then_some(field.name.as_str())
    };
    let fields: Vec<&str> = inputs.iter().map(field_of).collect::<Option<_>>()?;
    let twice = fields.iter().enumerate().any(|(at, field)| fields[..at].contains(field));
    (!fields.is_empty() && !twice).then_some(fields)
}

/// Does the name stand for this field? Frameworks write `Jets_pt` for `jets.pt`.
pub(crate) fn means(name: &str, field: &str) -> bool {
    let plain = |text: &str| -> String {
        let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        text.chars().map(letter).collect()
    };
    plain(name) == plain(field)
}
