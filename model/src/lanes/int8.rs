//! Sixteen i32 sums of byte products, and hints to the memory system.
//!
//! The rows' codes are bytes offset by 128 and the query's are signed: so `vpdpbusd` takes them as
//! they are, and the offset costs one constant a query. Without VNNI bytes are widened to i16 and
//! summed by `vpmaddwd`; `vpmaddubsw` would saturate. Sums are exact integers, so every path gives
//! the same. Like its parent, this file must not know what is being computed.

#![allow(unsafe_code)] // The breach that CONVENTIONS.md allows: SIMD kernels.

use bytemuck::{Pod, Zeroable};

use super::{CpuPath, LANES, Line};

/// Elements of one lane that a line of codes holds.
pub(crate) const ELEMENTS: usize = 4;

/// Four codes of each of sixteen lanes: code `4 × lane + element`, offset by 128.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct CodeLine(pub(crate) [u8; LANES * ELEMENTS]);

impl CodeLine {
    /// Sixty-four times the code of zero.
    pub(crate) const ZERO: Self = Self([128; LANES * ELEMENTS]);
}

/// Integer sums on [`LANES`] lanes. A value of an implementing type is proof that the CPU has the
/// instructions, so the methods are safe.
pub(crate) trait CodeLanes: Copy {
    /// The sums in registers.
    type Sums: Copy;
    /// Sixteen zeros.
    fn zero(self) -> Self::Sums;
    /// Adds to each lane the products of its four codes, offset included, with `query`. The
    /// greatest sum of 1024 elements is 2^25.
    fn add(self, sums: Self::Sums, codes: &CodeLine, query: [i8; ELEMENTS]) -> Self::Sums;
    /// Takes `offset` from each lane and writes the lanes.
    fn store(self, sums: Self::Sums, offset: i32, to: &mut [i32; LANES]);
    /// One bit per lane, the lowest for lane 0: whether `sum × scale + residual × weight` is not
    /// below `threshold`, the sum converted to f32, the product rounded, then one fused
    /// multiply-add.
    fn reaches(self, sums: &[i32; LANES], row: &[Line; 2], limit: Limit) -> u16;
}

/// What sums are compared with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    /// Weight of the second line of a row's numbers, the residuals.
    pub(crate) weight: f32,
    /// What must be reached.
    pub(crate) threshold: f32,
}

/// A computation over code lanes; implementations mark `run` `#[inline(always)]`.
pub(crate) trait CodeKernel {
    /// What it returns.
    type Output;
    /// Computes.
    fn run<L: CodeLanes>(self, lanes: L) -> Self::Output;
}

/// Runs a kernel on the best of what `path` stands for and this machine has.
#[inline]
pub(crate) fn run_codes<K: CodeKernel>(path: CpuPath, kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    {
        if path == CpuPath::Avx512 && is_x86_feature_detected!("avx512bw") {
            if is_x86_feature_detected!("avx512vnni") {
                // SAFETY: the CPU has AVX-512BW, which contains F, and VNNI; it was just asked.
                return unsafe { x86::run_vnni(kernel) };
            }
            // SAFETY: the CPU has AVX-512BW, which contains F; it was just asked.
            return unsafe { x86::run_avx512(kernel) };
        }
        if path != CpuPath::Portable
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
        {
            // SAFETY: the CPU has AVX2 and FMA; it was just asked.
            return unsafe { x86::run_avx2(kernel) };
        }
    }
    let _ = path;
    kernel.run(Portable)
}

/// Asks for the cache lines of `numbers`, to be read soon. A hint: it changes no result.
#[inline(always)]
pub(crate) fn prefetch<T>(numbers: &[T]) {
    #[cfg(target_arch = "x86_64")]
    {
        let (start, bytes) = (numbers.as_ptr().cast::<i8>(), size_of_val(numbers));
        for at in (0..bytes).step_by(size_of::<Line>()) {
            // SAFETY: SSE belongs to every x86-64 CPU; a prefetch reads nothing that a program
            // could see and faults on no address.
            unsafe {
                std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(
                    start.wrapping_add(at),
                );
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = numbers;
}

/// Plain Rust, one lane after the other.
#[derive(Clone, Copy)]
struct Portable;

impl CodeLanes for Portable {
    type Sums = [i32; LANES];

    #[inline(always)]
    fn zero(self) -> Self::Sums {
        [0; LANES]
    }

    #[inline(always)]
    fn add(self, sums: Self::Sums, codes: &CodeLine, query: [i8; ELEMENTS]) -> Self::Sums {
        let (codes, _) = codes.0.as_chunks::<ELEMENTS>();
        std::array::from_fn(|lane| {
            let products = codes[lane].iter().zip(query);
            products.fold(sums[lane], |sum, (code, query)| {
                sum + i32::from(*code) * i32::from(query)
            })
        })
    }

    #[inline(always)]
    fn store(self, sums: Self::Sums, offset: i32, to: &mut [i32; LANES]) {
        *to = sums.map(|sum| sum - offset);
    }

    #[inline(always)]
    fn reaches(self, sums: &[i32; LANES], row: &[Line; 2], limit: Limit) -> u16 {
        let [Line(scales), Line(residuals)] = row;
        (0..LANES).fold(0, |mask, lane| {
            let slack = residuals[lane] * limit.weight;
            let upper = (sums[lane] as f32).mul_add(scales[lane], slack);
            // Written so that NaN reaches, too: then the row is looked at in full.
            let is_below = upper < limit.threshold;
            mask | u16::from(!is_below) << lane
        })
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{CodeKernel, CodeLanes, CodeLine, ELEMENTS, LANES, Limit, Line};

    /// # Safety
    /// The CPU must have AVX-512F, AVX-512BW and AVX-512VNNI.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(super) unsafe fn run_vnni<K: CodeKernel>(kernel: K) -> K::Output {
        kernel.run(Wide::<true>(()))
    }

    /// # Safety
    /// The CPU must have AVX-512F and AVX-512BW.
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) unsafe fn run_avx512<K: CodeKernel>(kernel: K) -> K::Output {
        kernel.run(Wide::<false>(()))
    }

    /// # Safety
    /// The CPU must have AVX2 and FMA.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn run_avx2<K: CodeKernel>(kernel: K) -> K::Output {
        kernel.run(Avx2(()))
    }

    /// Elements 0 and 2 of a query as a pair of i16, and elements 1 and 3.
    #[inline(always)]
    fn pairs(query: [i8; ELEMENTS]) -> [i32; 2] {
        let pair = |a: i8, b: i8| i32::from(a) & 0xffff | i32::from(b) << 16;
        [pair(query[0], query[2]), pair(query[1], query[3])]
    }

    /// Proof of AVX-512F and BW, and of VNNI where `VNNI`: made in `run_vnni` and `run_avx512`
    /// and nowhere else.
    #[derive(Clone, Copy)]
    struct Wide<const VNNI: bool>(());

    impl<const VNNI: bool> CodeLanes for Wide<VNNI> {
        type Sums = __m512i;

        #[inline(always)]
        fn zero(self) -> __m512i {
            // SAFETY: `self` proves AVX-512F.
            unsafe { _mm512_setzero_si512() }
        }

        #[inline(always)]
        fn add(self, sums: __m512i, codes: &CodeLine, query: [i8; ELEMENTS]) -> __m512i {
            // SAFETY: `self` proves AVX-512F, BW, and VNNI where it is used; the line holds the 64
            // bytes read.
            unsafe {
                let codes = _mm512_loadu_si512(codes.0.as_ptr().cast());
                if VNNI {
                    let query = _mm512_set1_epi32(i32::from_le_bytes(query.map(|x| x as u8)));
                    return _mm512_dpbusd_epi32(sums, codes, query);
                }
                let [even, odd] = pairs(query);
                let low = _mm512_and_si512(codes, _mm512_set1_epi16(0xff));
                let high = _mm512_srli_epi16::<8>(codes);
                let low = _mm512_madd_epi16(low, _mm512_set1_epi32(even));
                let high = _mm512_madd_epi16(high, _mm512_set1_epi32(odd));
                _mm512_add_epi32(sums, _mm512_add_epi32(low, high))
            }
        }

        #[inline(always)]
        fn store(self, sums: __m512i, offset: i32, to: &mut [i32; LANES]) {
            // SAFETY: `self` proves AVX-512F; the array holds the 64 bytes written.
            unsafe {
                let sums = _mm512_sub_epi32(sums, _mm512_set1_epi32(offset));
                _mm512_storeu_si512(to.as_mut_ptr().cast(), sums);
            }
        }

        #[inline(always)]
        fn reaches(self, sums: &[i32; LANES], row: &[Line; 2], limit: Limit) -> u16 {
            // SAFETY: `self` proves AVX-512F; each of the arrays holds the 64 bytes read.
            unsafe {
                let sums = _mm512_cvtepi32_ps(_mm512_loadu_si512(sums.as_ptr().cast()));
                let scale = _mm512_loadu_ps(row[0].0.as_ptr());
                let residual = _mm512_loadu_ps(row[1].0.as_ptr());
                let slack = _mm512_mul_ps(residual, _mm512_set1_ps(limit.weight));
                let upper = _mm512_fmadd_ps(sums, scale, slack);
                _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(upper, _mm512_set1_ps(limit.threshold))
            }
        }
    }

    /// Proof of AVX2 and FMA: made in `run_avx2` and nowhere else.
    #[derive(Clone, Copy)]
    struct Avx2(());

    impl CodeLanes for Avx2 {
        /// Lanes 0 to 7 and 8 to 15.
        type Sums = [__m256i; 2];

        #[inline(always)]
        fn zero(self) -> Self::Sums {
            // SAFETY: `self` proves AVX2.
            unsafe { [_mm256_setzero_si256(); 2] }
        }

        #[inline(always)]
        fn add(self, mut sums: Self::Sums, codes: &CodeLine, query: [i8; ELEMENTS]) -> Self::Sums {
            let (halves, _) = codes.0.as_chunks::<32>();
            // SAFETY: `self` proves AVX2; each half holds the 32 bytes read.
            unsafe {
                let [even, odd] = pairs(query).map(|pair| _mm256_set1_epi32(pair));
                for (sums, half) in sums.iter_mut().zip(halves) {
                    let codes = _mm256_loadu_si256(half.as_ptr().cast());
                    let low = _mm256_and_si256(codes, _mm256_set1_epi16(0xff));
                    let high = _mm256_srli_epi16::<8>(codes);
                    let low = _mm256_madd_epi16(low, even);
                    let high = _mm256_madd_epi16(high, odd);
                    *sums = _mm256_add_epi32(*sums, _mm256_add_epi32(low, high));
                }
            }
            sums
        }

        #[inline(always)]
        fn store(self, sums: Self::Sums, offset: i32, to: &mut [i32; LANES]) {
            let (halves, _) = to.as_chunks_mut::<8>();
            for (sums, half) in sums.into_iter().zip(halves) {
                // SAFETY: `self` proves AVX2; each half holds the 32 bytes written.
                unsafe {
                    let sums = _mm256_sub_epi32(sums, _mm256_set1_epi32(offset));
                    _mm256_storeu_si256(half.as_mut_ptr().cast(), sums);
                }
            }
        }

        #[inline(always)]
        fn reaches(self, sums: &[i32; LANES], row: &[Line; 2], limit: Limit) -> u16 {
            let mut mask = 0;
            for start in [0, 8] {
                // SAFETY: `self` proves AVX2 and FMA; eight numbers follow `start` in each array.
                unsafe {
                    let sums = _mm256_loadu_si256(sums[start..].as_ptr().cast());
                    let scale = _mm256_loadu_ps(row[0].0[start..].as_ptr());
                    let residual = _mm256_loadu_ps(row[1].0[start..].as_ptr());
                    let slack = _mm256_mul_ps(residual, _mm256_set1_ps(limit.weight));
                    let upper = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums), scale, slack);
                    let threshold = _mm256_set1_ps(limit.threshold);
                    let reached = _mm256_cmp_ps::<_CMP_NLT_UQ>(upper, threshold);
                    mask |= (_mm256_movemask_ps(reached) as u16) << start;
                }
            }
            mask
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Sum<'a>(&'a [CodeLine], &'a [[i8; ELEMENTS]]);

    impl CodeKernel for Sum<'_> {
        type Output = [i32; LANES];

        #[inline(always)]
        fn run<L: CodeLanes>(self, lanes: L) -> [i32; LANES] {
            let mut sums = lanes.zero();
            for (codes, query) in self.0.iter().zip(self.1) {
                sums = lanes.add(sums, codes, *query);
            }
            let mut out = [0; LANES];
            lanes.store(sums, 7, &mut out);
            out
        }
    }

    struct Reaches<'a>(&'a [i32; LANES], &'a [Line; 2], Limit);

    impl CodeKernel for Reaches<'_> {
        type Output = u16;

        #[inline(always)]
        fn run<L: CodeLanes>(self, lanes: L) -> u16 {
            lanes.reaches(self.0, self.1, self.2)
        }
    }

    proptest! {
        #[test]
        fn every_path_gives_the_same_integers_and_bits(
            codes in proptest::collection::vec(
                proptest::collection::vec(prop_oneof![any::<u8>(), Just(255)], 64), 0..40),
            query in proptest::collection::vec(
                proptest::array::uniform4(prop_oneof![any::<i8>(), Just(127), Just(-128)]), 40),
            numbers in proptest::array::uniform32(prop_oneof![-2.0f32..2.0, Just(f32::NAN)]),
            weight in 0.0f32..100.0,
            threshold in -1e5f32..1e5,
        ) {
            let lines: Vec<CodeLine> = codes
                .iter()
                .map(|line| CodeLine(std::array::from_fn(|at| line[at])))
                .collect();
            let expected: [i32; LANES] = std::array::from_fn(|lane| {
                let products = codes.iter().zip(&query).flat_map(|(line, query)| {
                    (0..4).map(move |at| i32::from(line[4 * lane + at]) * i32::from(query[at]))
                });
                products.sum::<i32>() - 7
            });
            let row = [0, 16].map(|start| Line(std::array::from_fn(|at| numbers[start + at])));
            let limit = Limit { weight, threshold };
            let portable = run_codes(CpuPath::Portable, Reaches(&expected, &row, limit));
            for path in CpuPath::available() {
                let sums = run_codes(path, Sum(&lines, &query));
                prop_assert_eq!(sums, expected, "on {}", path.as_str());
                let mask = run_codes(path, Reaches(&sums, &row, limit));
                prop_assert_eq!(mask, portable, "on {}", path.as_str());
            }
        }
    }
}
