//! Configuration: the file as written (`schema`), checked and resolved (`compile`) into the `model`, with every problem
//! reported at once.

pub mod model;
