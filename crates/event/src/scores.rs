//! Model scores of a block: one column per score.

/// Scores of up to `capacity` events, stored column by column.
///
/// ```text
///   column 0: | event 0 | event 1 | ... | event capacity-1 |
///   column 1: | ...
/// ```
///
/// Columns, because the menu reads one score of many events at a time. Allocated once, reused for every block.
#[derive(Clone, Debug)]
pub struct ScoreTable {
    values: Vec<f32>,
    capacity: usize,
}

impl ScoreTable {
    /// A table of zeros for `columns` scores of at most `capacity` events.
    pub fn new(columns: usize, capacity: usize) -> Self {
        Self { values: vec![0.0; columns * capacity], capacity }
    }

    /// Number of score columns.
    pub fn columns(&self) -> usize {
        self.values.len().checked_div(self.capacity).unwrap_or(0)
    }

    /// Events that fit.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// One score of every event.
    pub fn column(&self, index: usize) -> &[f32] {
        &self.values[index * self.capacity..][..self.capacity]
    }

    /// The columns `first..first + count`, mutable, each `capacity` long.
    pub fn columns_mut(&mut self, first: usize, count: usize) -> impl Iterator<Item = &mut [f32]> {
        self.values[first * self.capacity..][..count * self.capacity].chunks_exact_mut(self.capacity.max(1))
    }
}
