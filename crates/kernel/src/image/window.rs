//! Finds the numbers that the windows of a layer read.
//!
//! ```text
//!   before        size
//!   |-----|-------------------|
//!   [k . k . k]                     window 0: kernel 3, dilation 2; two of its numbers lie before the image
//!         [k . k . k]               window 1, one stride further
//! ```

/// A run of contiguous inputs with contiguous weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub input: u32,
    pub weight: u32,
    pub len: u32,
}

/// The pieces that a sum at one place reads.
pub(super) type Place = Box<[Piece]>;

/// Windows along one axis of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageAxis {
    /// Size of the image along the axis.
    pub size: usize,
    /// Numbers that a window covers, including those beyond the image.
    pub kernel: usize,
    /// Distance between the beginnings of adjacent windows.
    pub stride: usize,
    /// Distance between adjacent numbers of a window; 1 if they are contiguous.
    pub dilation: usize,
    /// How far before the image the first window begins.
    pub before: usize,
    /// Number of windows.
    pub windows: usize,
}

impl ImageAxis {
    /// An axis of one number: the height of a one-dimensional image.
    pub const FLAT: Self = Self { size: 1, kernel: 1, stride: 1, dilation: 1, before: 0, windows: 1 };

    /// The numbers of the image that a window reads: index in the window, index in the image.
    pub(super) fn reads(self, window: usize) -> impl Iterator<Item = (usize, usize)> {
        let place = move |tap: usize| (window * self.stride + tap * self.dilation).checked_sub(self.before);
        (0..self.kernel)
            .filter_map(move |tap| Some((tap, place(tap)?)))
            .filter(move |&(_, at)| at < self.size)
    }
}

/// The places of the image that each window reads, row by row.
pub(super) fn places([height, width]: &[ImageAxis; 2]) -> Vec<Vec<usize>> {
    let window = |window: usize| {
        let down = window / width.windows;
        let across = window % width.windows;
        let row = move |(_, y)| width.reads(across).map(move |(_, x)| y * width.size + x);
        height.reads(down).flat_map(row).collect()
    };
    (0..height.windows * width.windows).map(window).collect()
}

/// The memory order of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// All places of a channel, then the next channel: the order of the caller's inputs.
    ByChannel,
    /// All channels of a place, then the next place.
    ByPlace,
}

/// The layout of an image that windows read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub channels: usize,
    pub axes: [ImageAxis; 2],
    pub order: Order,
}

impl Layout {
    /// The row of a channel at a place.
    pub fn row(&self, channel: usize, place: usize) -> usize {
        match self.order {
            Order::ByChannel => channel * self.axes[0].size * self.axes[1].size + place,
            Order::ByPlace => place * self.channels + channel,
        }
    }

    /// Index of a weight among the [`turned`](Self::turned) weights of an output that reads `channels` channels.
    fn weight(&self, channels: usize, channel: usize, tap: usize) -> usize {
        match self.order {
            Order::ByChannel => channel * self.axes[0].kernel * self.axes[1].kernel + tap,
            Order::ByPlace => tap * channels + channel,
        }
    }

    /// Weights `[..][channel][tap]`, reordered to match the image.
    pub fn turned(&self, channels: usize, weight: &[f32]) -> Vec<f32> {
        let taps = self.axes[0].kernel * self.axes[1].kernel;
        let mut turned = vec![0.0; weight.len()];
        for (from, to) in weight.chunks_exact(channels * taps).zip(turned.chunks_exact_mut(channels * taps)) {
            for (at, &weight) in from.iter().enumerate() {
                to[self.weight(channels, at / taps, at % taps)] = weight;
            }
        }
        turned
    }

    /// The pieces that a window reads of the first `channels` channels: ascending and as long as possible.
    pub fn pieces(&self, channels: usize, window: usize) -> Place {
        let [height, width] = self.axes;
        let down = window / width.windows;
        let across = window % width.windows;
        let taps = height.reads(down).flat_map(|(tap_y, y)| {
            width.reads(across).map(move |(tap_x, x)| (tap_y * width.kernel + tap_x, y * width.size + x))
        });
        let taps: Vec<(usize, usize)> = taps.collect();
        let read = |channel, (tap, place)| (self.row(channel, place), self.weight(channels, channel, tap));
        let reads: Vec<(usize, usize)> = match self.order {
            Order::ByChannel => {
                (0..channels).flat_map(|channel| taps.iter().map(move |&tap| read(channel, tap))).collect()
            }
            Order::ByPlace => {
                taps.iter().flat_map(|&tap| (0..channels).map(move |channel| read(channel, tap))).collect()
            }
        };
        let mut pieces: Vec<Piece> = Vec::new();
        for (input, weight) in reads.into_iter().map(|(input, weight)| (input as u32, weight as u32)) {
            match pieces.last_mut() {
                Some(piece) if (piece.input + piece.len, piece.weight + piece.len) == (input, weight) => {
                    piece.len += 1;
                }
                _ => pieces.push(Piece { input, weight, len: 1 }),
            }
        }
        pieces.into()
    }
}
