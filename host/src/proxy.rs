//! The life of one request: `handle` tells it, the other files are its verbs.

mod arrival;
mod attempted;
mod canaries;
mod client_address;
mod connection;
mod ending;
mod forward;
mod handle;
mod ids;
mod outbound;
mod recent;
mod records;
mod reply;
mod request_body;
mod request_trailers;
mod response_body;
mod retries;
mod sampling;
mod snapshot;
mod story;
mod wall_clock;

pub use canaries::Canaries;
pub use connection::{Connection, Doing};
pub use handle::handle;
pub use records::{Batch, KeptRecord, RecordSink};
pub use request_body::RequestBody;
pub use response_body::ResponseBody;
pub use retries::Retries;
pub use sampling::Tracing;
pub use snapshot::{Generation, RoutePlan, Shared, Sinks, Snapshot, Worker};
