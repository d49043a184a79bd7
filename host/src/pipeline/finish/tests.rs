use std::rc::Rc;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::*;
use crate::pipeline::{Place, Plugins};

/// An upstream's answer to a request that had headers left for it.
fn answered(left: &[(&'static str, &'static str)]) -> Box<Exchange> {
    let mut exchange = Exchange::sample(HeaderMap::new());
    exchange.response_headers = left.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
    exchange.answer(ResponseHead { status: StatusCode::OK, headers: HeaderMap::new(), origin: Origin::Upstream(1) });
    exchange
}

/// A response filter that nothing can call.
fn missing(on_failure: FailurePolicy) -> Place {
    Place { slot: 0, config: 0, name: "missing".into(), version: "1".into(), on_failure, shadow: None }
}

#[tokio::test]
async fn what_was_left_for_the_response_is_in_whichever_answer_there_is_in_the_end() {
    let left = [("set-cookie", "a=1"), ("set-cookie", "b=2"), ("dpop-nonce", "n")];
    for (on_failure, status) in [(FailurePolicy::Reject, 500), (FailurePolicy::Skip, 200)] {
        // Two of them: what fails again is still answered with them once.
        let chain = Chain { outgoing: vec![missing(on_failure), missing(on_failure)], ..Chain::default() };
        let (exchange, _) = chain.finish(&Rc::new(Plugins::default()), answered(&left)).await;
        let response = exchange.response.as_ref().unwrap();
        assert_eq!(response.status.as_u16(), status);
        let values = |name| response.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
        assert_eq!((values("set-cookie"), values("dpop-nonce")), (vec!["a=1", "b=2"], vec!["n"]), "{on_failure:?}");
    }
}
