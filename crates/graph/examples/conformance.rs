//! Runs the ONNX project's node tests for every supported operator, and prints a table.
//!
//! `cargo run --release -p tamis-graph --example conformance -- FOLDER [PREFIX] [--failures]`, where FOLDER holds `test_*/model.onnx` and
//! `test_*/test_data_set_*/{input,output}_*.pb` (the package onnx on `PyPI` ships them). With PREFIX, only tests whose names begin with it are run.
//!
//! A test passes if every output has the right shape and kind, integers and truth values are equal, and floating-point numbers differ by at most
//! 1e-5 times the larger of 1 and the absolute value, or are the same infinity or both NaN. A test is *refused* if the graph is not built; that is
//! correct if the data type is not supported, and counted separately (`other types`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::{env, fs, panic};

use tamis_graph::{Constant, Data, Graph, OPERATORS, Program, Refusal, UncheckedGraph};

/// Largest difference of floating-point numbers, relative to the larger of 1 and the absolute value of the expected one.
const TOLERANCE: f32 = 1e-5;
/// A test whose expected numbers are given with four digits, and its tolerance.
const ROUNDED: (&str, f32) = ("test_averagepool_2d_ceil_last_window_starts_on_pad", 1e-4);

#[derive(Default)]
struct Row {
    passed: usize,
    failed: usize,
    refused: usize,
    other_types: usize,
}

enum Outcome {
    Passed,
    Failed(String),
    Refused(String),
    OtherType(String),
}

fn main() -> ExitCode {
    let mut arguments: Vec<String> = env::args().skip(1).collect();
    let show =
        arguments.iter().position(|word| word == "--failures").map(|at| arguments.remove(at)).is_some();
    let Some(folder) = arguments.first() else {
        eprintln!("usage: conformance FOLDER [PREFIX] [--failures]");
        return ExitCode::from(2);
    };
    let prefix = arguments.get(1).map_or("", String::as_str);
    let mut tests: Vec<PathBuf> = match fs::read_dir(folder) {
        Ok(entries) => entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect(),
        Err(error) => {
            eprintln!("{folder}: {error}");
            return ExitCode::FAILURE;
        }
    };
    tests.sort();
    panic::set_hook(Box::new(|_| {}));
    let mut rows: BTreeMap<(String, String), Row> =
        OPERATORS.iter().map(|&(domain, name)| ((domain.into(), name.into()), Row::default())).collect();
    for test in tests
        .iter()
        .filter(|test| test.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
    {
        let Some((operator, outcome)) = run(test) else { continue };
        let name = test.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let row = rows.get_mut(&operator).expect("operators come from the list");
        match outcome {
            Outcome::Passed => row.passed += 1,
            Outcome::Failed(why) => {
                row.failed += 1;
                eprintln!("failed {name}: {why}");
            }
            Outcome::Refused(why) => {
                row.refused += 1;
                eprintln!("refused {name}: {why}");
            }
            Outcome::OtherType(why) => {
                row.other_types += 1;
                if show {
                    eprintln!("other type {name}: {why}");
                }
            }
        }
    }
    print(&rows)
}

fn print(rows: &BTreeMap<(String, String), Row>) -> ExitCode {
    println!("| operator | passed | failed | refused | other types |\n|---|---|---|---|---|");
    let mut sum = Row::default();
    for ((domain, name), row) in rows {
        let domain = if domain.is_empty() { String::new() } else { format!("{domain}.") };
        println!(
            "| {domain}{name} | {} | {} | {} | {} |",
            row.passed, row.failed, row.refused, row.other_types
        );
        sum.passed += row.passed;
        sum.failed += row.failed;
        sum.refused += row.refused;
        sum.other_types += row.other_types;
    }
    println!("| all | {} | {} | {} | {} |", sum.passed, sum.failed, sum.refused, sum.other_types);
    if sum.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one test folder; `None` if it is about an operator that is not in the list.
fn run(test: &Path) -> Option<((String, String), Outcome)> {
    let bytes = fs::read(test.join("model.onnx")).ok()?;
    let source = match UncheckedGraph::from_onnx_without_events(&bytes) {
        Ok(source) => source,
        Err(refusal) => {
            // The operator can only be guessed from the folder's name.
            let name =
                test.file_name()?.to_string_lossy().replace("test_ai_onnx_ml_", "test_").replace('_', "");
            let found = OPERATORS
                .iter()
                .filter(|(_, operator)| name.starts_with(&format!("test{}", operator.to_lowercase())));
            let (domain, operator) = found.max_by_key(|(_, operator)| operator.len())?;
            return Some((((*domain).into(), (*operator).into()), sort(&refusal)));
        }
    };
    let [node] = &source.nodes[..] else { return None };
    let operator = (node.domain.clone(), node.operator.clone());
    if !OPERATORS.contains(&(&operator.0, &operator.1)) {
        return None;
    }
    let outcome =
        panic::catch_unwind(|| compare(test, source)).unwrap_or_else(|_| Outcome::Failed("panicked".into()));
    Some((operator, outcome))
}

/// Is a refusal about a data type that is out of scope?
fn sort(refusal: &Refusal) -> Outcome {
    let text = refusal.to_string();
    if text.contains("data type") || text.contains("sequence or a map") {
        Outcome::OtherType(text)
    } else {
        Outcome::Refused(text)
    }
}

/// Puts the inputs of the test into the graph (as constants where the graph must know them) and compares.
fn compare(test: &Path, mut source: UncheckedGraph) -> Outcome {
    let tolerance = if test.ends_with(ROUNDED.0) { ROUNDED.1 } else { TOLERANCE };
    for set in (0..).map(|set| test.join(format!("test_data_set_{set}"))).take_while(|set| set.is_dir()) {
        let read = |name: String| fs::read(set.join(name)).ok().map(|bytes| Constant::from_onnx(&bytes));
        let mut inputs = Vec::new();
        for (index, input) in source.inputs.iter_mut().enumerate() {
            match read(format!("input_{index}.pb")) {
                Some(Ok(constant)) => {
                    input.dims.clone_from(&constant.dims);
                    inputs.push(constant);
                }
                Some(Err(refusal)) => return sort(&refusal),
                None => return Outcome::Failed(format!("input {index} is not there")),
            }
        }
        let graph = match build(&source, &inputs) {
            Ok(graph) => graph,
            Err(refusal) => return sort(&refusal),
        };
        let given: Vec<Constant> = graph
            .inputs()
            .iter()
            .filter_map(|kept| {
                source
                    .inputs
                    .iter()
                    .position(|input| input.name == kept.name)
                    .map(|index| inputs[index].clone())
            })
            .collect();
        let program = Program::new(Arc::new(graph), &burn::tensor::Device::flex());
        let computed = match program.run_whole(&given) {
            Ok(computed) => computed,
            Err(error) => return Outcome::Failed(error),
        };
        for (index, computed) in computed.iter().enumerate() {
            match read(format!("output_{index}.pb")) {
                Some(Ok(expected)) => {
                    if let Some(why) = difference(computed, &expected, tolerance) {
                        return Outcome::Failed(format!("output {index}: {why}"));
                    }
                }
                Some(Err(refusal)) => return sort(&refusal),
                None => return Outcome::Failed(format!("output {index} is not there")),
            }
        }
    }
    Outcome::Passed
}

/// Builds the graph with every input open. If an operator needs a constant one (a shape, axes), makes first the integers constant, then all.
fn build(source: &UncheckedGraph, inputs: &[Constant]) -> Result<Graph, Refusal> {
    let open = Graph::new(source);
    let must_be_known = |refusal: &Refusal| refusal.reason.contains("must be a constant");
    let Err(refusal) = open else { return open };
    if !must_be_known(&refusal) {
        return Err(refusal);
    }
    let fixed = |fix: &dyn Fn(usize, &Constant) -> bool| {
        let mut source = source.clone();
        let mut kept = Vec::new();
        for (index, input) in source.inputs.drain(..).enumerate() {
            if fix(index, &inputs[index]) {
                source.constants.insert(input.name, inputs[index].clone());
            } else {
                kept.push(input);
            }
        }
        source.inputs = kept;
        Graph::new(&source)
    };
    let ints = fixed(&|index, constant| index > 0 && matches!(constant.data, Data::Ints(_)));
    match ints {
        Err(refusal) if must_be_known(&refusal) => fixed(&|index, _| index > 0),
        built => built,
    }
}

fn difference(computed: &Constant, expected: &Constant, tolerance: f32) -> Option<String> {
    if computed.dims != expected.dims {
        return Some(format!("shape {:?}, expected {:?}", computed.dims, expected.dims));
    }
    match (&computed.data, &expected.data) {
        (Data::Floats(computed), Data::Floats(expected)) => {
            let differ = |(&a, &b): (&f32, &f32)| {
                !(a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= tolerance * b.abs().max(1.0))
            };
            let at = computed.iter().zip(expected).position(differ)?;
            Some(format!("number {at} is {}, expected {}", computed[at], expected[at]))
        }
        (computed, expected) if computed == expected => None,
        (computed, expected) => {
            Some(format!("{computed:?}, expected {expected:?}").chars().take(200).collect())
        }
    }
}
