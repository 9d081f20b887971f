//! The words and figures that the generated shop is made of: twelve departments of an invented
//! homeware and outdoor store, what they sell, at what price, in which month.
//!
//! Data only. Lists are one string with `|` between the entries, which keeps a department on one
//! screen. All brands are invented.

/// One department of the shop.
pub(super) struct Department {
    pub(super) name: &'static str,
    /// Share of the catalogue, relative to the other departments.
    pub(super) share: f64,
    /// Median price, and the spread of its logarithm.
    pub(super) price_median: f64,
    pub(super) price_spread: f64,
    /// Demand by month, January first; 1 is ordinary.
    pub(super) season: [f64; 12],
    /// What is sold. A shopper who likes one kind looks at more of it.
    pub(super) kinds: &'static str,
    /// Put before the kind.
    pub(super) makes: &'static str,
    /// Sentences for descriptions.
    pub(super) sentences: &'static str,
    /// What a product may come in.
    pub(super) variants: &'static str,
    pub(super) brands: &'static str,
}

/// No season to speak of.
const EVEN: [f64; 12] = [1.0, 0.9, 0.9, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.2, 1.3];
/// Bought for the garden and the open air.
const SUMMER: [f64; 12] = [0.5, 0.7, 1.1, 1.5, 1.7, 1.6, 1.3, 1.0, 0.8, 0.6, 0.6, 0.7];
/// Bought against cold and dark.
const WINTER: [f64; 12] = [1.3, 1.1, 0.9, 0.7, 0.6, 0.5, 0.5, 0.6, 1.0, 1.3, 1.7, 1.8];
/// Bought to be given.
const GIFTS: [f64; 12] = [0.7, 0.9, 0.9, 0.9, 0.9, 0.8, 0.8, 0.8, 0.9, 1.1, 1.8, 2.2];

/// Closing sentences that any product may carry.
pub(super) const SERVICE: &str = "Ships within two working days.|Free returns for thirty days.|\
Comes in plastic-free packaging.|Spare parts can be ordered for ten years.|\
One of our customers' favourites.|Gift wrapping available at checkout.|Two-year guarantee.";

/// Kinds that are used up and bought again.
pub(super) const USED_UP: &str = "Hand Soap|Body Lotion|Bath Salts|Shampoo Bar|Candle|Ink Bottle|\
Notebook|Greeting Cards|Wrapping Paper";

/// Kinds, and the kind of the same department that people look at next.
pub(super) const FOLLOWED_BY: [(&str, &str); 17] = [
    ("Tent", "Sleeping Mat"),
    ("Sleeping Mat", "Sleeping Bag"),
    ("Camp Stove", "Cool Box"),
    ("Duvet Cover", "Pillowcase Pair"),
    ("Pillowcase Pair", "Fitted Sheet"),
    ("Burr Grinder", "Pour-Over Dripper"),
    ("Pour-Over Dripper", "Kettle"),
    ("Raised Bed", "Hand Trowel"),
    ("Planter", "Watering Can"),
    ("Fountain Pen", "Ink Bottle"),
    ("Hand Soap", "Body Lotion"),
    ("Bath Towel", "Bath Mat"),
    ("Cabin Case", "Packing Cubes"),
    ("Packing Cubes", "Wash Bag"),
    ("Dinner Plate", "Pasta Bowl"),
    ("Rain Jacket", "Trekking Trousers"),
    ("Trekking Trousers", "Hiking Socks"),
];

/// The twelve departments.
pub(super) const DEPARTMENTS: [Department; 12] = [
    Department {
        name: "Cookware",
        share: 1.2,
        price_median: 38.0,
        price_spread: 0.39,
        season: GIFTS,
        kinds: "Frying Pan|Saucepan|Casserole|Stockpot|Wok|Griddle|Roasting Tin|Milk Pan",
        makes: "Cast Iron|Stainless Steel|Enamelled|Carbon Steel|Non-Stick|Copper-Base|Hammered",
        sentences: "Heats evenly and keeps its heat.|Works on gas, induction and in the oven.|\
Stays cool where you hold it.|Gets better with every meal.|Rinses clean without soaking.|\
Big enough for a family of four.",
        variants: "20 cm|24 cm|28 cm|Black|Cream|Forest",
        brands: "Alderfell|Brasswick|Norrkitchen|Tavola Nera|Hob & Hearth|Embermark",
    },
    Department {
        name: "Tableware",
        share: 1.3,
        price_median: 16.0,
        price_spread: 0.36,
        season: GIFTS,
        kinds: "Mug|Dinner Plate|Pasta Bowl|Teapot|Tumbler|Serving Platter|Egg Cup|Carafe",
        makes: "Stoneware|Porcelain|Hand-Finished|Speckled|Recycled Glass|Glazed|Fluted",
        sentences: "Finished by hand, so no two are alike.|Safe in dishwasher and microwave.|\
Stacks neatly in small cupboards.|A quiet shape for every day and for guests.|\
Fired twice, so that it takes a knock.|Matches the rest of the range.",
        variants: "Oat|Sage|Ink Blue|Charcoal|Terracotta|Moss|Chalk|Mustard|Plum|Slate",
        brands: "Kilnmoor|Hob & Hearth|Saltmarsh Pottery|Tavola Nera|Wrenhouse",
    },
    Department {
        name: "Coffee & Tea",
        share: 0.8,
        price_median: 22.0,
        price_spread: 0.45,
        season: WINTER,
        kinds: "Pour-Over Dripper|French Press|Burr Grinder|Moka Pot|Tea Infuser|Kettle|\
Milk Frother",
        makes: "Brushed Steel|Matt Black|Compact|Travel|Classic|Precision|Barista",
        sentences: "Makes a clean, full cup.|Easy to take apart and to rinse.|\
Brews for one or for the whole office.|Sits well in the hand even when full.|\
Filters and seals are sold separately.|Small enough for a suitcase.",
        variants: "Small|Large|White|Black|Gift Box",
        brands: "Bluepeak Coffee|Norrkitchen|Kettle Lane|Brasswick|Third Cup",
    },
    Department {
        name: "Bedding",
        share: 0.9,
        price_median: 54.0,
        price_spread: 0.36,
        season: WINTER,
        kinds: "Duvet Cover|Fitted Sheet|Pillowcase Pair|Quilt|Throw|Bedspread|Cushion Cover",
        makes: "Washed Linen|Organic Cotton|Percale|Brushed Cotton|Sateen|Lambswool|Checked",
        sentences: "Softens with each wash.|Woven from long-staple yarn in Portugal.|\
Warm in winter and airy in summer.|Finished with a neat double seam.|\
Machine washable at 40 degrees.|Certified free of harmful substances.",
        variants: "Oat|Sage|Ink Blue|Charcoal|Terracotta|Moss|Chalk|Mustard|Plum|Slate",
        brands: "Linden & Loom|Quietnight|Fjordal|Wrenhouse|Downy Hill",
    },
    Department {
        name: "Lighting",
        share: 0.8,
        price_median: 62.0,
        price_spread: 0.42,
        season: WINTER,
        kinds: "Table Lamp|Floor Lamp|Pendant|Wall Light|Reading Lamp|String Lights|Lantern",
        makes: "Brass|Rattan|Opal Glass|Paper|Ash Wood|Dimmable|Rechargeable",
        sentences: "Gives a warm, even glow.|Takes a standard bulb, which is included.|\
Dims in three steps at a touch.|The cable is covered in woven cotton.|\
Looks good even when it is off.|Assembled in five minutes.",
        variants: "Small|Large|Brass|Chalk|Charcoal|Sage",
        brands: "Lumenry|Brasswick|Studio Halm|Fjordal|Glasswright",
    },
    Department {
        name: "Garden",
        share: 1.1,
        price_median: 27.0,
        price_spread: 0.48,
        season: SUMMER,
        kinds: "Pruning Shears|Hand Trowel|Watering Can|Planter|Raised Bed|Garden Fork|Bird Feeder|\
Hose Reel",
        makes: "Galvanised|Forged|Traditional|Long-Lasting|Lightweight|Compact|Frost-Proof",
        sentences: "Built to be left out in the rain.|Every part can be replaced.|\
Light to lift and hard to break.|Lasts for many seasons.|Chosen by our own gardeners.|\
Made in a family workshop.",
        variants: "Small|Medium|Large|Moss|Slate",
        brands: "Greenhollow|Spade & Sons|Alderfell|Orchard Row|Thornbury",
    },
    Department {
        name: "Camping",
        share: 1.0,
        price_median: 68.0,
        price_spread: 0.51,
        season: SUMMER,
        kinds: "Tent|Sleeping Bag|Sleeping Mat|Camp Stove|Headlamp|Cool Box|Camp Chair|Dry Bag",
        makes: "Ultralight|Expedition|Three-Season|Family|Compact|Waterproof|Trail",
        sentences: "Packs down small.|Ready in minutes, even in wind.|\
Tested on a month of wet weekends.|Weighs less than you would think.|Built for rough ground.|\
Repair kit included.",
        variants: "Regular|Large|Forest|Slate|Ember",
        brands: "Northmere|Tarn & Trail|Kestrel Peak|Fjordal|Basecamp Nine",
    },
    Department {
        name: "Outdoor Clothing",
        share: 1.3,
        price_median: 74.0,
        price_spread: 0.36,
        season: WINTER,
        kinds: "Rain Jacket|Fleece|Hiking Socks|Base Layer|Down Vest|Trekking Trousers|Beanie|\
Gloves",
        makes: "Recycled|Windproof|Stretch|Lined|Lightweight|Alpine|Everyday",
        sentences: "For long days in changing weather.|Breathes on the climb and warms at the top.|\
Sits well under a rucksack.|Cut with room to move.|Dries overnight in a hut.|\
Repaired free of charge, as often as it takes.",
        variants: "Women's|Men's|Children's|Moss|Ink Blue|Ember|Charcoal",
        brands: "Northmere|Kestrel Peak|Tarn & Trail|Wooldale|Fjordal",
    },
    Department {
        name: "Toys & Games",
        share: 1.1,
        price_median: 19.0,
        price_spread: 0.36,
        season: GIFTS,
        kinds: "Building Blocks|Jigsaw Puzzle|Board Game|Soft Toy|Train Set|Card Game|Marble Run|\
Play Kitchen",
        makes: "Woodland|Storybook|Classic|Pocket|Circus|Seaside|Giant",
        sentences: "Gets played with again and again.|For ages three and up.|\
Coloured with water-based paints.|Designed together with a nursery school.|\
Packs back into its own box.|Grows with the child.",
        variants: "Small|Large|Gift Edition|Travel Edition",
        brands: "Little Otter|Pinecone Toys|Meeple Works|Wrenhouse|Rocket & Rabbit",
    },
    Department {
        name: "Stationery",
        share: 1.0,
        price_median: 9.5,
        price_spread: 0.36,
        season: EVEN,
        kinds: "Notebook|Fountain Pen|Desk Planner|Greeting Cards|Pencil Set|Wrapping Paper|\
Letter Set|Ink Bottle",
        makes: "Classic|Botanical|Letterpress|Recycled|Artist's|Pocket|Heirloom",
        sentences: "For people who still write by hand.|A pleasure to open and to use.|\
Made in small runs.|Drawn in our own studio.|A small present that is always right.|\
Refills and matching pieces are always in stock.",
        variants: "A5|A6|Set of Three|Gift Box|Ivory|Navy",
        brands: "Inkwell Row|Foliant|Papermill & Daughters|Studio Halm",
    },
    Department {
        name: "Bath & Body",
        share: 0.9,
        price_median: 13.0,
        price_spread: 0.33,
        season: EVEN,
        kinds: "Hand Soap|Bath Towel|Body Lotion|Bath Salts|Shampoo Bar|Face Cloth|Candle|Bath Mat",
        makes: "Lavender|Oatmeal|Cedarwood|Rosemary|Sea Kelp|Citrus|Chamomile",
        sentences: "Kind to dry skin.|Made without palm oil.|Fresh and never sweet.|\
A small luxury for every day.|Made by hand in small batches.|Suitable for sensitive skin.",
        variants: "Small|Large|Set of Two|Gift Box",
        brands: "Saltmarsh Soap|Linden & Loom|Botanist's Daughter|Quietnight|Soap Yard",
    },
    Department {
        name: "Bags & Travel",
        share: 0.8,
        price_median: 82.0,
        price_spread: 0.42,
        season: SUMMER,
        kinds: "Backpack|Weekend Bag|Wash Bag|Packing Cubes|Tote|Cabin Case|Laptop Sleeve|Wallet",
        makes: "Waxed Canvas|Leather|Roll-Top|Recycled|Quilted|Foldaway|Everyday",
        sentences: "Holds more than it seems to.|Made for a week by train.|\
Zips run smoothly in the cold.|Ages well and can be mended.|Padded where it matters.|\
Carries comfortably all day.",
        variants: "Tan|Black|Moss|Ink Blue|Charcoal",
        brands: "Carraway|Tarn & Trail|Foliant|Studio Halm|Wayfare Supply",
    },
];

/// The entries of a list as written in this file.
pub(super) fn entries(list: &'static str) -> Vec<&'static str> {
    list.split('|').collect()
}
