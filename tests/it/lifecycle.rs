//! What a server serves, from its first moment on, and what makes it change that.

mod following;
mod reloading;
mod starting;
