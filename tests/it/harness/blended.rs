//! Versions with all sides, which state weights and defaults; and versions with a part of a later release.

use bytes::Bytes;
use hotshelf_model::{
    Defaults, FitParams, IndexChoice, PerSide, RepeatParams, ScoringParams, SidesParams,
    TrendParams, Weights,
};
use hotshelf_registry::NewPart;

use super::shop::{Published, Season, Shop, parameters};

/// Each side counts for something else.
pub(crate) const WEIGHTS: Weights = PerSide {
    collaborative: 1.0,
    content: 0.3,
    sequence: 0.6,
    repeat: 1.5,
    trend: 0.2,
};

/// A few seconds in days: the shop's events follow each other by the second.
const SECONDS: f64 = 5.0 / 86_400.0;

impl Shop {
    /// A season with all sides and weights. It states these defaults, or none.
    pub(crate) async fn publish_blended(
        &self,
        season: Season,
        index: IndexChoice,
        defaults: Option<Defaults>,
    ) -> Published {
        let sides = SidesParams {
            repeat: Some(RepeatParams {
                half_life_days: Some(SECONDS),
            }),
            trend: Some(TrendParams {
                half_life_days: SECONDS,
            }),
            ..SidesParams::all()
        };
        let parameters = FitParams {
            sides,
            scoring: ScoringParams {
                weights: Some(WEIGHTS),
                ..ScoringParams::default()
            },
            index,
            ..parameters(8)
        };
        let mut model = super::shop::fitted(season, &parameters);
        if let Some(defaults) = defaults {
            model.set_defaults(defaults).unwrap();
        }
        Box::pin(self.publish_model(model)).await
    }

    /// A season with a part that only a later release knows.
    pub(crate) async fn publish_with_part_of_a_later_release(
        &self,
        season: Season,
        required: bool,
    ) -> u64 {
        let model = super::shop::fitted(season, &parameters(8));
        let packed = model.pack(Default::default()).unwrap();
        let card = serde_json::to_value(&packed.card).unwrap();
        let known = packed
            .parts
            .into_iter()
            .map(|part| NewPart::required(part.name.parse().unwrap(), Bytes::from(part.bytes)));
        let later = NewPart {
            name: "later.safetensors".parse().unwrap(),
            bytes: Bytes::from_static(b"whatever it means"),
            required,
        };
        let parts = known.chain([later]).collect();
        self.publish_new(parts, card).await.unwrap()
    }
}
