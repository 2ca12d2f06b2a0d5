//! Which column feeds which number of a record, and how a value is stored.

use std::collections::HashMap;

use tamis_event::{Address, Dtype, Element, Role, Schema};

use super::{Cell, ConvertError, Options};

/// First value that rounds to infinity as f16.
const F16_OVERFLOW: f64 = 65_520.0;
const F16_MAX: f64 = 65_504.0;

/// One number of the record and the column that feeds it.
#[derive(Debug)]
pub(super) struct Feed {
    /// Index of the column.
    pub(super) column: usize,
    name: String,
    address: String,
    element: Element,
    clamped: u64,
}

/// The plan for a table: feeds in record order, so that a record is written front to back.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) feeds: Vec<Feed>,
    pub(super) event: Option<usize>,
    pub(super) run: Option<usize>,
    pub(super) ignored: Vec<String>,
}

/// Why a value is not stored.
enum Misfit {
    Nan,
    /// The nearest raw value that fits.
    Range(f64),
}

impl Columns {
    /// Binds the columns of a table (`header`) to a schema.
    pub(super) fn bind(
        place: &str,
        header: &[String],
        schema: &Schema,
        options: &Options,
    ) -> Result<Self, ConvertError> {
        let find = |name: &String| {
            header.iter().position(|column| column == name).ok_or_else(|| ConvertError::NoColumn {
                place: place.into(),
                column: name.clone(),
                have: header.join(", "),
            })
        };
        let by_default = |word: &str| {
            let index = header.iter().position(|column| column.eq_ignore_ascii_case(word))?;
            (schema.field(&header[index]).is_err()
                && options.map.iter().all(|(name, _)| *name != header[index]))
            .then_some(index)
        };
        let event = options.event_column.as_ref().map(find).transpose()?.or_else(|| by_default("event"));
        let run = options.run_column.as_ref().map(find).transpose()?.or_else(|| by_default("run"));

        let mut wanted: Vec<(usize, String)> = Vec::new();
        for (column, field) in &options.map {
            wanted.push((find(column)?, field.clone()));
        }
        if let Some(column) = &options.label_column {
            wanted.push((find(column)?, label_field(schema)?));
        }
        let mapped: Vec<usize> = wanted.iter().map(|&(index, _)| index).collect();
        // An explicit order for a column replaces what its name says.
        let free = (0..header.len()).filter(|k| !mapped.contains(k) && event != Some(*k) && run != Some(*k));
        wanted.extend(free.filter(|&k| resolves(schema, &header[k])).map(|k| (k, header[k].clone())));

        let mut by_offset: HashMap<usize, Feed> = HashMap::new();
        for (column, address) in wanted {
            let feed = feed(schema, column, &header[column], &address)?;
            if let Some(first) = by_offset.insert(feed.element.at, feed) {
                let (first, second) = (first.name, header[column].clone());
                return Err(ConvertError::FedTwice { element: address, first, second });
            }
        }
        let used = |k: &usize| {
            by_offset.values().any(|feed| feed.column == *k) || event == Some(*k) || run == Some(*k)
        };
        let ignored: Vec<String> =
            (0..header.len()).filter(|k| !used(k)).map(|k| header[k].clone()).collect();
        check_complete(place, schema, &by_offset, &ignored)?;
        let mut feeds: Vec<Feed> = by_offset.into_values().collect();
        feeds.sort_by_key(|feed| feed.element.at);
        Ok(Self { feeds, event, run, ignored })
    }

    /// Values clamped, by column.
    pub(super) fn clamped(&self) -> Vec<(String, u64)> {
        self.feeds
            .iter()
            .filter(|feed| feed.clamped > 0)
            .map(|feed| (feed.name.clone(), feed.clamped))
            .collect()
    }
}

impl Feed {
    /// Where the value of this row stands.
    pub(super) fn cell(&self, place: &str, row: String) -> Box<Cell> {
        Box::new(Cell { place: place.into(), row, column: self.name.clone() })
    }

    /// Appends a physical value to the record.
    pub(super) fn store(
        &mut self,
        value: f64,
        saturate: bool,
        out: &mut Vec<u8>,
        cell: impl FnOnce(&Self) -> Box<Cell>,
    ) -> Result<(), ConvertError> {
        let dtype = self.element.dtype;
        let raw = match self.raw(value) {
            Ok(raw) => raw,
            Err(Misfit::Nan) => return Err(ConvertError::Nan { cell: cell(self), dtype: dtype.name() }),
            Err(Misfit::Range(nearest)) if saturate => {
                self.clamped += 1;
                nearest
            }
            Err(Misfit::Range(_)) => {
                let (low, high) = self.physical_range();
                let field = self.address.clone();
                return Err(ConvertError::Range {
                    cell: cell(self),
                    value,
                    field,
                    dtype: dtype.name(),
                    low,
                    high,
                });
            }
        };
        dtype.write(raw, out);
        Ok(())
    }

    fn raw(&self, value: f64) -> Result<f64, Misfit> {
        let raw = (value - self.element.offset) / self.element.scale;
        if let Some((low, high)) = self.element.dtype.integer_range() {
            if raw.is_nan() {
                return Err(Misfit::Nan);
            }
            let (whole, low, high) = (raw.round_ties_even(), low as f64, high as f64);
            return if (low..=high).contains(&whole) {
                Ok(whole)
            } else {
                Err(Misfit::Range(whole.clamp(low, high)))
            };
        }
        // An infinity that the table states is stored as such; a finite value must stay finite.
        let overflows = match self.element.dtype {
            Dtype::F16 => raw.abs() >= F16_OVERFLOW,
            _ => (raw as f32).is_infinite(),
        };
        if overflows && value.is_finite() {
            Err(Misfit::Range(self.largest().copysign(raw)))
        } else {
            Ok(raw)
        }
    }

    fn largest(&self) -> f64 {
        if self.element.dtype == Dtype::F16 { F16_MAX } else { f32::MAX.into() }
    }

    fn physical_range(&self) -> (f64, f64) {
        let (low, high) = self
            .element
            .dtype
            .integer_range()
            .map_or_else(|| (-self.largest(), self.largest()), |(low, high)| (low as f64, high as f64));
        let ends = [low, high].map(|raw| raw * self.element.scale + self.element.offset);
        (ends[0].min(ends[1]), ends[0].max(ends[1]))
    }
}

fn resolves(schema: &Schema, name: &str) -> bool {
    name.parse::<Address>().and_then(|address| schema.resolve(&address)).is_ok()
}

fn feed(schema: &Schema, column: usize, name: &str, address: &str) -> Result<Feed, ConvertError> {
    let parsed = address.parse::<Address>().and_then(|parsed| Ok((schema.resolve(&parsed)?, parsed)));
    let (elements, parsed) = parsed.map_err(|error| ConvertError::Field { column: name.into(), error })?;
    let &[element] = &elements[..] else {
        return Err(ConvertError::WholeArray {
            column: name.into(),
            field: parsed.field,
            elements: elements.len(),
        });
    };
    Ok(Feed { column, name: name.into(), address: address.into(), element, clamped: 0 })
}

fn label_field(schema: &Schema) -> Result<String, ConvertError> {
    let truth: Vec<_> = schema.fields().iter().filter(|f| f.role == Role::Truth && f.len.is_none()).collect();
    match truth[..] {
        [field] => Ok(field.name.clone()),
        _ => Err(ConvertError::Label { schema: schema.name().into(), found: truth.len() }),
    }
}

/// Names every number of a record, in order.
pub(super) fn element_names(schema: &Schema) -> impl Iterator<Item = (usize, String)> {
    schema.fields().iter().flat_map(|field| {
        (0..field.elements()).map(move |k| {
            let name = if field.len.is_some() { format!("{}[{k}]", field.name) } else { field.name.clone() };
            (field.element(k).at, name)
        })
    })
}

fn check_complete(
    place: &str,
    schema: &Schema,
    fed: &HashMap<usize, Feed>,
    ignored: &[String],
) -> Result<(), ConvertError> {
    let missing: Vec<String> = element_names(schema)
        .filter(|(at, _)| !fed.contains_key(at))
        .map(|(_, name)| format!("'{name}'"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let shown = missing.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
    let missing = match missing.len() {
        0..=8 => shown,
        more => format!("{shown} and {} more", more - 8),
    };
    let unused =
        if ignored.is_empty() { String::new() } else { format!(" (unused columns: {})", ignored.join(", ")) };
    Err(ConvertError::Unfed { place: place.into(), missing, unused })
}
