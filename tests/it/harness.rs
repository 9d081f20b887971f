//! What the tests of the server stand on: the built binary on ports of its own, shops to publish, and
//! traffic. Real sockets, no blind sleeps: every wait is for a state, with a bound.

mod artifact;
mod blended;
mod broken_cache;
mod calls;
mod catalogue;
pub(crate) mod frames;
mod held;
mod program;
mod raw_call;
mod refusal;
mod rollouts;
mod scrape;
mod server;
mod shop;
mod small_disk;
mod traffic;
mod wait;

pub(crate) use artifact::Parts;
pub(crate) use blended::WEIGHTS;
pub(crate) use broken_cache::{BrokenCache, until_kept};
pub(crate) use calls::channel;
pub(crate) use catalogue::{BRANDS, CATEGORIES, catalogue};
pub(crate) use frames::FramePeer;
pub(crate) use held::Held;
pub(crate) use program::{Run, hotshelf, hotshelf_in};
pub(crate) use raw_call::RawConnection;
pub(crate) use refusal::{error_kind, error_reason, violations};
pub(crate) use scrape::{Scrape, http_get};
pub(crate) use server::Server;
pub(crate) use shop::{MODEL, Published, Season, Shop, factors_of, open_to_all, ranked, top};
pub(crate) use small_disk::SmallDisk;
pub(crate) use traffic::Traffic;
pub(crate) use wait::{PATIENCE, until, until_within};
