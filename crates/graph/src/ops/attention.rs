//! Attention: every query is compared with all keys of its event and averages their values by similarity.
//!
//! ```text
//!   softmax(Q K' * scale + mask) V        for every head; several heads of Q may share one of K and V
//! ```
//!
//! Keys and values of earlier calls (the cache of a language model) are refused.

use burn::tensor::{Bool, Tensor, activation};

use crate::error::{Fault, refuse};
use crate::operator::{Built, Inputs, Operator, Site, product};
use crate::source::Kind;
use crate::value::Value;

/// Queries, keys or values: `[batch, heads, rows, width]`, or `[batch, rows, heads * width]`.
#[derive(Clone, Copy, Debug)]
struct Heads {
    /// Batch size within a row of the value: 1 where rows are events.
    batch: usize,
    heads: usize,
    rows: usize,
    width: usize,
    /// Is the layout `[batch, rows, heads * width]`?
    flat: bool,
}

#[derive(Debug)]
struct Attention {
    q: Heads,
    k: Heads,
    v: Heads,
    scale: f32,
    softcap: f32,
    causal: bool,
    /// Shape of the mask, if there is one.
    mask: Option<[usize; 4]>,
}

/// Builds `Attention`.
pub(super) fn attention(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(3, 6)?;
    if (4..site.inputs()).any(|index| site.has(index)) || site.wanted_outputs() > 1 {
        refuse!(
            "keeps keys and values for later calls, which is not supported; export the model without a cache"
        );
    }
    site.ignore(&["qk_matmul_output_mode", "softmax_precision"]);
    let q = heads(site, 0, "q_num_heads")?;
    let (k, v) = (heads(site, 1, "kv_num_heads")?, heads(site, 2, "kv_num_heads")?);
    let kinds = [0, 1, 2].map(|index| site.input(index).map(|kind| kind.events));
    let together = kinds.iter().all(|events| *events == kinds[0]);
    let shared = k.heads > 0 && q.heads.is_multiple_of(k.heads);
    if !together || q.batch != k.batch || k.batch != v.batch || q.width != k.width || q.width == 0 {
        refuse!("its inputs Q, K and V do not fit: {q:?}, {k:?}, {v:?}");
    }
    if (k.heads, k.rows) != (v.heads, v.rows)
        || !shared
        || k.rows == 0
        || q.flat != k.flat
        || k.flat != v.flat
    {
        refuse!("its inputs Q, K and V do not fit: {q:?}, {k:?}, {v:?}");
    }
    let causal = site.flag("is_causal", false)?;
    let softcap = site.float("softcap", 0.0)?;
    let mask = mask(site, &Heads { width: k.rows, ..q })?;
    if softcap != 0.0 && (mask.is_some() || causal) {
        refuse!(
            "has a mask and a softcap, whose order changed between versions of ONNX; leave out one of them"
        );
    }
    let scale = site.optional_float("scale")?.unwrap_or_else(|| (q.width as f32).sqrt().recip());
    let x = site.input(0)?;
    let mut dims = x.dims.clone();
    let last = dims.len() - 1;
    dims[last] = if q.flat { q.heads * v.width } else { v.width };
    Built::one(Attention { q, k, v, scale, softcap, causal, mask }, x.with_dims(dims))
}

/// Input `index`; `count` is the attribute with the number of heads of a value with three axes.
fn heads(site: &Site<'_>, index: usize, count: &'static str) -> Result<Heads, Fault> {
    let kind = site.input_of(index, Kind::Float)?;
    let (batch, rest) = match (kind.events, &kind.dims[..]) {
        (Some(_), rest) => (1, rest),
        (None, [batch, rest @ ..]) => (*batch, rest),
        (None, []) => refuse!("its input {index} is a single number"),
    };
    let stated = site.int(count)?;
    match *rest {
        [heads, rows, width] => match stated {
            Some(stated) if stated != heads as i64 => {
                refuse!("its attribute '{count}' is {stated}, its input {index} has {heads} heads")
            }
            _ => Ok(Heads { batch, heads, rows, width, flat: false }),
        },
        [rows, numbers] => match stated.map(usize::try_from) {
            Some(Ok(heads)) if heads > 0 && numbers.is_multiple_of(heads) => {
                Ok(Heads { batch, heads, rows, width: numbers / heads, flat: true })
            }
            _ => refuse!("its attribute '{count}' must say how many heads there are in {numbers} numbers"),
        },
        _ => refuse!("its input {index} has {} axes; 3 or 4 are supported", kind.rank()),
    }
}

/// The shape of the mask: each axis has the size of that of the products, or 1.
fn mask(site: &Site<'_>, products: &Heads) -> Result<Option<[usize; 4]>, Fault> {
    if !site.has(3) {
        return Ok(None);
    }
    let kind = site.input(3)?;
    let of_events = site.input(0)?.events.is_some();
    let mut dims = kind.dims.clone();
    if kind.events.is_some() {
        dims.insert(0, 1);
    }
    let whole = [products.batch, products.heads, products.rows, products.width];
    let mut shape = [1; 4];
    let fits = dims.len() <= 4 && (kind.events.is_none() || of_events && dims.len() == 4);
    if fits {
        shape[4 - dims.len()..].copy_from_slice(&dims);
    }
    if !fits || kind.kind == Kind::Int || shape.iter().zip(whole).any(|(&size, of)| size != 1 && size != of) {
        refuse!("has a mask of shape {:?} for products of shape {whole:?}", kind.dims);
    }
    Ok(Some(shape))
}

impl Heads {
    /// Reshapes a value to `[rows of the value, batch, heads, rows, width]`.
    fn spread(self, x: Tensor<2>) -> Tensor<5> {
        let [count, _] = x.dims();
        let Self { batch, heads, rows, width, flat } = self;
        if flat {
            x.reshape([count, batch, rows, heads, width]).swap_dims(2, 3)
        } else {
            x.reshape([count, batch, heads, rows, width])
        }
    }

    /// Like `spread`, with every head repeated `times` times.
    fn shared(self, x: Tensor<2>, times: usize) -> Tensor<5> {
        let x = self.spread(x);
        if times == 1 {
            return x;
        }
        let [count, batch, heads, rows, width] = x.dims();
        let one = x.reshape([count, batch, heads, 1, rows, width]);
        let all: Tensor<6> = one.expand([count, batch, heads, times, rows, width]);
        all.reshape([count, batch, heads * times, rows, width])
    }
}

impl Operator for Attention {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let Self { q, k, v, .. } = *self;
        let times = q.heads / k.heads;
        let [of_q, of_k, of_v] = [0, 1, 2].map(|index| inputs.float(index));
        let keys = k.shared(of_k, times).swap_dims(3, 4);
        let mut products = q.spread(of_q).matmul(keys).mul_scalar(self.scale);
        if self.softcap != 0.0 {
            products = products.div_scalar(self.softcap).tanh().mul_scalar(self.softcap);
        }
        let shape = products.dims();
        if let Some([batch, heads, rows, columns]) = self.mask {
            products = match inputs.take(3) {
                Value::Float(mask) => {
                    let [count, _] = mask.dims();
                    products + mask.reshape([count, batch, heads, rows, columns])
                }
                Value::Bool(mask) => {
                    let [count, _] = mask.dims();
                    let mask: Tensor<5, Bool> =
                        mask.reshape([count, batch, heads, rows, columns]).expand(shape);
                    products.mask_fill(mask.bool_not(), f32::NEG_INFINITY)
                }
                Value::Int(_) => unreachable!("kinds were checked"),
            };
        }
        if self.causal {
            let later = Tensor::<2, Bool>::tril_mask([q.rows, k.rows], 0, inputs.device);
            let later: Tensor<5, Bool> = later.reshape([1, 1, 1, q.rows, k.rows]).expand(shape);
            products = products.mask_fill(later, f32::NEG_INFINITY);
        }
        let y = activation::softmax(products, 4).matmul(v.shared(of_v, times));
        let y = if q.flat { y.swap_dims(2, 3) } else { y };
        let [count, ..] = shape;
        vec![Value::Float(y.reshape([count, q.batch * q.heads * q.rows * v.width]))]
    }

    fn mask(&self) -> Option<usize> {
        self.mask.map(|_| 3)
    }

    fn multiply_adds(&self) -> u64 {
        let Self { q, k, v, .. } = *self;
        product(&[q.batch, q.heads, q.rows, k.rows, q.width + v.width])
    }
}
