//! `LabelEncoder` maps words and numbers to words and numbers, `OneHotEncoder` integers to columns. Of `ZipMap`, which names scores, only the
//! scores are kept.
//!
//! There is no arithmetic on words: a value of words consists of indices into a list ([`Type::labels`]).

use std::collections::HashMap;
use std::hash::Hash;

use burn::tensor::{Int, Tensor};

use crate::error::{Fault, refuse};
use crate::operator::{Built, Inputs, Operator, Site};
use crate::ops::link;
use crate::ops::reshape::Same;
use crate::source::{Constant, Data, Kind};
use crate::value::{Type, Value, as_ints, truncated};

/// Most keys times numbers per event: every number is compared with every key.
const COMPARISONS_MAX: usize = 1 << 16;

/// Looks up every number among the keys, then the value at that index (the last one if there is none).
#[derive(Debug)]
struct Encode {
    /// `None` if the integers are indices already.
    keys: Option<(usize, usize)>,
    values: Option<usize>,
    kind: Kind,
}

impl Operator for Encode {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let input = inputs.take(0);
        let place = match (self.keys, input) {
            (None, Value::Int(place)) => place,
            (Some((keys, count)), Value::Int(x)) => {
                let [rows, width] = x.dims();
                let keys = inputs.int(keys).reshape([1, 1, count]).expand([rows, width, count]);
                let found = x.reshape([rows, width, 1]).expand([rows, width, count]).equal(keys);
                self.place(found, count, inputs)
            }
            (Some((keys, count)), Value::Float(x)) => {
                let [rows, width] = x.dims();
                let keys = inputs.float(keys).reshape([1, 1, count]).expand([rows, width, count]);
                let found = x.reshape([rows, width, 1]).expand([rows, width, count]).equal(keys);
                self.place(found, count, inputs)
            }
            (_, other) => unreachable!("kinds were checked: {other:?}"),
        };
        let [rows, width] = place.dims();
        vec![match (self.values, self.kind) {
            (None, _) => Value::Int(place),
            (Some(values), Kind::Float) => {
                let place = place.reshape([1, rows * width]);
                Value::Float(inputs.float(values).gather(1, place).reshape([rows, width]))
            }
            (Some(values), _) => Value::Int(link::look_up(inputs.int(values), place)),
        }]
    }
}

impl Encode {
    /// The index of the key that was found, or the number of keys.
    fn place(
        &self,
        found: Tensor<3, burn::tensor::Bool>,
        count: usize,
        inputs: &Inputs<'_>,
    ) -> Tensor<2, Int> {
        let [rows, width, _] = found.dims();
        let index = Tensor::<1, Int>::arange(0..count as i64, inputs.device).reshape([1, 1, count]);
        let index = as_ints(index, inputs.device).expand([rows, width, count]);
        index.mask_fill(found.bool_not(), count as i64).min_dim(2).reshape([rows, width])
    }
}

/// Builds `LabelEncoder`.
pub(super) fn encoder(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    site.outputs_at_most(1)?;
    let input = site.input(0)?.clone();
    if site.opset < 2 {
        return first_version(site, &input);
    }
    let values = Values::read(site)?;
    match (input.kind, &input.labels) {
        (Kind::Int, Some(words)) => {
            let keys = site.texts("keys_strings")?.unwrap_or_default().to_vec();
            let place = places(&keys, values.len())?;
            let places = words.iter().map(|word| place.get(word).copied().unwrap_or(keys.len())).collect();
            encode(site, &input, None, values.at(places))
        }
        (Kind::Int, None) => {
            let keys = match site.tensor("keys_tensor")? {
                Some(Constant { data: Data::Ints(keys), .. }) => keys.clone(),
                _ => site.ints("keys_int64s")?.unwrap_or_default().to_vec(),
            };
            let place = places(&keys, values.len())?;
            let (keys, at): (Vec<i64>, Vec<usize>) = sorted(place);
            let keys = Constant::ints([keys.len()], keys);
            encode(site, &input, Some(keys), values.at(at))
        }
        (Kind::Float, _) => {
            let keys = match site.tensor("keys_tensor")? {
                Some(Constant { data: Data::Floats(keys), .. }) => keys.clone(),
                _ => site.floats("keys_floats")?.unwrap_or_default().to_vec(),
            };
            if keys.iter().any(|key| key.is_nan()) {
                refuse!("has NaN among its keys; only numbers are supported");
            }
            // 0 and -0 count as the same key.
            let bits: Vec<u32> = keys.iter().map(|&key| (key + 0.0).to_bits()).collect();
            let (bits, at): (Vec<u32>, Vec<usize>) = sorted(places(&bits, values.len())?);
            let keys = Constant::floats([bits.len()], bits.into_iter().map(f32::from_bits).collect());
            encode(site, &input, Some(keys), values.at(at))
        }
        (Kind::Bool, _) => refuse!("works on truth values; only numbers and words are supported"),
    }
}

/// The first version: maps words to their indices in one list, or back.
fn first_version(site: &mut Site<'_>, input: &Type) -> Result<Built, Fault> {
    let classes = site.texts("classes_strings")?.unwrap_or_default().to_vec();
    let missing = site.int("default_int64")?.unwrap_or(-1);
    let unknown = site.text("default_string", "_Unused")?;
    match (input.kind, &input.labels) {
        (Kind::Int, Some(words)) => {
            let place: HashMap<&String, i64> = classes.iter().zip(0..).collect();
            let values = words.iter().map(|word| place.get(word).copied().unwrap_or(missing)).collect();
            encode(site, input, None, Values::Ints(values, missing))
        }
        (Kind::Int, None) => {
            let keys = Constant::ints([classes.len()], (0..classes.len() as i64).collect());
            encode(site, input, Some(keys), Values::Texts(classes, unknown.into()))
        }
        _ => refuse!("works on integers and words only"),
    }
}

/// The index of every key; of equal keys the first counts.
fn places<K: Clone + Eq + Hash>(keys: &[K], values: usize) -> Result<HashMap<K, usize>, Fault> {
    if keys.is_empty() {
        refuse!("has no keys of the kind of its input");
    }
    if keys.len() != values {
        refuse!("has {} keys and {values} values", keys.len());
    }
    Ok(keys.iter().cloned().zip(0..keys.len()).rev().collect())
}

fn sorted<K: Ord>(places: HashMap<K, usize>) -> (Vec<K>, Vec<usize>) {
    let mut places: Vec<_> = places.into_iter().collect();
    places.sort_by_key(|&(_, at)| at);
    places.into_iter().unzip()
}

/// The values of the keys, and the value of everything else.
enum Values {
    Floats(Vec<f32>, f32),
    Ints(Vec<i64>, i64),
    Texts(Vec<String>, String),
}

impl Values {
    fn read(site: &Site<'_>) -> Result<Self, Fault> {
        let missing = site.tensor("default_tensor")?.map(|tensor| &tensor.data);
        let float = site.float("default_float", -0.0)?;
        let int = site.int("default_int64")?.unwrap_or(-1);
        let text = site.text("default_string", "_Unused")?;
        let ints = |values: &[i64]| match missing {
            Some(Data::Ints(missing)) if missing.len() == 1 => Self::Ints(values.to_vec(), missing[0]),
            _ => Self::Ints(values.to_vec(), int),
        };
        let floats = |values: &[f32]| match missing {
            Some(Data::Floats(missing)) if missing.len() == 1 => Self::Floats(values.to_vec(), missing[0]),
            _ => Self::Floats(values.to_vec(), float),
        };
        match site.tensor("values_tensor")?.map(|tensor| &tensor.data) {
            Some(Data::Ints(values)) => return Ok(ints(values)),
            Some(Data::Floats(values)) => return Ok(floats(values)),
            Some(Data::Bools(_)) => refuse!("has truth values for values"),
            None => {}
        }
        match (site.ints("values_int64s")?, site.floats("values_floats")?, site.texts("values_strings")?) {
            (Some(values), None, None) => Ok(ints(values)),
            (None, Some(values), None) => Ok(floats(values)),
            (None, None, Some(values)) => Ok(Self::Texts(values.to_vec(), text.into())),
            _ => Err("has no values, or more than one list of them".into()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Floats(values, _) => values.len(),
            Self::Ints(values, _) => values.len(),
            Self::Texts(values, _) => values.len(),
        }
    }

    /// The values at these indices; an index past the end gives the value of everything else.
    fn at(self, places: Vec<usize>) -> Self {
        fn take<T: Clone>(values: &[T], missing: &T, places: Vec<usize>) -> Vec<T> {
            places.into_iter().map(|at| values.get(at).unwrap_or(missing).clone()).collect()
        }
        match self {
            Self::Floats(values, missing) => Self::Floats(take(&values, &missing, places), missing),
            Self::Ints(values, missing) => Self::Ints(take(&values, &missing, places), missing),
            Self::Texts(values, missing) => Self::Texts(take(&values, &missing, places), missing),
        }
    }
}

fn encode(site: &mut Site<'_>, input: &Type, keys: Option<Constant>, values: Values) -> Result<Built, Fault> {
    let count = values.len();
    if count.saturating_mul(input.numbers()) > COMPARISONS_MAX {
        refuse!(
            "has {count} keys for {} numbers per event; {COMPARISONS_MAX} comparisons are supported",
            input.numbers()
        );
    }
    let keys = keys.map(|keys| (site.add_constant(keys), count));
    let mut output = input.clone();
    output.labels = None;
    output.kind = if matches!(values, Values::Floats(..)) { Kind::Float } else { Kind::Int };
    let values = match values {
        Values::Floats(mut values, missing) => {
            values.push(missing);
            Some(site.add_constant(Constant::floats([count + 1], values)))
        }
        Values::Ints(mut values, missing) => {
            values.push(missing);
            Some(site.add_constant(Constant::ints([count + 1], values)))
        }
        Values::Texts(mut values, missing) => {
            values.push(missing);
            output.labels = Some(values);
            None
        }
    };
    Built::one(Encode { keys, values, kind: output.kind }, output)
}

/// Builds `ZipMap`: returns the scores unchanged, without names. It must be at the end of the graph.
pub(super) fn zip_map(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    site.outputs_at_most(1)?;
    site.ignore(&["classlabels_strings", "classlabels_int64s"]);
    Built::one(Same, site.input_of(0, Kind::Float)?.clone())
}

/// Makes a column for each of a list of integers: 1 where the number equals it, 0 elsewhere.
#[derive(Debug)]
struct OneHot {
    keys: usize,
    count: usize,
}

impl Operator for OneHot {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let x = match inputs.take(0) {
            Value::Int(x) => x,
            Value::Float(x) => {
                inputs.lose(x.clone().is_nan());
                truncated(x, inputs.device)
            }
            Value::Bool(_) => unreachable!("kinds were checked"),
        };
        let [rows, width] = x.dims();
        let keys = inputs.int(self.keys).reshape([1, 1, self.count]).expand([rows, width, self.count]);
        let found = x.reshape([rows, width, 1]).expand([rows, width, self.count]).equal(keys);
        vec![Value::Float(found.float().reshape([rows, width * self.count]))]
    }
}

/// Builds `OneHotEncoder` of integers; floats are truncated to integers first, as in ONNX Runtime.
pub(super) fn one_hot(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    site.outputs_at_most(1)?;
    let input = site.input(0)?.clone();
    if input.labels.is_some() || input.kind == Kind::Bool || site.texts("cats_strings")?.is_some() {
        refuse!("encodes text or truth values; only integers are supported");
    }
    if !site.flag("zeros", true)? {
        refuse!(
            "ends with an error at an unknown number ('zeros' is 0); export it with handle_unknown='ignore'"
        );
    }
    let keys = site.ints("cats_int64s")?.unwrap_or_default().to_vec();
    let count = keys.len();
    if count == 0 || count.saturating_mul(input.numbers()) > COMPARISONS_MAX {
        refuse!(
            "has {count} categories for {} numbers per event; between 1 and {COMPARISONS_MAX} comparisons are supported",
            input.numbers()
        );
    }
    let keys = site.add_constant(Constant::ints([count], keys));
    let mut dims = input.dims.clone();
    dims.push(count);
    Built::one(OneHot { keys, count }, Type { kind: Kind::Float, int32: false, ..input.with_dims(dims) })
}
