//! `deep_sets`: a function of a set of objects that does not depend on their order (Zaheer et al. 2017, arXiv 1703.06114).
//!
//! ```text
//!   x [objects, features] --the same chain for every object, activation after every layer--> [objects, width]
//!       --pooling over the objects that are there--> [width] --layers--> scores
//! ```
//!
//! An object of which every feature is 0 after the preprocessing is not there (`mask` of an input makes them so).

use tamis_graph::{Attribute, Constant, Source};

use super::chain;
use crate::error::BundleFault;
use crate::manifest::{Manifest, Pooling, bad, check_widths};
use crate::weights::Weights;

/// Stands for "not there" in a maximum.
const LOWEST: f32 = -3.0e38;

pub(super) fn check(manifest: &Manifest) -> Result<(), BundleFault> {
    chain::check(manifest)?;
    chain::check_outputs(manifest)?;
    let Some(set) = &manifest.set else {
        return bad("set", "is missing: objects, layers, pool");
    };
    if !(1..=8192).contains(&set.objects) {
        return bad("set.objects", "give a number between 1 and 8192");
    }
    check_widths("set.layers", &set.layers, 2)?;
    if set.layers.last() != manifest.layers.first() {
        return bad("layers", "begins with the width that set.layers ends with");
    }
    Ok(())
}

pub(super) fn source(manifest: &Manifest, file: &[u8]) -> Result<Source, BundleFault> {
    let mut weights = Weights::open(file, manifest)?;
    let mut source = Source::new();
    let set = manifest.set.as_ref().expect("checked");
    let features = set.layers[0];
    let x = source.input("x", [set.objects, features]);
    let there = presence(&mut source, &x);
    let mut y = x;
    for (index, pair) in set.layers.windows(2).enumerate() {
        let name = format!("set.{index}");
        let (weight, bias) = weights.layer(&[pair[1], pair[0]])?;
        let weight = source.constant(&format!("{name}.stored"), weight);
        let turned = source.node(
            "Transpose",
            &format!("{name}.weight"),
            &[&weight],
            &[("perm", Attribute::Ints(vec![1, 0]))],
        );
        let bias = source.constant(&format!("{name}.bias"), bias);
        let product = source.node("MatMul", &format!("{name}.product"), &[&y, &turned], &[]);
        let sum = source.node("Add", &name, &[&product, &bias], &[]);
        y = chain::activation(&mut source, manifest, &name, &sum);
    }
    let pooled = pool(&mut source, set.pool, &y, &there);
    let scores = chain::layers(&mut source, &mut weights, manifest, &pooled)?;
    weights.finish()?;
    source.outputs.push(scores);
    Ok(source)
}

/// 1 for every object that is there, 0 for the others: `[objects, 1]`.
fn presence(source: &mut Source, x: &str) -> String {
    let size = source.node("Abs", "there.size", &[x], &[]);
    let axis = source.constant("there.axis", Constant::ints([1], vec![2]));
    let largest =
        source.node("ReduceMax", "there.largest", &[&size, &axis], &[("keepdims", Attribute::Int(1))]);
    let is_there = source.node("Cast", "there.is", &[&largest], &[("to", Attribute::Int(9))]);
    source.node("Cast", "there", &[&is_there], &[("to", Attribute::Int(1))])
}

/// Sum, mean or maximum over the objects that are there; 0 for an empty set.
fn pool(source: &mut Source, pooling: Pooling, y: &str, there: &str) -> String {
    let axis = source.constant("pool.axis", Constant::ints([1], vec![1]));
    let gone = [("keepdims", Attribute::Int(0))];
    if pooling == Pooling::Max {
        // Far below everything where there is no object; back to 0 where there was none at all.
        let one = source.constant("pool.one", Constant::floats([1], vec![1.0]));
        let lowest = source.constant("pool.lowest", Constant::floats([1], vec![LOWEST]));
        let missing = source.node("Sub", "pool.missing", &[&one, there], &[]);
        let down = source.node("Mul", "pool.down", &[&missing, &lowest], &[]);
        let present = source.node("Mul", "pool.present", &[y, there], &[]);
        let lowered = source.node("Add", "pool.lowered", &[&present, &down], &[]);
        let largest = source.node("ReduceMax", "pool.max", &[&lowered, &axis], &gone);
        let any = source.node("ReduceMax", "pool.any", &[there, &axis], &gone);
        return source.node("Mul", "pool", &[&largest, &any], &[]);
    }
    let present = source.node("Mul", "pool.present", &[y, there], &[]);
    let sum = source.node("ReduceSum", "pool.sum", &[&present, &axis], &gone);
    if pooling == Pooling::Sum {
        return sum;
    }
    let count = source.node("ReduceSum", "pool.count", &[there, &axis], &gone);
    let count = source.node("Clip", "pool.at_least_one", &[&count, "pool.floor"], &[]);
    source.constant("pool.floor", Constant::floats([1], vec![1.0]));
    source.node("Div", "pool", &[&sum, &count], &[])
}
