//! Changes to bytes, whatever container they are.

use super::dice::Dice;

/// Floats that arithmetic stumbles over.
const FLOATS: [f32; 9] = [
    f32::NAN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::MAX,
    -1.0,
    -0.0,
    1e-45,
    1e18,
    2e19,
];

/// Changes `bytes` in one way, `donor` being another part, and names it.
pub(crate) fn change(bytes: &mut Vec<u8>, donor: &[u8], dice: &mut Dice) -> &'static str {
    if bytes.is_empty() {
        bytes.extend_from_slice(donor);
        return "filled";
    }
    let range = dice.range(bytes.len());
    match dice.below(16) {
        0..=3 => {
            for _ in 0..1 + dice.below(3) {
                let at = place(bytes.len(), dice);
                bytes[at] ^= 1 << dice.below(8);
            }
            "bits flipped"
        }
        4..=8 => {
            let width = *dice.pick(&[1, 2, 4, 4, 4, 8, 8, 8]);
            put_field(bytes, width, dice)
        }
        9 => {
            let at = place(bytes.len(), dice) & !3;
            let float = dice.pick(&FLOATS).to_le_bytes();
            let end = bytes.len().min(at + 4);
            bytes[at..end].copy_from_slice(&float[..end - at]);
            "a float put"
        }
        10 => {
            let end = place(bytes.len(), dice);
            bytes.truncate(end);
            "truncated"
        }
        11 => {
            let more = *dice.pick(&[1, 7, 8, 64, 4096]);
            let filler = *dice.pick(&[0, 0xff, b' ']);
            bytes.resize(bytes.len() + more, filler);
            "extended"
        }
        12 => {
            let doubled = bytes[range.clone()].to_vec();
            bytes.splice(range.end..range.end, doubled);
            "a range doubled"
        }
        13 => {
            bytes.drain(range);
            "a range cut out"
        }
        14 => {
            let to = dice.below(bytes.len() - range.len() + 1);
            bytes.copy_within(range, to);
            "a range copied"
        }
        _ => {
            let from = dice.range(donor.len());
            bytes.splice(range, donor[from].iter().copied());
            "a range of another part"
        }
    }
}

/// Headers and footers are where structure is: two of three changes go there.
fn place(len: usize, dice: &mut Dice) -> usize {
    match dice.below(6) {
        0 | 1 => dice.below(len.min(2048)),
        2 | 3 => len - 1 - dice.below(len.min(1200)),
        _ => dice.below(len),
    }
}

/// Overwrites a little-endian field.
fn put_field(bytes: &mut [u8], width: usize, dice: &mut Dice) -> &'static str {
    let at = place(bytes.len(), dice) & !(width - 1);
    let end = bytes.len().min(at + width);
    let mut now = [0; 8];
    now[..end - at].copy_from_slice(&bytes[at..end]);
    let field = dice.boundary(u64::from_le_bytes(now), bytes.len() as u64);
    bytes[at..end].copy_from_slice(&field.to_le_bytes()[..end - at]);
    "a field put"
}
