//! The registry as its users see it: one contract for every backend, then faults, then `kill -9`.

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../../../tests/it/tools/authority.rs"]
mod authority;
mod backends;
mod cache;
mod conditional_writes;
mod contract;
mod crash;
mod fault_store;
mod faulty_s3;
mod gc;
mod hostile;
#[allow(dead_code, reason = "shared with the server's tests")]
#[path = "../../../tests/it/tools/installed.rs"]
mod installed;
mod kill;
mod reading;
mod replicas;
mod rollouts;
mod s3_credentials;
mod s3_faults;
mod s3_map;
#[allow(dead_code, reason = "shared with the server's tests")]
#[path = "../../../tests/it/tools/s3_server.rs"]
mod s3_server;
mod s3_tls;
mod s3_uploads;
mod seed;
mod shop;
mod strays;
mod truth;
mod web_identity;
