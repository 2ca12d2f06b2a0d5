//! Transposed convolution, Einsum and quantisation, against sums written out.

use super::*;

use proptest::sample::Index;

/// One axis of a transposed convolution: size, kernel, stride, dilation, cut in front and behind, padding behind.
#[derive(Clone, Copy, Debug)]
struct Spread {
    size: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    begin: usize,
    end: usize,
    added: usize,
}

impl Spread {
    const FLAT: Self = Self { size: 1, kernel: 1, stride: 1, dilation: 1, begin: 0, end: 0, added: 0 };

    fn made(&self) -> Option<usize> {
        let whole = (self.size - 1) * self.stride + self.dilation * (self.kernel - 1) + 1 + self.added;
        whole.checked_sub(self.begin + self.end).filter(|&made| made > 0)
    }

    /// The place to which `tap` of the kernel adds number `at` of the image.
    fn place(&self, at: usize, tap: usize) -> Option<usize> {
        let place = (at * self.stride + tap * self.dilation).checked_sub(self.begin)?;
        (place < self.made()?).then_some(place)
    }
}

fn spreads() -> impl Strategy<Value = Vec<Spread>> {
    let spread = (1usize..5, 1usize..4, 1usize..4, 1usize..3, 0usize..3, 0usize..3, 0usize..3)
        .prop_map(|(size, kernel, stride, dilation, begin, end, added)| Spread {
            size,
            kernel,
            stride,
            dilation,
            begin,
            end,
            added,
        })
        .prop_filter("something is left", |spread| spread.made().is_some());
    prop::collection::vec(spread, 1..3)
}

/// An operand of an Einsum: does it depend on the event, and its letters.
type Operand = (bool, Vec<usize>);

const LETTERS: [char; 4] = ['i', 'j', 'k', 'l'];
const SIZES: [usize; 4] = [2, 3, 1, 4];

/// The sum written out, for one event with the numbers `values`.
fn einsum(operands: &[Operand], values: &[Vec<f32>], result: &[usize]) -> Vec<f64> {
    let mut sums = vec![0.0; result.iter().map(|&letter| SIZES[letter]).product()];
    for number in 0..SIZES.iter().product() {
        let mut rest = number;
        let places: Vec<usize> = SIZES.map(|size| (rest % size, rest /= size).0).to_vec();
        // Letters that no operand has stay at 0.
        let used = |letter: usize| operands.iter().any(|(_, letters)| letters.contains(&letter));
        if (0..4).any(|letter| !used(letter) && places[letter] > 0) {
            continue;
        }
        let flat =
            |letters: &[usize]| letters.iter().fold(0, |flat, &letter| flat * SIZES[letter] + places[letter]);
        let terms =
            operands.iter().zip(values).map(|((_, letters), values)| f64::from(values[flat(letters)]));
        sums[flat(result)] += terms.product::<f64>();
    }
    sums
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_transposed_convolution_is_the_sum_written_out(
        spreads in spreads(),
        groups in 1usize..3,
        per_group in 1usize..3,
        outputs_per_group in 1usize..3,
        bias in any::<bool>(),
        events in 1usize..4,
    ) {
        let (channels, outputs) = (groups * per_group, groups * outputs_per_group);
        let list = |of: &dyn Fn(&Spread) -> usize| spreads.iter().map(of).collect::<Vec<_>>();
        let as_ints = |of: &dyn Fn(&Spread) -> usize| spreads.iter().map(|it| of(it) as i64).collect::<Vec<_>>();
        let kernel = list(&|it| it.kernel);
        let mut constants = vec![wave(&[vec![channels, outputs_per_group], kernel].concat())];
        if bias {
            constants.push(wave(&[outputs]));
        }
        let attributes = [
            ("strides", Attribute::Ints(as_ints(&|it| it.stride))),
            ("dilations", Attribute::Ints(as_ints(&|it| it.dilation))),
            ("output_padding", Attribute::Ints(as_ints(&|it| it.added))),
            ("pads", Attribute::Ints([as_ints(&|it| it.begin), as_ints(&|it| it.end)].concat())),
            ("group", int(groups as i64)),
        ];
        let dims = [vec![channels], list(&|it| it.size)].concat();
        let graph = Graph::new(&node(&dims, "ConvTranspose", &constants, &attributes, 21)).unwrap();
        let [down, across] = if let [down, across] = spreads[..] { [down, across] } else { [Spread::FLAT, spreads[0]] };
        let x = floats(&wave(&[events * channels * down.size * across.size])).to_vec();
        let weights = floats(&constants[0]);
        let (height, width) = (down.made().unwrap(), across.made().unwrap());
        let start = |output: usize| constants.get(1).map_or(0.0, |bias| f64::from(floats(bias)[output]));
        let mut expected: Vec<f64> =
            (0..events * outputs * height * width).map(|at| start(at / (height * width) % outputs)).collect();
        let taps = (0..down.kernel).flat_map(|row| (0..across.kernel).map(move |column| (row, column)));
        let taps: Vec<_> = taps.collect();
        for (at, number) in x.iter().enumerate() {
            let (column, row) = (at % across.size, at / across.size % down.size);
            let (channel, event) = (at / (across.size * down.size) % channels, at / (across.size * down.size) / channels);
            for own in 0..outputs_per_group {
                let output = channel / per_group * outputs_per_group + own;
                for (tap, &(below, beside)) in taps.iter().enumerate() {
                    let (Some(row), Some(column)) = (down.place(row, below), across.place(column, beside)) else { continue };
                    let weight = weights[(channel * outputs_per_group + own) * taps.len() + tap];
                    expected[((event * outputs + output) * height + row) * width + column] += f64::from(*number) * f64::from(weight);
                }
            }
        }
        close(&run(graph, &x, events), &expected);
    }

    #[test]
    fn an_einsum_is_the_sum_written_out(
        mut operands in prop::collection::vec((any::<bool>(), prop::collection::vec(0usize..4, 0..4)), 1..4),
        order in Just(vec![0usize, 1, 2, 3]).prop_shuffle(),
        kept in prop::collection::vec(any::<bool>(), 4),
        first in any::<Index>(),
    ) {
        let first = first.index(operands.len());
        operands[first].0 = true;
        let used = |letter: usize| operands.iter().any(|(_, letters)| letters.contains(&letter));
        let result: Vec<usize> = order.into_iter().filter(|&letter| kept[letter] && used(letter)).collect();
        let text = |events: bool, letters: &[usize]| -> String {
            let front = if events { "n" } else { "" };
            front.chars().chain(letters.iter().map(|&letter| LETTERS[letter])).collect()
        };
        let terms: Vec<String> = operands.iter().map(|(events, letters)| text(*events, letters)).collect();
        let equation = format!("{} -> {}", terms.join(","), text(true, &result));
        let mut source = UncheckedGraph::new();
        let events = 3;
        let (mut values, mut names) = (Vec::new(), Vec::new());
        for (index, (of_events, letters)) in operands.iter().enumerate() {
            let dims: Vec<usize> = letters.iter().map(|&letter| SIZES[letter]).collect();
            let all = wave(&[events + 1, dims.iter().product::<usize>() + index]);
            let number = dims.iter().product::<usize>();
            let rows: Vec<Vec<f32>> = (0..events).map(|event| {
                let event = if *of_events { event } else { 0 };
                floats(&all)[event * (number + index)..][..number].to_vec()
            }).collect();
            let name = format!("v{index}");
            names.push(if *of_events { source.input(&name, dims) } else { source.constant(&name, Constant::floats(dims, rows[0].clone())) });
            values.push(rows);
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let output = source.node("Einsum", "y", &names, &[("equation", Attribute::Text(equation.clone()))]);
        source.outputs.push(output);
        let graph = Graph::new(&source).unwrap();
        let of_event = |event: usize| values.iter().map(|rows| rows[event].clone()).collect::<Vec<_>>();
        let given = |event: usize| {
            let own = operands.iter().zip(of_event(event)).filter(|((of_events, _), _)| *of_events);
            own.flat_map(|(_, numbers)| numbers).collect::<Vec<_>>()
        };
        let x: Vec<f32> = (0..events).flat_map(given).collect();
        let expected: Vec<f64> = (0..events).flat_map(|event| einsum(&operands, &of_event(event), &result)).collect();
        close(&run(graph, &x, events), &expected);
    }
}
