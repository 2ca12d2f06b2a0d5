//! The decide loop.
//!
//! ```text
//!   block   | tile 0 (256 events) | tile 1 | ... |
//!              | the sieve: turns cuts on integers into bits, in one pass over the records
//!              | for every step of the program: one kernel over the tile
//!              v
//!           condition of line k --and not skip--> passed[k] --prescale by hash--> kept[k] --or--> kept_any
//! ```
//!
//! * I1: the bits of an event depend on its bytes, its id, its scores, the run and the menu; not on its neighbours or its place in the block.
//! * I2: bits beyond the last event are 0 in every set.
//!
//! Threads: a [`Decider`] is the scratch memory of one worker.
//!
//! Cost: no allocation after [`Decider::new`]. The 13 lines of `l1.toml` take 17 ns per event with AVX2 (Zen 3, 2026-11-27, with other
//! programs running); one pass over the records per number took 37 ns.

use std::mem;
use std::sync::Arc;

use tamis_event::{Block, ScoreTable};
use tamis_kernel::{Loops, Vectors};

use crate::compile::CompiledMenu;
use crate::integers::IntegerLanes;
use crate::kernels::{self, Bits, LANES, Lanes, StepInput, TILE, TILE_WORDS};
use crate::lottery::{self, Lottery};
use crate::pieces::{Cursor, Piece, SieveResults};
use crate::program::{Instruction, Operand};

/// In a tile with at most this many events to draw, each is drawn by itself, otherwise all together.
const DRAWN_ONE_BY_ONE_MAX: usize = TILE / 4;

/// Decides blocks of events by one menu.
#[derive(Debug)]
pub struct Decider {
    menu: Arc<CompiledMenu>,
    capacity: usize,
    vectors: Vectors,
    scratch: Scratch,
    verdicts: Verdicts,
}

/// Registers of the program, and the memory of the sieve.
#[derive(Debug)]
pub(crate) struct Scratch {
    found: SieveResults,
    /// Each in a `Vec`, which can be taken out for a moment without an allocation.
    pub(crate) columns: Vec<Vec<Lanes>>,
    pub(crate) integers: Vec<Vec<IntegerLanes>>,
    pub(crate) masks: Vec<Bits>,
    /// The position of each event of the tile in the hash sequence ([`lottery::position`]).
    positions: Box<[[u64; LANES]; TILE_WORDS]>,
    /// Stretches of the tile that are contiguous in memory; at most one per event.
    pub(crate) pieces: Vec<Piece>,
}

/// The bits of the last block.
#[derive(Debug)]
struct Verdicts {
    /// Words in use per set.
    words: usize,
    /// Words allocated per set.
    stride: usize,
    /// One set per line.
    passed: Vec<u64>,
    kept: Vec<u64>,
    kept_any: Vec<u64>,
    undecided: Vec<u64>,
}

/// Up to [`TILE`] consecutive events of a block, decided together.
#[derive(Clone, Copy)]
struct EventTile {
    /// Index in the block of the first event; a multiple of 64.
    start: usize,
    events: usize,
}

impl EventTile {
    fn words(self) -> usize {
        self.events.div_ceil(LANES)
    }

    /// The events of the tile that exist and are not in `skip`, the bits of the whole block.
    fn decided(self, skip: &[u64]) -> Bits {
        let mut decided = [0; TILE_WORDS];
        for (word, decided) in decided.iter_mut().enumerate().take(self.words()) {
            let left = self.events - word * LANES;
            let exist = if left < LANES { (1 << left) - 1 } else { u64::MAX };
            *decided = exist & !skip[self.start / LANES + word];
        }
        decided
    }
}

impl Decider {
    /// Scratch memory of one worker, for blocks of at most `capacity` events.
    pub fn new(menu: Arc<CompiledMenu>, capacity: usize) -> Self {
        let stride = capacity.div_ceil(LANES);
        let lines = menu.lines().len();
        let scratch = Scratch {
            found: SieveResults::new(menu.program()),
            columns: vec![vec![[0.0; LANES]; TILE_WORDS]; menu.program().columns],
            integers: vec![vec![[0; LANES]; TILE_WORDS]; menu.program().integers],
            masks: vec![[0; TILE_WORDS]; menu.program().masks],
            positions: Box::new([[0; LANES]; TILE_WORDS]),
            pieces: Vec::with_capacity(TILE),
        };
        let (passed, kept) = (vec![0; lines * stride], vec![0; lines * stride]);
        let verdicts = Verdicts {
            words: 0,
            stride,
            passed,
            kept,
            kept_any: vec![0; stride],
            undecided: vec![0; stride],
        };
        Self { menu, capacity, vectors: Vectors::best(), scratch, verdicts }
    }

    /// Decides every event of `block`, except those whose bit is set in `skip` (bit `i % 64` of word `i / 64` is event `i`): they get no bits.
    ///
    /// # Panics
    /// If the block holds more events than the decider's capacity or records of another length than its schema's, or if `scores` or `skip`
    /// are too small for it: the caller made all of them for the same menu.
    pub fn decide(&mut self, block: &Block, scores: &ScoreTable, skip: &[u64]) {
        let Self { menu, capacity, vectors, scratch, verdicts } = self;
        let events = block.len();
        assert!(events <= *capacity, "{events} events, but the decider was made for {capacity}");
        assert!(
            events == 0 || block.stride() == menu.record_len(),
            "the block has records of another schema"
        );
        assert!(events == 0 || scores.columns() >= menu.scores(), "a score column is missing");
        assert!(menu.scores() == 0 || scores.capacity() >= events, "the score table is too short");
        verdicts.words = events.div_ceil(LANES);
        assert!(skip.len() >= verdicts.words, "the skip bits are too short");
        verdicts.kept_any.fill(0);
        verdicts.undecided.fill(0);
        vectors.run(Tiles { menu, scratch, verdicts, block, scores, skip });
    }

    /// Bit `i` = event `i` of the last block met the condition of the line. One word per 64 events of the block.
    pub fn passed(&self, line: usize) -> &[u64] {
        self.verdicts.set(&self.verdicts.passed, line)
    }

    /// Bit `i` = event `i` passed the line and its prescale.
    pub fn kept(&self, line: usize) -> &[u64] {
        self.verdicts.set(&self.verdicts.kept, line)
    }

    /// Bit `i` = at least one line keeps event `i`.
    pub fn kept_any(&self) -> &[u64] {
        &self.verdicts.kept_any[..self.verdicts.words]
    }

    /// Bit `i` = event `i` is not decided, because a field that a line reads is NaN, or a line depends on a number that became NaN. It has
    /// no other bits.
    pub fn undecided(&self) -> &[u64] {
        &self.verdicts.undecided[..self.verdicts.words]
    }

    /// The line bits of one event, for its decision record: bit `k % 64` of word `k / 64` belongs to line `k`.
    ///
    /// # Panics
    /// If the event is not in the last block, or a slice is not [`CompiledMenu::words`] long.
    pub fn event_words(&self, event: usize, passed: &mut [u64], kept: &mut [u64]) {
        let words = self.menu.words();
        assert!(passed.len() == words && kept.len() == words, "{words} words of line bits");
        passed.fill(0);
        kept.fill(0);
        let word = event / LANES;
        let bit = event % LANES;
        for line in 0..self.menu.lines().len() {
            let to_word = line / 64;
            let to_bit = line % 64;
            passed[to_word] |= (self.passed(line)[word] >> bit & 1) << to_bit;
            kept[to_word] |= (self.kept(line)[word] >> bit & 1) << to_bit;
        }
    }

    /// Bit `s` = stream `s` gets the event, because a line of that stream keeps it.
    ///
    /// # Panics
    /// If the event is not in the last block.
    pub fn event_streams(&self, event: usize) -> u64 {
        let word = event / LANES;
        let bit = event % LANES;
        let lines = 0..self.menu.lines().len();
        let kept = lines.filter(|&line| self.kept(line)[word] >> bit & 1 == 1);
        kept.fold(0, |streams, line| streams | self.menu.stream_bits(line))
    }
}

/// The loop over all tiles of a block, compiled with everything it inlines once per instruction set worth having.
struct Tiles<'a> {
    menu: &'a CompiledMenu,
    scratch: &'a mut Scratch,
    verdicts: &'a mut Verdicts,
    block: &'a Block,
    scores: &'a ScoreTable,
    skip: &'a [u64],
}

impl Loops for Tiles<'_> {
    #[inline(always)]
    fn run(self) {
        let Self { menu, scratch, verdicts, block, scores, skip } = self;
        let events = block.len();
        let mut cursor = Cursor::default();
        for start in (0..events).step_by(TILE) {
            let tile = EventTile { start, events: TILE.min(events - start) };
            cursor.cut(block, tile.events, &mut scratch.pieces);
            scratch.found.sift(menu.program(), block, &scratch.pieces);
            if menu.draws() {
                scratch.place_events(block);
            }
            let mut decided = tile.decided(skip);
            if let Some(section) = &menu.program().undecided {
                for step in &section.steps {
                    scratch.run(step, block, scores, tile);
                }
                let unknown = scratch.masks[section.condition];
                let undecided = std::array::from_fn(|word| unknown[word] & decided[word]);
                verdicts.leave(tile, undecided);
                decided = std::array::from_fn(|word| decided[word] & !undecided[word]);
            }
            for (line, section) in menu.program().sections.iter().enumerate() {
                for step in &section.steps {
                    scratch.run(step, block, scores, tile);
                }
                let condition = scratch.masks[section.condition];
                let passed = std::array::from_fn(|word| condition[word] & decided[word]);
                let kept = match menu.prescale(line) {
                    Some(lottery) => scratch.draw(lottery, block.run(), passed),
                    None => passed,
                };
                verdicts.enter(tile, line, passed, kept);
            }
        }
    }
}

impl Verdicts {
    fn set<'a>(&self, sets: &'a [u64], line: usize) -> &'a [u64] {
        &sets[line * self.stride..][..self.words]
    }

    /// Marks the events of a tile that no line decides.
    #[inline(always)]
    fn leave(&mut self, tile: EventTile, undecided: Bits) {
        let first = tile.start / LANES;
        self.undecided[first..first + tile.words()].copy_from_slice(&undecided[..tile.words()]);
    }

    /// Stores the verdict of a line on a tile.
    #[inline(always)]
    fn enter(&mut self, tile: EventTile, line: usize, passed: Bits, kept: Bits) {
        let first = tile.start / LANES;
        for word in 0..tile.words() {
            let at = line * self.stride + first + word;
            self.passed[at] = passed[word];
            self.kept[at] = kept[word];
            self.kept_any[first + word] |= kept[word];
        }
    }
}

impl Scratch {
    /// Fills `positions` for the events of `pieces`.
    #[inline(always)]
    fn place_events(&mut self, block: &Block) {
        let positions = self.positions.as_flattened_mut();
        for piece in &self.pieces {
            for (position, id) in positions[piece.tile()].iter_mut().zip(piece.ids(block)) {
                *position = lottery::position(id);
            }
        }
    }

    #[inline(always)]
    fn run(&mut self, step: &Instruction, block: &Block, scores: &ScoreTable, tile: EventTile) {
        match *step {
            Instruction::Load { into, element } => {
                let out = self.columns[into].as_flattened_mut();
                for piece in &self.pieces {
                    kernels::load(&mut out[piece.tile()], piece.records(block), block.stride(), element);
                }
            }
            Instruction::Physical { into, sum, scale, offset } => {
                let out = self.columns[into].as_flattened_mut();
                kernels::physical(out, self.found.sum(sum), scale, offset);
            }
            Instruction::Score { into, score } => {
                let values = &scores.column(score)[tile.start..][..tile.events];
                kernels::widen(self.columns[into].as_flattened_mut(), values);
            }
            Instruction::PayloadLen { into } => {
                let out = self.columns[into].as_flattened_mut();
                for piece in &self.pieces {
                    let lens = piece.payload_lens(block);
                    out[piece.tile()].iter_mut().zip(lens).for_each(|(out, len)| *out = len.into());
                }
            }
            Instruction::Absolute { into, of } => {
                self.write(
                    into,
                    #[inline(always)]
                    |scratch, out| kernels::absolute(out, scratch.column(of)),
                );
            }
            Instruction::Negate { into, of } => {
                self.write(
                    into,
                    #[inline(always)]
                    |scratch, out| kernels::negate(out, scratch.column(of)),
                );
            }
            Instruction::Single { into, of } => {
                self.write(
                    into,
                    #[inline(always)]
                    |scratch, out| kernels::single(out, scratch.column(of)),
                );
            }
            Instruction::Combine { into, arithmetic, a, b } => self.write(
                into,
                #[inline(always)]
                |scratch, out| {
                    kernels::combine(out, arithmetic, scratch.input(a), scratch.input(b));
                },
            ),
            Instruction::Select { into, condition, a, b } => self.write(
                into,
                #[inline(always)]
                |scratch, out| {
                    kernels::select(out, scratch.masks[condition], scratch.input(a), scratch.input(b));
                },
            ),
            Instruction::Count { into, ref of } => self.write(
                into,
                #[inline(always)]
                |scratch, out| {
                    kernels::count(out, &scratch.masks, of);
                },
            ),
            Instruction::Truth { into, value } => {
                self.masks[into] = [if value { u64::MAX } else { 0 }; TILE_WORDS];
            }
            Instruction::Within { into, cut } => self.masks[into] = self.found.passing(cut),
            Instruction::Counted { into, ref of, low, high } => {
                self.masks[into] = kernels::counted(&self.masks, of, low, high);
            }
            Instruction::Compare { into, comparison, a, b } => {
                self.masks[into] = kernels::compare(comparison, self.input(a), self.input(b));
            }
            Instruction::And { into, a, b } => {
                self.masks[into] = std::array::from_fn(|word| self.masks[a][word] & self.masks[b][word]);
            }
            Instruction::Or { into, a, b } => {
                self.masks[into] = std::array::from_fn(|word| self.masks[a][word] | self.masks[b][word]);
            }
            Instruction::Not { into, of } => self.masks[into] = self.masks[of].map(|word| !word),
            Instruction::Draw { into, lottery } => {
                self.masks[into] = self.draw(lottery, block.run(), [u64::MAX; TILE_WORDS]);
            }
            Instruction::Integers(ref step) => self.run_integers(step, block),
        }
    }

    /// The events in `among` that a lottery draws.
    #[inline(always)]
    fn draw(&self, lottery: Lottery, run: u32, among: Bits) -> Bits {
        let seed = lottery.seed(run);
        let events: u32 = among.iter().map(|word| word.count_ones()).sum();
        if events as usize > DRAWN_ONE_BY_ONE_MAX {
            let drawn = kernels::drawn(lottery, seed, &self.positions);
            return std::array::from_fn(|word| drawn[word] & among[word]);
        }
        std::array::from_fn(|word| lottery.draw(seed, &self.positions[word], among[word]))
    }

    /// Lets `f` fill a column while it reads others (program I2). Moves three words, allocates nothing.
    #[inline(always)]
    fn write(&mut self, into: usize, f: impl FnOnce(&Self, &mut [Lanes; TILE_WORDS])) {
        let mut out = mem::take(&mut self.columns[into]);
        f(self, out.first_chunk_mut().expect("as long as a tile"));
        self.columns[into] = out;
    }

    #[inline(always)]
    fn column(&self, column: usize) -> &[Lanes; TILE_WORDS] {
        self.columns[column].first_chunk().expect("as long as a tile")
    }

    #[inline(always)]
    fn input(&self, operand: Operand) -> StepInput<'_> {
        match operand {
            Operand::Column(column) => StepInput::Column(self.column(column)),
            Operand::Constant(value) => StepInput::Constant(value),
        }
    }
}
