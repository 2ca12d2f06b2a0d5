//! Einsum: products of values, summed over the letters that are not in the result.
//!
//! ```text
//!   "nij,njk->nik"   n is the axis of events: the first letter of every value with events and of the result, and of nothing else
//!   "nij,jk->nik"    a value without events does not have it
//! ```
//!
//! The values are multiplied one after the other. Each product is a batched matrix product: letters that both have and that are still needed are its
//! batch, letters that both have and that are not needed are summed over, all others are its rows and columns. A letter that only one of them has
//! and that is not needed is summed over first.
//!
//! Invariant: all of that is settled when the graph is built, where every intermediate value is checked like any other (`value.rs`).

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use crate::error::{Fault, refuse};
use crate::layout::Layout;
use crate::operator::{Built, Inputs, Operator, Site, product};
use crate::source::{Constant, Kind};
use crate::value::{AXES, Type, Value, axes, rows, spread};

/// Most values in one equation.
const INPUTS_MAX: usize = 32;

/// A letter of the equation. The axes of `...` are letters too, counted from the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Letter {
    Of(usize),
    Named(char),
}

/// An intermediate value: its letters behind the axis of events, and their sizes.
#[derive(Clone, Debug)]
struct Term {
    letters: Vec<Letter>,
    dims: Vec<usize>,
    events: Option<Layout>,
}

/// Sums a row over axes and permutes the rest.
#[derive(Debug)]
struct Order {
    from: [usize; AXES],
    /// Axes that are summed over.
    summed: Vec<usize>,
    order: [usize; AXES],
    /// Does the order change?
    moves: bool,
}

/// A product of two values, as matrices `[batch, rows, inner]` and `[batch, inner, columns]`.
#[derive(Debug)]
struct Product {
    left: Order,
    right: Order,
    batch: usize,
    rows: usize,
    inner: usize,
    columns: usize,
    /// Is the second factor a matrix that is the same for all events?
    plain: bool,
}

#[derive(Debug)]
struct Einsum {
    /// For every input with a repeated letter, the index among the inputs of the places of its diagonal.
    diagonals: Vec<Option<(usize, usize)>>,
    products: Vec<Product>,
    /// The order of the result, from the last product.
    last: Order,
    multiply_adds: u64,
}

/// Letters of the values, and of the result if the equation states them.
type Equation = (Vec<Vec<Letter>>, Option<Vec<Letter>>);

/// Parses an equation for values of these ranks.
fn read(text: &str, ranks: &[usize]) -> Result<Equation, Fault> {
    let text: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
    let (values, result) = match text.split_once("->") {
        Some((values, result)) => (values, Some(result)),
        None => (text.as_str(), None),
    };
    let values: Vec<&str> = values.split(',').collect();
    if values.len() != ranks.len() {
        refuse!("has {} inputs, its equation '{text}' {}", ranks.len(), values.len());
    }
    let mut open = 0;
    let mut read = Vec::new();
    for (value, &rank) in values.into_iter().zip(ranks) {
        let named = value.replacen("...", "", 1).chars().count();
        let hidden = if value.contains("...") { rank.checked_sub(named) } else { Some(0) };
        let Some(hidden) = hidden.filter(|hidden| hidden + named == rank) else {
            refuse!("has letters '{value}' for a value with {rank} axes");
        };
        open = open.max(hidden);
        read.push(letters(value, hidden)?);
    }
    if open > 0 && result.is_some_and(|result| !result.contains("...")) {
        refuse!("has '...' in its equation '{text}', but not in the result");
    }
    let result = result.map(|result| letters(result, open)).transpose()?;
    Ok((read, result))
}

/// The letters of one value, in which `...` stands for `hidden` axes.
fn letters(text: &str, hidden: usize) -> Result<Vec<Letter>, Fault> {
    let (front, back) = text.split_once("...").unwrap_or((text, ""));
    let named = |part: &str| -> Result<Vec<Letter>, Fault> {
        let letter = |letter: char| match letter {
            'a'..='z' | 'A'..='Z' => Ok(Letter::Named(letter)),
            other => Err(format!("has '{other}' in its equation, where a letter is expected")),
        };
        part.chars().map(letter).collect()
    };
    let hidden = if text.contains("...") { hidden } else { 0 };
    // The last of them is number 0, so that shorter ones align with the end of longer ones.
    let open = (0..hidden).rev().map(Letter::Of);
    Ok(named(front)?.into_iter().chain(open).chain(named(back)?).collect())
}

/// The letters of the result if the equation states none: those of `...`, then letters that occur once, alphabetically.
fn implied(values: &[Vec<Letter>]) -> Vec<Letter> {
    let mut count: BTreeMap<Letter, usize> = BTreeMap::new();
    values.iter().flatten().for_each(|&letter| *count.entry(letter).or_default() += 1);
    let (mut open, mut once) = (Vec::new(), Vec::new());
    for (letter, times) in count {
        match letter {
            Letter::Of(_) => open.insert(0, letter),
            Letter::Named(_) if times == 1 => once.push(letter),
            Letter::Named(_) => {}
        }
    }
    [open, once].concat()
}

/// Builds `Einsum`.
pub(super) fn einsum(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, INPUTS_MAX)?;
    site.outputs_at_most(1)?;
    let inputs: Vec<Type> = (0..site.inputs())
        .map(|index| site.input_of(index, Kind::Float).cloned())
        .collect::<Result<_, _>>()?;
    if inputs.iter().any(|input| input.numbers() == 0) {
        refuse!("multiplies values without numbers");
    }
    let ranks: Vec<usize> = inputs.iter().map(Type::rank).collect();
    let (values, result) = read(site.text("equation", "")?, &ranks)?;
    let mut result = result.unwrap_or_else(|| implied(&values));
    let (events, values) = without_events(&inputs, values, &mut result)?;
    if (1..result.len()).any(|at| result[..at].contains(&result[at])) {
        refuse!("has a letter twice in its result");
    }
    let sizes = sizes(&values, &inputs)?;
    if let Some(Letter::Named(unknown)) = result.iter().find(|letter| !sizes.contains_key(letter)) {
        refuse!("has '{unknown}' in its result, which no value has");
    }
    let mut diagonals = Vec::new();
    let mut terms = Vec::new();
    for (letters, input) in values.into_iter().zip(&inputs) {
        let (term, diagonal) = term(&letters, input, &sizes);
        diagonals.push(diagonal.map(|places| {
            let count = places.len();
            (site.add_constant(Constant::ints([count], places)), count)
        }));
        terms.push(term);
    }
    build(diagonals, terms, &result, &sizes, events)
}

/// Removes the letter of the axis of events, and refuses it where it is not allowed.
fn without_events(
    inputs: &[Type],
    mut values: Vec<Vec<Letter>>,
    result: &mut Vec<Letter>,
) -> Result<(Option<Layout>, Vec<Vec<Letter>>), Fault> {
    let mut of_events = None;
    for (letters, _) in values.iter_mut().zip(inputs).filter(|(_, input)| input.events.is_some()) {
        let own = letters.remove(0);
        if *of_events.get_or_insert(own) != own {
            refuse!("has different letters for the axis of events; it must be the same and come first");
        }
    }
    let Some(of_events) = of_events else { return Ok((None, values)) };
    if result.first() != Some(&of_events) {
        refuse!(
            "does not keep the axis of events in front of its result: the score of an event would depend on its neighbours"
        );
    }
    result.remove(0);
    if values.iter().any(|letters| letters.contains(&of_events)) {
        refuse!(
            "uses the letter of the axis of events for another axis: the score of an event would depend on its neighbours"
        );
    }
    Ok((inputs.iter().find_map(|input| input.events), values))
}

/// The size of every letter; axes of size 1 match any other.
fn sizes(values: &[Vec<Letter>], inputs: &[Type]) -> Result<BTreeMap<Letter, usize>, Fault> {
    let mut sizes = BTreeMap::new();
    for (letters, input) in values.iter().zip(inputs) {
        for (&letter, &dim) in letters.iter().zip(&input.dims) {
            let size = sizes.entry(letter).or_insert(dim);
            if *size == 1 {
                *size = dim;
            } else if dim != 1 && dim != *size {
                refuse!("has a letter for axes of {size} and {dim}, which do not fit");
            }
        }
    }
    Ok(sizes)
}

/// An input with every letter once, and the places of its diagonal if it repeats one. An axis of size 1 where others have
/// more is dropped: it is the same for all of them.
fn term(letters: &[Letter], input: &Type, sizes: &BTreeMap<Letter, usize>) -> (Term, Option<Vec<i64>>) {
    let mut strides: Vec<usize> = vec![1; letters.len()];
    for axis in (1..letters.len()).rev() {
        strides[axis - 1] = strides[axis] * input.dims[axis];
    }
    let mut own: Vec<(Letter, usize, usize)> = Vec::new();
    for ((&letter, &dim), &stride) in letters.iter().zip(&input.dims).zip(&strides) {
        if dim != sizes[&letter] {
            continue;
        }
        match own.iter_mut().find(|(known, ..)| *known == letter) {
            Some((.., step)) => *step += stride,
            None => own.push((letter, dim, stride)),
        }
    }
    let dims: Vec<usize> = own.iter().map(|&(_, dim, _)| dim).collect();
    let left: usize = dims.iter().product();
    let term = Term { letters: own.iter().map(|&(letter, ..)| letter).collect(), dims, events: input.events };
    if left == input.numbers() {
        return (term, None);
    }
    let mut places = vec![0];
    for &(_, dim, stride) in &own {
        let further = |place: &i64| (0..dim).map(|at| place + (at * stride) as i64).collect::<Vec<_>>();
        places = places.iter().flat_map(further).collect();
    }
    (term, Some(places))
}

fn build(
    diagonals: Vec<Option<(usize, usize)>>,
    terms: Vec<Term>,
    result: &[Letter],
    sizes: &BTreeMap<Letter, usize>,
    events: Option<Layout>,
) -> Result<Built, Fault> {
    let mut rest = terms.into_iter();
    let Some(mut so_far) = rest.next() else { refuse!("has no inputs") };
    let mut products = Vec::new();
    let mut multiply_adds = 0u64;
    while let Some(next) = rest.next() {
        let wanted = |letter: &Letter| {
            result.contains(letter) || rest.as_slice().iter().any(|term| term.letters.contains(letter))
        };
        let (product, made) = Product::new(&so_far, &next, wanted, sizes)?;
        multiply_adds = multiply_adds.saturating_add(product.multiply_adds());
        products.push(product);
        so_far = made;
    }
    let last = Order::new(&so_far, result)?;
    let dims: Vec<usize> = result.iter().map(|letter| sizes[letter]).collect();
    let output = Type::new(Kind::Float, events, dims);
    output.check()?;
    Built::one(Einsum { diagonals, products, last, multiply_adds }, output)
}

impl Order {
    /// Brings the letters of a value into this order and sums over all others.
    fn new(term: &Term, wanted: &[Letter]) -> Result<Self, Fault> {
        let kind = Type::new(Kind::Float, term.events, term.dims.clone());
        kind.check()?;
        let place = |letter: &Letter| term.letters.iter().position(|own| own == letter);
        let kept: Vec<usize> = wanted.iter().filter_map(place).map(|axis| kind.spread_axis(axis)).collect();
        let all = (0..term.dims.len()).map(|axis| kind.spread_axis(axis));
        let summed: Vec<usize> = all.filter(|axis| !kept.contains(axis)).collect();
        // The padding axes in front, then those summed over, whose size is 1 by then.
        let front = 0..AXES - term.dims.len();
        let order: Vec<usize> = front.chain(summed.iter().copied()).chain(kept.iter().copied()).collect();
        let moves = !kept.is_sorted();
        let order = std::array::from_fn(|at| order[at]);
        Ok(Self { from: axes(&term.dims), summed, order, moves })
    }

    fn run(&self, x: Tensor<2>) -> Tensor<2> {
        if self.summed.is_empty() && !self.moves {
            return x;
        }
        let x = self.summed.iter().fold(spread(x, self.from), |x, &axis| x.sum_dim(axis));
        rows(if self.moves { x.permute(self.order) } else { x })
    }
}

impl Product {
    /// The product of two values, and its result.
    fn new(
        left: &Term,
        right: &Term,
        wanted: impl Fn(&Letter) -> bool,
        sizes: &BTreeMap<Letter, usize>,
    ) -> Result<(Self, Term), Fault> {
        let shared = |letter: &&Letter| right.letters.contains(letter);
        let (both, mine): (Vec<Letter>, Vec<Letter>) = left.letters.iter().partition(shared);
        let (batch, inner): (Vec<Letter>, Vec<Letter>) = both.into_iter().partition(&wanted);
        let own: Vec<Letter> = mine.into_iter().filter(&wanted).collect();
        let theirs = right.letters.iter().filter(|letter| !left.letters.contains(letter) && wanted(letter));
        let theirs: Vec<Letter> = theirs.copied().collect();
        let size = |letters: &[Letter]| letters.iter().map(|letter| sizes[letter]).product::<usize>();
        let letters = [&batch[..], &own, &theirs].concat();
        let dims: Vec<usize> = letters.iter().map(|letter| sizes[letter]).collect();
        let events = left.events.or(right.events);
        Type::new(Kind::Float, events, dims.clone()).check()?;
        let product = Self {
            left: Order::new(left, &[&batch[..], &own, &inner].concat())?,
            right: Order::new(right, &[&batch[..], &inner, &theirs].concat())?,
            batch: size(&batch),
            rows: size(&own),
            inner: size(&inner),
            columns: size(&theirs),
            plain: left.events.is_some() && right.events.is_none() && batch.is_empty(),
        };
        Ok((product, Term { letters, dims, events }))
    }

    fn multiply_adds(&self) -> u64 {
        product(&[self.batch, self.rows, self.inner, self.columns])
    }

    fn run(&self, left: Tensor<2>, right: Tensor<2>) -> Tensor<2> {
        let (left, right) = (self.left.run(left), self.right.run(right));
        let [events, numbers] = [left.dims()[0].max(right.dims()[0]), self.batch * self.rows * self.columns];
        if self.plain {
            let left = left.reshape([events * self.rows, self.inner]);
            return left.matmul(right.reshape([self.inner, self.columns])).reshape([events, numbers]);
        }
        let own = left.dims()[0];
        let left = left.reshape([own, self.batch, self.rows, self.inner]);
        let theirs = right.dims()[0];
        let right = right.reshape([theirs, self.batch, self.inner, self.columns]);
        left.matmul(right).reshape([events, numbers])
    }
}

impl Operator for Einsum {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let mut so_far: Option<Tensor<2>> = None;
        for (index, diagonal) in self.diagonals.iter().enumerate() {
            let value = inputs.float(index);
            let value = match *diagonal {
                Some((places, count)) => value.select(1, inputs.int(places).reshape([count])),
                None => value,
            };
            so_far = Some(match so_far {
                Some(left) => self.products[index - 1].run(left, value),
                None => value,
            });
        }
        let made = so_far.expect("an Einsum has inputs");
        vec![Value::Float(self.last.run(made))]
    }

    fn multiply_adds(&self) -> u64 {
        self.multiply_adds
    }
}
