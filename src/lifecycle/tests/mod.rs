//! Tests of the lifecycle as a whole.

mod simulation;
