//! `TreeEnsembleClassifier`, as ONNX Runtime interprets its attributes:
//!
//! | classes | base values | classes named in the leaves | scores | class |
//! |---|---|---|---|---|
//! | 3 or more | none, or one each | any | sum + base of each, link | first of the largest of those named |
//! | 2 | 0 or 1 | the first only, no weight below 0 | `1 - s`, `s` | 1 where `s > 0.5` |
//! | 2 | 0 or 1 | the first only, a weight below 0 | `-s`, `s` | 1 where `s > 0` |
//! | 2 | 0 or 1 | the first only, `LOGISTIC` | the logistic function of `-s` and `s` | as above, by `s` |
//! | 2 | 0 or 1 | the second, or both | sum + base of each, link | by the second sum: 1 where `> 0`, or `> 0.5` if alone and no weight is below 0 |
//!
//! Where ONNX Runtime ignores weights or writes no number, or where the class would depend on which classes a single leaf names, the node is
//! refused.

use crate::error::{Fault, refuse};
use crate::forest::{ClassRule, Draft, Link, Named, Pair, TreeEnsemble};
use crate::operator::{Built, Site};
use crate::ops::link::{self, FeatureTable, Labels};
use crate::ops::trees::{Trees, lists};

/// Builds `TreeEnsembleClassifier`.
pub(in crate::ops) fn classifier(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    site.outputs_at_most(2)?;
    let table = FeatureTable::of(site)?;
    let labels = Labels::read(site, "classlabels_int64s", "classlabels_strings")?;
    let link = link::link(site.text("post_transform", "NONE")?)?;
    let base = lists::numbers(site, "base_values", "base_values_as_tensor")?;
    let mut draft = lists::draft(site, "class", table.features, labels.len())?;
    draft.base = base;
    let forest = match labels.len() {
        0 | 1 => refuse!("has fewer than two classes; there is nothing to decide"),
        2 => {
            let given = Given::new(site)?;
            if given.both() && site.wants(0) && !labels.are_indices() {
                refuse!(
                    "has two classes that are both given weights, and labels that are not 0 and 1: ONNX Runtime answers with 0 and 1 \
                     all the same; train with the labels 0 and 1, or leave the labels unused"
                );
            }
            two_classes(draft, &given, link)?
        }
        _ => draft.grow()?.finish(Pair::None, link, Some(ClassRule::Largest)),
    };
    let outputs = vec![table.classes(labels.texts()), table.scores(forest.scores())];
    let forest = forest.with_labels(labels.numbers().map(<[i64]>::to_vec));
    Ok(Built { operator: Box::new(Trees::new(site, forest, table)?), outputs })
}

/// Which of two classes are given weights in the lists, and whether a weight is below 0.
struct Given {
    classes: [bool; 2],
    below_zero: bool,
}

impl Given {
    fn new(site: &Site<'_>) -> Result<Self, Fault> {
        let entries = lists::entries(site)?;
        let classes = [0, 1].map(|class| entries.outputs.contains(&class));
        Ok(Self { classes, below_zero: entries.weights.iter().any(|&weight| weight < 0.0) })
    }

    fn both(&self) -> bool {
        self.classes == [true, true]
    }

    /// Scores above this belong to class 1.
    fn threshold(&self) -> f32 {
        if self.both() || self.below_zero { 0.0 } else { 0.5 }
    }
}

fn two_classes(mut draft: Draft, given: &Given, link: Link) -> Result<TreeEnsemble, Fault> {
    let above = |output| Some(ClassRule::Above { output, threshold: given.threshold() });
    if draft.base.len() > 1 {
        refuse!(
            "has {} base values for two classes, of which ONNX Runtime leaves one out; export it with one or none",
            draft.base.len()
        );
    }
    if given.classes[1] {
        if !draft.base.is_empty() {
            draft.base.push(0.0);
        }
        let forest = draft.grow()?;
        if forest.named(1) != Named::Always {
            refuse!(
                "has two classes, and leaves that give a weight to one of them only; export it with both in every leaf"
            );
        }
        forest.base_is_given()?;
        return Ok(forest.finish(Pair::None, link, above(1)));
    }
    if link == Link::Probit {
        refuse!(
            "has two classes with one score and post_transform PROBIT, which ONNX Runtime leaves half undone"
        );
    }
    draft.outputs = 1;
    let forest = draft.grow()?;
    Ok(match (given.below_zero, link) {
        (_, Link::Logistic) => forest.finish(Pair::Mirror, Link::Logistic, above(0)),
        (false, _) => forest.finish(Pair::Complement, Link::None, above(0)),
        (true, _) => forest.finish(Pair::Mirror, Link::None, above(0)),
    })
}
