//! Changes to the header of a safetensors container that keep it readable.

use serde_json::{Map, Value};

use super::{dice::Dice, json::strange};

const DTYPES: [&str; 10] = [
    "F64", "F32", "F16", "BF16", "U8", "I8", "U32", "I64", "U64", "BOOL",
];

/// Changes the header of a safetensors container and names the change; `None` where it has none.
pub(crate) fn change(bytes: &mut Vec<u8>, dice: &mut Dice) -> Option<&'static str> {
    let len = u64::from_le_bytes(*bytes.first_chunk()?) as usize;
    let data = bytes.get(8..)?.get(len..)?.to_vec();
    let mut header: Map<String, Value> = serde_json::from_slice(&bytes[8..8 + len]).ok()?;
    let did = change_tensor(&mut header, data.len() as u64, dice)?;
    let mut text = serde_json::to_vec(&header).ok()?;
    let padding = *dice.pick(&[0, 0, 0, 1, 8, 70_000]);
    text.resize(text.len() + padding, b' ');
    let said = match dice.below(12) {
        0 => dice.boundary(text.len() as u64, bytes.len() as u64),
        _ => text.len() as u64,
    };
    *bytes = [&said.to_le_bytes(), &text[..], &data].concat();
    Some(did)
}

fn change_tensor(
    header: &mut Map<String, Value>,
    data_len: u64,
    dice: &mut Dice,
) -> Option<&'static str> {
    let names: Vec<String> = header.keys().cloned().collect();
    names.first()?;
    let (name, other) = (dice.pick(&names).clone(), dice.pick(&names).clone());
    match dice.below(10) {
        0..=2 => {
            let key = *dice.pick(&["shape", "data_offsets"]);
            let numbers = header.get_mut(&name)?.get_mut(key)?.as_array_mut()?;
            let at = dice.below(numbers.len());
            let now = numbers.get(at)?.as_u64()?;
            numbers[at] = dice.boundary(now, data_len).into();
            return Some("a header number");
        }
        3 => {
            *header.get_mut(&name)?.get_mut("dtype")? = (*dice.pick(&DTYPES)).into();
            return Some("a dtype");
        }
        4 => {
            let shape = header.get_mut(&name)?.get_mut("shape")?.as_array_mut()?;
            match dice.below(4) {
                0 => drop(shape.pop()),
                1 => shape.reverse(),
                _ => shape.push(dice.boundary(1, data_len).into()),
            }
            return Some("a shape");
        }
        5 => {
            let (a, b) = (header.get(&name)?.clone(), header.get(&other)?.clone());
            header.insert(name, b);
            header.insert(other, a);
            return Some("tensors exchanged");
        }
        6 => drop(header.remove(&name)),
        7 => {
            let tensor = header.remove(&name)?;
            header.insert(
                dice.pick(&["__metadata__", "x", "", "edges"]).to_string(),
                tensor,
            );
        }
        8 => {
            let tensor = header.get(&name)?.clone();
            header.insert("copy".to_owned(), tensor);
        }
        _ => {
            let key = *dice.pick(&["shape", "data_offsets", "dtype"]);
            *header.get_mut(&name)?.get_mut(key)? = strange(dice);
            return Some("a header value");
        }
    }
    Some("a tensor's name")
}
