//! What happened to a request, in order: W3C trace context, who is sampled, the steps a request took, and the story that is
//! told of it afterwards, as spans or to an operator who asks why.
//!
//! Every request keeps its [`Steps`], a few bytes each and no clock that is not read anyway. A [`Recording`] beside them, with
//! every step's time and what plugins note, exists only where the request is sampled: what is not sampled pays nothing for it.

mod context;
mod json;
mod recording;
mod sampler;
mod step;
mod story;

pub use context::{Parent, TRACEPARENT, baggage, is_trace_state};
pub use recording::{Asked, Note, NoteValue, Notes, Recording, Timed};
pub use sampler::{Rate, Sampler};
pub use step::{At, Step, StepResult, Steps};
pub use story::{Story, StorySpan, StoryStep, StoryTime, StoryTrace, What};
