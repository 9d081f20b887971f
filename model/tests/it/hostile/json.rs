//! Changes that keep JSON readable.

use serde_json::{Value, json};

use super::dice::Dice;

/// Changes one value somewhere inside; `None` where it is no JSON any more.
pub(crate) fn change(text: &mut Vec<u8>, dice: &mut Dice) -> Option<&'static str> {
    let mut value: Value = serde_json::from_slice(text).ok()?;
    let mut at = &mut value;
    // Down at random; stopping early replaces a whole section.
    while dice.below(12) > 0 {
        let count = match &*at {
            Value::Array(list) => list.len(),
            Value::Object(map) => map.len(),
            _ => 0,
        };
        if count == 0 {
            break;
        }
        let step = dice.below(count);
        at = match at {
            Value::Array(list) => &mut list[step],
            Value::Object(map) => map.values_mut().nth(step)?,
            _ => return None,
        };
    }
    match at {
        Value::Object(map) if !map.is_empty() && dice.below(2) == 0 => {
            let keys: Vec<String> = map.keys().cloned().collect();
            map.remove(dice.pick(&keys));
        }
        Value::Array(list) if !list.is_empty() && dice.below(2) == 0 => {
            let times = *dice.pick(&[2, 3, 40, 300]);
            *list = list
                .iter()
                .cycle()
                .take(list.len() * times)
                .cloned()
                .collect();
        }
        Value::Number(number) => {
            let now = number.as_u64().unwrap_or(1);
            *at = match dice.below(3) {
                0 => strange(dice),
                _ => dice.boundary(now, 1000).into(),
            };
        }
        _ => *at = strange(dice),
    }
    *text = serde_json::to_vec(&value).ok()?;
    Some("a value")
}

/// A value that nobody expects.
pub(crate) fn strange(dice: &mut Dice) -> Value {
    let deep = (0..100).fold(json!([]), |inner, _| json!([inner]));
    dice.pick(&[
        Value::Null,
        json!(true),
        json!(-1),
        json!(0),
        json!(1e39),
        json!(-1e300),
        json!(0.5),
        json!(u64::MAX),
        json!(""),
        json!("hnsw"),
        json!("exact"),
        json!("x".repeat(5000)),
        json!("\u{0}é"),
        json!([]),
        json!({}),
        json!([1, 2, 3]),
        deep,
    ])
    .clone()
}
