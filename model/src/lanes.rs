//! Sixteen f32 lanes on every CPU; with its child [`int8`] the only `unsafe` of the crate.
//!
//! A [`Kernel`] is written once, in safe code, over the [`Lanes`] operations; [`run`] compiles it
//! three times (portable, AVX2 with FMA, AVX-512F) and picks one at run time. Each operation is
//! one correctly rounded IEEE operation per lane and [`Lanes::sum`] adds in one fixed tree, so a
//! kernel returns the same bits on every path. This file must not know what is being computed.

#![allow(unsafe_code)] // The breach that CONVENTIONS.md allows: SIMD kernels.

pub(crate) mod int8;

use std::sync::OnceLock;

use bytemuck::{Pod, Zeroable};

/// Lanes of every sum; inherited from the widest registers, 512 bits.
pub(crate) const LANES: usize = 16;

/// Sixteen numbers on their own cache line.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [f32; LANES]);

impl Line {
    pub(crate) const ZERO: Self = Self([0.0; LANES]);
}

/// The instruction sets that kernels are compiled for; all give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuPath {
    /// Plain Rust. Without a fused multiply-add in hardware it is correct and slow.
    Portable,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512F.
    Avx512,
}

/// Why a path cannot be chosen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChoosePathError {
    /// The CPU lacks the instructions.
    #[error("this machine has no {}; it has {}", path.as_str(), names(available))]
    Missing {
        /// The path.
        path: CpuPath,
        /// Those that there are.
        available: Vec<CpuPath>,
    },
    /// Something was computed before.
    #[error("{} is in use already", .0.as_str())]
    InUse(CpuPath),
}

fn names(paths: &[CpuPath]) -> String {
    let names: Vec<&str> = paths.iter().map(|path| path.as_str()).collect();
    names.join(", ")
}

/// The path of this process.
static DETECTED: OnceLock<CpuPath> = OnceLock::new();

impl CpuPath {
    /// Every path, slowest first.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// The path of this process: the one that [`CpuPath::choose`] set, else the fastest.
    #[must_use]
    pub fn detected() -> Self {
        *DETECTED.get_or_init(|| *Self::available().last().unwrap_or(&Self::Portable))
    }

    /// Sets the path of this process; a program calls it before it computes anything. Proves that
    /// every path gives the same bytes.
    ///
    /// # Errors
    /// The paths that this machine has, if this one is not among them; or the one in use already.
    pub fn choose(self) -> Result<(), ChoosePathError> {
        let available = Self::available();
        if !available.contains(&self) {
            return Err(ChoosePathError::Missing {
                path: self,
                available,
            });
        }
        match *DETECTED.get_or_init(|| self) {
            used if used == self => Ok(()),
            used => Err(ChoosePathError::InUse(used)),
        }
    }

    /// All paths of this machine, slowest first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut paths = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                paths.push(Self::Avx2);
            }
            if is_x86_feature_detected!("avx512f") {
                paths.push(Self::Avx512);
            }
        }
        paths
    }

    /// The name in logs and benches.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}

/// Operations on [`LANES`] lanes. A value of an implementing type is proof that the CPU has the
/// instructions, so the methods are safe.
pub(crate) trait Lanes: Copy {
    /// The lanes in registers.
    type V: Copy;
    /// The same number in every lane.
    fn splat(self, x: f32) -> Self::V;
    /// Reads lanes.
    fn load(self, x: &[f32; LANES]) -> Self::V;
    /// Writes lanes.
    fn store(self, x: Self::V, to: &mut [f32; LANES]);
    /// `a × b + c` in each lane, rounded once.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// All lanes in the fixed tree: lane `i` takes lane `i + 8`, then `i + 4`, `i + 2`, `i + 1`.
    fn sum(self, x: Self::V) -> f32;
}

/// A computation over lanes. Implementations mark `run` `#[inline(always)]`, so that it is
/// compiled with the instructions of the path.
pub(crate) trait Kernel {
    /// What it returns.
    type Output;
    /// Computes.
    fn run<L: Lanes>(self, lanes: L) -> Self::Output;
}

/// Runs a kernel on `path`, or on the portable one where this machine lacks it.
#[inline]
pub(crate) fn run<K: Kernel>(path: CpuPath, kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    {
        if path == CpuPath::Avx512 && is_x86_feature_detected!("avx512f") {
            // SAFETY: the CPU has AVX-512F; checked in the line above.
            return unsafe { x86::run_avx512(kernel) };
        }
        if path == CpuPath::Avx2
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
        {
            // SAFETY: the CPU has AVX2 and FMA; checked in the lines above.
            return unsafe { x86::run_avx2(kernel) };
        }
    }
    let _ = path;
    kernel.run(Portable)
}

/// Plain Rust, one lane after the other.
#[derive(Clone, Copy)]
struct Portable;

impl Lanes for Portable {
    type V = [f32; LANES];

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        [x; LANES]
    }

    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> Self::V {
        *x
    }

    #[inline(always)]
    fn store(self, x: Self::V, to: &mut [f32; LANES]) {
        *to = x;
    }

    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        std::array::from_fn(|lane| a[lane].mul_add(b[lane], c[lane]))
    }

    #[inline(always)]
    fn sum(self, x: Self::V) -> f32 {
        let eight: [f32; 8] = std::array::from_fn(|lane| x[lane] + x[lane + 8]);
        let four: [f32; 4] = std::array::from_fn(|lane| eight[lane] + eight[lane + 4]);
        (four[0] + four[2]) + (four[1] + four[3])
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Kernel, LANES, Lanes};

    /// # Safety
    /// The CPU must have AVX-512F.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
        kernel.run(Avx512(()))
    }

    /// # Safety
    /// The CPU must have AVX2 and FMA.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
        kernel.run(Avx2(()))
    }

    /// Proof of AVX-512F: made in `run_avx512` and nowhere else.
    #[derive(Clone, Copy)]
    struct Avx512(());

    impl Lanes for Avx512 {
        type V = __m512;

        #[inline(always)]
        fn splat(self, x: f32) -> __m512 {
            // SAFETY: `self` proves AVX-512F.
            unsafe { _mm512_set1_ps(x) }
        }

        #[inline(always)]
        fn load(self, x: &[f32; LANES]) -> __m512 {
            // SAFETY: `self` proves AVX-512F; the array holds the 64 bytes read.
            unsafe { _mm512_loadu_ps(x.as_ptr()) }
        }

        #[inline(always)]
        fn store(self, x: __m512, to: &mut [f32; LANES]) {
            // SAFETY: `self` proves AVX-512F; the array holds the 64 bytes written.
            unsafe { _mm512_storeu_ps(to.as_mut_ptr(), x) }
        }

        #[inline(always)]
        fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
            // SAFETY: `self` proves AVX-512F.
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }

        #[inline(always)]
        fn sum(self, x: __m512) -> f32 {
            // SAFETY: `self` proves AVX-512F, which contains AVX.
            unsafe {
                let high = _mm512_extractf64x4_pd::<1>(_mm512_castps_pd(x));
                sum_eight(_mm256_add_ps(
                    _mm512_castps512_ps256(x),
                    _mm256_castpd_ps(high),
                ))
            }
        }
    }

    /// Proof of AVX2 and FMA: made in `run_avx2` and nowhere else.
    #[derive(Clone, Copy)]
    struct Avx2(());

    impl Lanes for Avx2 {
        /// Lanes 0 to 7 and 8 to 15.
        type V = [__m256; 2];

        #[inline(always)]
        fn splat(self, x: f32) -> Self::V {
            // SAFETY: `self` proves AVX2.
            unsafe { [_mm256_set1_ps(x); 2] }
        }

        #[inline(always)]
        fn load(self, x: &[f32; LANES]) -> Self::V {
            // SAFETY: `self` proves AVX2; the array holds the two times 32 bytes read.
            unsafe {
                [
                    _mm256_loadu_ps(x.as_ptr()),
                    _mm256_loadu_ps(x[8..].as_ptr()),
                ]
            }
        }

        #[inline(always)]
        fn store(self, x: Self::V, to: &mut [f32; LANES]) {
            // SAFETY: `self` proves AVX2; the array holds the two times 32 bytes written.
            unsafe {
                _mm256_storeu_ps(to.as_mut_ptr(), x[0]);
                _mm256_storeu_ps(to[8..].as_mut_ptr(), x[1]);
            }
        }

        #[inline(always)]
        fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
            // SAFETY: `self` proves FMA.
            unsafe {
                [
                    _mm256_fmadd_ps(a[0], b[0], c[0]),
                    _mm256_fmadd_ps(a[1], b[1], c[1]),
                ]
            }
        }

        #[inline(always)]
        fn sum(self, x: Self::V) -> f32 {
            // SAFETY: `self` proves AVX2.
            unsafe { sum_eight(_mm256_add_ps(x[0], x[1])) }
        }
    }

    /// The lower three steps of the tree.
    ///
    /// # Safety
    /// The CPU must have AVX.
    #[inline(always)]
    unsafe fn sum_eight(eight: __m256) -> f32 {
        // SAFETY: the caller proves AVX, which contains SSE.
        unsafe {
            let four = _mm_add_ps(
                _mm256_castps256_ps128(eight),
                _mm256_extractf128_ps::<1>(eight),
            );
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }
}
