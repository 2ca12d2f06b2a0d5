//! One side against the reference: sums while events pass, results at the end.

use serde::Serialize;
use tamis_event::Block;
use tamis_menu::CompiledMenu;

use super::{Gates, Player, Side};

/// Flips that are reported one by one; further ones are only counted.
const TOLD_MAX: usize = 20;

/// One side against the reference.
#[derive(Clone, Debug, Serialize)]
pub struct Contrast {
    /// The side that is compared.
    #[serde(flatten)]
    pub side: Side,
    /// Its scores against those of the reference.
    pub scores: Vec<ScoreContrast>,
    /// The lines of the menu; none without a menu.
    pub lines: Vec<LineContrast>,
    /// Events that some line keeps, after prescales; absent without a menu.
    pub accepted: Option<Accepted>,
    /// Events that at least one line decides differently, or that only one side can decide.
    pub flipped: u64,
    /// These events as a share of all events.
    pub flipped_share: f64,
    /// The first flips, one by one.
    pub flips: Vec<Flip>,
}

/// One score on two sides.
#[derive(Clone, Debug, Serialize)]
pub struct ScoreContrast {
    /// `MODEL.OUTPUT`.
    pub name: String,
    /// Events for which it is finite on both sides.
    pub events: u64,
    /// Largest absolute difference.
    pub max: f64,
    /// Root of the mean square difference.
    pub rms: f64,
    /// Largest difference relative to the reference, where that is not 0.
    pub max_relative: f64,
    /// Largest difference divided by 1, or by the reference if that is larger: the gate bounds it.
    pub difference: f64,
    /// Largest such difference that is allowed.
    pub allowed: f64,
    /// The event of that difference; absent if there is none.
    pub event: Option<u64>,
}

/// One line on two sides.
#[derive(Clone, Debug, Serialize)]
pub struct LineContrast {
    /// Name.
    pub name: String,
    /// Events that it passes on the side of the reference, before its prescale.
    pub reference: u64,
    /// Events that it passes on the other side, before its prescale.
    pub other: u64,
    /// Events that it passes on one side only.
    pub flips: u64,
    /// Largest margin of a flip; absent if there is none, or none with a threshold.
    pub max_margin: Option<f64>,
    /// Where it cuts on scores, as in `topo.taus > 0.9`.
    pub thresholds: Vec<String>,
}

/// What is accepted on two sides, after prescales.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Accepted {
    /// Events that are accepted on the side of the reference.
    pub reference: u64,
    /// Events that are accepted on the other side.
    pub other: u64,
    /// Events that are accepted on one side only.
    pub flips: u64,
}

/// An event that a line passes on one side only.
#[derive(Clone, Debug, Serialize)]
pub struct Flip {
    /// Event id.
    pub event: u64,
    /// The line.
    pub line: String,
    /// The comparison that changed; absent if no comparison of a bare score with a number did.
    pub threshold: Option<String>,
    /// The score on the side of the reference.
    pub reference: Option<f32>,
    /// The score on the other side.
    pub other: Option<f32>,
    /// Distance of the reference score from the threshold.
    pub margin: Option<f64>,
}

/// Sums over events.
pub(crate) struct ContrastSums {
    scores: Vec<ScoreContrast>,
    /// Sum of the squared differences of every score.
    squares: Vec<f64>,
    lines: Vec<LineContrast>,
    accepted: Option<Accepted>,
    flipped: u64,
    flips: Vec<Flip>,
}

impl ContrastSums {
    pub(super) fn new(scores: &[String], allowed: &[f64], menu: Option<&CompiledMenu>) -> Self {
        let score = |(name, &allowed): (&String, &f64)| ScoreContrast {
            name: name.clone(),
            events: 0,
            max: 0.0,
            rms: 0.0,
            max_relative: 0.0,
            difference: 0.0,
            allowed,
            event: None,
        };
        let line = |(index, info): (usize, &tamis_menu::LineInfo)| LineContrast {
            name: info.name.clone(),
            reference: 0,
            other: 0,
            flips: 0,
            max_margin: None,
            thresholds: thresholds(menu, index, scores),
        };
        let lines = menu.map(CompiledMenu::lines).unwrap_or_default();
        Self {
            scores: scores.iter().zip(allowed).map(score).collect(),
            squares: vec![0.0; scores.len()],
            lines: lines.iter().enumerate().map(line).collect(),
            accepted: menu.map(|_| Accepted::default()),
            flipped: 0,
            flips: Vec::new(),
        }
    }

    /// Adds a block that both sides have scored and decided.
    pub(super) fn add(
        &mut self,
        block: &Block,
        reference: &Player,
        other: &Player,
        menu: Option<&CompiledMenu>,
    ) {
        for (column, (score, squares)) in self.scores.iter_mut().zip(&mut self.squares).enumerate() {
            let sides =
                [reference, other].map(|player| &player.scorer.scores().column(column)[..block.len()]);
            for (event, (&a, &b)) in sides[0].iter().zip(sides[1]).enumerate() {
                if a.is_finite() && b.is_finite() {
                    *squares += score.add(a.into(), b.into(), || block.id(event));
                }
            }
        }
        let faulty = reference.scorer.faulty().iter().zip(other.scorer.faulty());
        let mut flipped: Vec<u64> = faulty.map(|(a, b)| a ^ b).collect();
        if let (Some(menu), Some(a), Some(b)) = (menu, &reference.decider, &other.decider) {
            for line in 0..menu.lines().len() {
                for (word, (&a, &b)) in a.passed(line).iter().zip(b.passed(line)).enumerate() {
                    let turned = a ^ b;
                    let counts = &mut self.lines[line];
                    counts.reference += u64::from(a.count_ones());
                    counts.other += u64::from(b.count_ones());
                    counts.flips += u64::from(turned.count_ones());
                    flipped[word] |= turned;
                    for event in (0..64).filter(|bit| turned >> bit & 1 == 1).map(|bit| word * 64 + bit) {
                        self.flip(block, event, line, menu, [reference, other]);
                    }
                }
            }
        }
        if let (Some(accepted), Some(a), Some(b)) = (&mut self.accepted, &reference.decider, &other.decider) {
            for (&a, &b) in a.kept_any().iter().zip(b.kept_any()) {
                accepted.reference += u64::from(a.count_ones());
                accepted.other += u64::from(b.count_ones());
                accepted.flips += u64::from((a ^ b).count_ones());
            }
        }
        self.flipped += flipped.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
    }

    /// Finds the comparison that changed; if several did, the one whose reference score was farthest from its number.
    fn flip(&mut self, block: &Block, event: usize, line: usize, menu: &CompiledMenu, sides: [&Player; 2]) {
        let turned = menu.thresholds(line).iter().enumerate().filter_map(|(index, threshold)| {
            let [a, b] = sides.map(|player| player.scorer.scores().column(threshold.score)[event]);
            let margin = (f64::from(a) - threshold.value).abs();
            (threshold.holds(a) != threshold.holds(b) && margin.is_finite()).then_some((index, a, b, margin))
        });
        let worst = turned.max_by(|one, other| one.3.total_cmp(&other.3));
        let counts = &mut self.lines[line];
        if let Some((.., margin)) = worst {
            counts.max_margin = Some(counts.max_margin.map_or(margin, |max| max.max(margin)));
        }
        if self.flips.len() < TOLD_MAX {
            self.flips.push(Flip {
                event: block.id(event),
                line: counts.name.clone(),
                threshold: worst.map(|(index, ..)| counts.thresholds[index].clone()),
                reference: worst.map(|(_, a, ..)| a),
                other: worst.map(|(_, _, b, _)| b),
                margin: worst.map(|(.., margin)| margin),
            });
        }
    }

    pub(super) fn finish(self, side: Side, events: u64) -> Contrast {
        let Self { mut scores, squares, lines, accepted, flipped, flips } = self;
        for (score, squares) in scores.iter_mut().zip(squares) {
            score.rms = (squares / score.events.max(1) as f64).sqrt();
        }
        let flipped_share = flipped as f64 / events.max(1) as f64;
        Contrast { side, scores, lines, accepted, flipped, flipped_share, flips }
    }
}

impl ScoreContrast {
    /// Adds an event and returns the square of its difference.
    fn add(&mut self, reference: f64, other: f64, event: impl FnOnce() -> u64) -> f64 {
        self.events += 1;
        let difference = (reference - other).abs();
        if difference > 0.0 {
            self.max = self.max.max(difference);
            if reference != 0.0 {
                self.max_relative = self.max_relative.max(difference / reference.abs());
            }
            let of_one = difference / reference.abs().max(1.0);
            if of_one > self.difference {
                (self.difference, self.event) = (of_one, Some(event()));
            }
        }
        difference * difference
    }

    /// Its difference in parts of what is allowed. With nothing allowed, any difference is infinitely many parts.
    fn of_allowed(&self) -> f64 {
        if self.difference == 0.0 { 0.0 } else { self.difference / self.allowed }
    }
}

impl Contrast {
    /// The score that is farthest off, in parts of what is allowed.
    pub fn worst_score(&self) -> Option<&ScoreContrast> {
        self.scores.iter().max_by(|a, b| a.of_allowed().total_cmp(&b.of_allowed()))
    }

    /// The gates that are not met, one sentence each.
    pub(super) fn misses(&self, reference: &str, gates: Gates) -> Vec<String> {
        let mut misses = Vec::new();
        let sides = format!("{reference} and {}", self.side.name);
        if let Some(worst) = self.worst_score().filter(|score| score.difference > score.allowed) {
            let ScoreContrast { name, difference, allowed, event, .. } = worst;
            let event = event.unwrap_or_default();
            misses.push(format!(
                "{sides}: {name} differs by {difference:.2e} (event {event}), at most {allowed:e} is allowed"
            ));
        }
        if self.flipped_share > gates.flips {
            let flipped = self.flipped;
            let share = self.flipped_share;
            let most = gates.flips;
            misses.push(format!(
                "{sides}: {flipped} events are decided differently, a share of {share:.2e}; at most {most:e} is allowed"
            ));
        }
        misses
    }
}

/// The thresholds of a line with the names of their scores.
fn thresholds(menu: Option<&CompiledMenu>, line: usize, scores: &[String]) -> Vec<String> {
    let thresholds = menu.map(|menu| menu.thresholds(line)).unwrap_or_default();
    thresholds.iter().map(|t| format!("{} {} {}", scores[t.score], t.symbol(), t.value)).collect()
}
