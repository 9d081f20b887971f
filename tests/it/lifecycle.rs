//! What a server serves, from its first moment on, and what makes it change that.

mod cache_faults;
mod cached;
mod following;
mod full_disk;
mod listing;
mod racing;
mod reloading;
mod restored;
mod starting;
mod truth;
