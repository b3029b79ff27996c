//! The whole way: from a value over the encoders and the applier to the same value.

mod model;
mod values;
