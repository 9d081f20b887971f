//! Rows as bytes, with a proven bound on what is lost.
//!
//! A row x is kept as x̂ = scale × codes, codes from -127 to 127, beside the residual |x − x̂|. A
//! query is quantised alike. Since q·x = q̂·x̂ + q̂·(x − x̂) + (q − q̂)·x, the Cauchy–Schwarz
//! inequality gives
//!
//! ```text
//! |q·x − q̂·x̂|  ≤  |q̂| |x − x̂|  +  |q − q̂| |x|
//! ```
//!
//! and q̂·x̂ is an exact integer times two scales. A row whose upper bound stays below what is
//! already found need not be looked at in full. At 64 factors the two terms are each about 0.6 %
//! of |q| |x|, for a quarter of the bytes to read.

use crate::lanes::{
    CpuPath, LANES, Line,
    int8::{CodeKernel, CodeLanes, CodeLine, ELEMENTS, Limit, run_codes},
};

/// Panels of 16 rows that are summed side by side. Chosen: as many independent chains hide the
/// latency of a byte product, and their sums leave AVX2 registers to spare.
pub(super) const PANELS_AT_ONCE: usize = 4;

/// Greatest code.
const CODE_MAX: f64 = 127.0;

/// What a computed score may exceed the true one by, relative to |q| |x|: 68 rounded operations
/// at 1024 factors are 4e-6, and the bound's own few are less.
const SCORE_MARGIN: f64 = 1e-5;

/// What a stored norm may fall short of the true one by, relatively and absolutely: they are
/// checked to [`super::NORM_TOLERANCE`] and the grain of subnormal numbers.
const NORM_MARGIN: f64 = 1.0 + 1e-4;
const NORM_GRAIN: f64 = 3e-45;

/// What a score loses where its products underflow: 1024 of them at most 2e-42.
const UNDERFLOW: f64 = 1e-40;

/// Rows quantised to bytes, in panels of 16.
#[derive(Clone, Debug, Default)]
pub(super) struct Codes {
    /// Panel after panel, each of [`Self::lines`] lines.
    codes: Vec<CodeLine>,
    /// Of each panel: scales, then residuals rounded up.
    numbers: Vec<[Line; 2]>,
    /// Lines of a panel: a quarter of the row length, rounded up.
    lines: usize,
}

impl Codes {
    /// Room for rows of `cols` elements.
    pub(super) fn with_capacity(rows: usize, cols: usize) -> Self {
        let (panels, lines) = (rows.div_ceil(LANES), cols.div_ceil(ELEMENTS));
        Self {
            codes: Vec::with_capacity(panels * lines),
            numbers: Vec::with_capacity(panels),
            lines,
        }
    }

    /// Quantises up to 16 rows into the next panel; missing ones are zeros. Plain
    /// operations in f64, so every CPU writes the same bytes.
    pub(super) fn push_panel<'a>(&mut self, rows: impl Iterator<Item = &'a [f32]>) {
        let start = self.codes.len();
        self.codes.resize(start + self.lines, CodeLine::ZERO);
        let panel = &mut self.codes[start..];
        let mut numbers = [Line::ZERO; 2];
        for (lane, row) in rows.enumerate() {
            let scale = scale_of(row) as f32;
            let inverse = if scale > 0.0 {
                1.0 / f64::from(scale)
            } else {
                0.0
            };
            let mut lost = [0.0f64; ELEMENTS];
            for (line, elements) in panel.iter_mut().zip(row.chunks(ELEMENTS)) {
                let codes = &mut line.0[lane * ELEMENTS..][..ELEMENTS];
                for ((x, code), lost) in elements.iter().zip(codes).zip(&mut lost) {
                    // Rounded half up; the cast saturates.
                    *code = (f64::from(*x) * inverse + 128.5) as u8;
                    let kept = f64::from(scale) * (f64::from(*code) - 128.0);
                    *lost += (f64::from(*x) - kept) * (f64::from(*x) - kept);
                }
            }
            let lost = (lost[0] + lost[1]) + (lost[2] + lost[3]);
            numbers[0].0[lane] = scale;
            numbers[1].0[lane] = rounded_up(lost.sqrt() * NORM_MARGIN);
        }
        self.numbers.push(numbers);
    }

    /// Sums of up to [`PANELS_AT_ONCE`] panels from panel `start` on, and which of their rows
    /// reach `threshold`.
    pub(super) fn scan(
        &self,
        path: CpuPath,
        start: usize,
        query: &QueryCodes,
        threshold: f32,
    ) -> Block {
        let panels = PANELS_AT_ONCE.min(self.numbers.len() - start);
        run_codes(
            path,
            Scan {
                codes: &self.codes[start * self.lines..][..panels * self.lines],
                numbers: &self.numbers[start..][..panels],
                query,
                threshold,
            },
        )
    }

    /// Lower and upper bound of the score of one row, as multiples of the query's scale.
    pub(super) fn bounds(&self, at: usize, sum: i32, query: &QueryCodes, slack: f64) -> [f32; 2] {
        let [_, Line(residuals)] = &self.numbers[at / LANES];
        let estimate = self.estimate(at, sum);
        let slack = slack + f64::from(residuals[at % LANES]) * f64::from(query.weight);
        [-rounded_up(slack - estimate), rounded_up(estimate + slack)]
    }

    /// What lies between the two.
    pub(super) fn estimate(&self, at: usize, sum: i32) -> f64 {
        let [Line(scales), _] = &self.numbers[at / LANES];
        f64::from(sum) * f64::from(scales[at % LANES])
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&self.codes[..]) + size_of_val(&self.numbers[..])
    }
}

/// A query as codes; everything but the codes is a multiple of its scale, so that neither huge
/// nor tiny queries leave the range of f32.
#[derive(Clone, Debug, Default)]
pub(super) struct QueryCodes {
    codes: Vec<[i8; ELEMENTS]>,
    /// 128 times the sum of the codes: what the offset of the rows' codes adds to every sum.
    offset: i32,
    /// |q̂|, rounded up.
    weight: f32,
    /// |q|.
    norm: f64,
    /// |q − q̂| and what rounding adds, per unit of a row's norm.
    slack: f64,
    /// What underflow adds.
    underflow: f64,
}

impl QueryCodes {
    /// Quantises `query`.
    pub(super) fn quantise(&mut self, query: &[f32]) {
        let scale = scale_of(query);
        // A query of zeros scores zero everywhere: any scale will do.
        let scale = if scale > 0.0 { scale } else { 1.0 };
        self.codes.clear();
        self.codes
            .resize(query.len().div_ceil(ELEMENTS), [0; ELEMENTS]);
        let (mut sum, mut squares, mut lost) = (0, 0, 0.0);
        for (codes, elements) in self.codes.iter_mut().zip(query.chunks(ELEMENTS)) {
            for (code, x) in codes.iter_mut().zip(elements) {
                let ratio = f64::from(*x) / scale;
                *code = ((ratio + 128.5) as u8).wrapping_sub(128) as i8;
                sum += i32::from(*code);
                squares += i32::from(*code) * i32::from(*code);
                lost += (ratio - f64::from(*code)) * (ratio - f64::from(*code));
            }
        }
        self.offset = 128 * sum;
        self.weight = rounded_up(f64::from(squares).sqrt());
        self.norm = norm(query) / scale;
        self.slack = (lost.sqrt() + self.norm * SCORE_MARGIN) * NORM_MARGIN;
        self.underflow = UNDERFLOW / scale + UNDERFLOW;
    }

    /// What no score of a row of at most this norm exceeds.
    pub(super) fn reach(&self, norm: f32) -> f64 {
        self.norm * (f64::from(norm) * NORM_MARGIN + NORM_GRAIN) + self.underflow
    }

    /// What the score of a row of at most this norm may exceed q̂·x̂ + |q̂| |x − x̂| by.
    pub(super) fn slack(&self, norm: f32) -> f64 {
        self.slack * (f64::from(norm) + NORM_GRAIN) + self.underflow
    }
}

/// What a scan of some panels gives.
pub(super) struct Block {
    pub(super) sums: [[i32; LANES]; PANELS_AT_ONCE],
    /// One bit a row.
    pub(super) reaches: [u16; PANELS_AT_ONCE],
}

struct Scan<'a> {
    codes: &'a [CodeLine],
    numbers: &'a [[Line; 2]],
    query: &'a QueryCodes,
    threshold: f32,
}

impl CodeKernel for Scan<'_> {
    type Output = Block;

    #[inline(always)]
    fn run<L: CodeLanes>(self, lanes: L) -> Block {
        let lines = self.query.codes.len();
        let mut block = Block {
            sums: [[0; LANES]; PANELS_AT_ONCE],
            reaches: [0; PANELS_AT_ONCE],
        };
        if self.numbers.len() == PANELS_AT_ONCE {
            let panels: [&[CodeLine]; PANELS_AT_ONCE] =
                std::array::from_fn(|panel| &self.codes[panel * lines..][..lines]);
            let mut sums = [lanes.zero(); PANELS_AT_ONCE];
            for (line, query) in self.query.codes.iter().enumerate() {
                for (sums, panel) in sums.iter_mut().zip(panels) {
                    *sums = lanes.add(*sums, &panel[line], *query);
                }
            }
            for (sums, out) in sums.into_iter().zip(&mut block.sums) {
                lanes.store(sums, self.query.offset, out);
            }
        } else {
            for (panel, out) in self.codes.chunks(lines.max(1)).zip(&mut block.sums) {
                let mut sums = lanes.zero();
                for (codes, query) in panel.iter().zip(&self.query.codes) {
                    sums = lanes.add(sums, codes, *query);
                }
                lanes.store(sums, self.query.offset, out);
            }
        }
        let limit = Limit {
            weight: self.query.weight,
            threshold: self.threshold,
        };
        for ((numbers, sums), mask) in self.numbers.iter().zip(&block.sums).zip(&mut block.reaches)
        {
            *mask = lanes.reaches(sums, numbers, limit);
        }
        block
    }
}

/// Euclidean norm in f64: no row of f32 can overflow it or vanish in it. Eight partial sums in
/// fixed order, plain multiplications and additions, so every CPU computes the same.
pub(crate) fn norm(row: &[f32]) -> f64 {
    let mut sums = [0.0f64; 8];
    for chunk in row.chunks(sums.len()) {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(*x) * f64::from(*x);
        }
    }
    sums.iter().sum::<f64>().sqrt()
}

/// The step between two codes: the greatest magnitude has the greatest code.
fn scale_of(row: &[f32]) -> f64 {
    let greatest = row.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    f64::from(greatest) / CODE_MAX
}

/// The least f32 that is certainly not below.
pub(super) fn rounded_up(x: f64) -> f32 {
    (x as f32).next_up()
}
