//! The real binary against the simulator: what an operator, an analyst and a licence manager see.

mod commands;
mod interruption;
mod nights;
mod support;
mod truth;
