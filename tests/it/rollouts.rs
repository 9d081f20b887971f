//! Candidates, tests, promotion and the ways back, by command and by RPC.

mod canary;
mod models;
mod refusals;
mod residence;
