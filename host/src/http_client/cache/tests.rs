use super::*;

const ANY: Use = Use { max_age: None, made: SystemTime::UNIX_EPOCH, default_freshness: Duration::ZERO, stale_if_error: Duration::ZERO };

fn request(headers: &[(&'static str, &str)]) -> Request<()> {
    let mut request = Request::new(());
    *request.uri_mut() = "https://id.example/keys".parse().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    request
}

fn response(status: u16, headers: &[(&'static str, &str)], body: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        response.headers_mut().append(*name, value.parse().unwrap());
    }
    response
}

fn at(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600 + second)
}

fn fresh(look: Look) -> Option<IncomingResponse> {
    match look {
        Look::Fresh(answer) => Some(answer),
        Look::Ask(_) => None,
    }
}

#[test]
fn it_is_kept_for_as_long_as_it_says_and_no_longer() {
    let mut cache = Cache::new(1 << 20);
    let answer = cache.answered(&request(&[]), response(200, &[("cache-control", "max-age=10")], "a"), ANY, at(0));
    assert_eq!((answer.source, answer.fresh_for), (AnswerSource::Server, Duration::from_secs(10)));
    let answer = fresh(cache.look(&request(&[]), ANY, at(9))).unwrap();
    assert_eq!((answer.source, answer.age, answer.fresh_for), (AnswerSource::Cache, Duration::from_secs(9), Duration::from_secs(1)));
    assert!(fresh(cache.look(&request(&[]), ANY, at(10))).is_none());
}

#[test]
fn what_must_not_be_kept_is_not() {
    for headers in [&[("cache-control", "no-store")][..], &[]] {
        let mut cache = Cache::new(1 << 20);
        cache.answered(&request(&[]), response(200, headers, "a"), ANY, at(0));
        assert!(fresh(cache.look(&request(&[]), ANY, at(0))).is_none(), "{headers:?}");
    }
    let mut cache = Cache::new(1 << 20);
    cache.answered(&request(&[]), response(500, &[("cache-control", "max-age=10")], "a"), ANY, at(0));
    assert!(fresh(cache.look(&request(&[]), ANY, at(0))).is_none());
}

#[test]
fn another_callers_answer_is_not_given() {
    let mut cache = Cache::new(1 << 20);
    cache.answered(&request(&[("authorization", "Bearer a")]), response(200, &[("cache-control", "max-age=10")], "of a"), ANY, at(0));
    assert!(fresh(cache.look(&request(&[("authorization", "Bearer b")]), ANY, at(1))).is_none());
    assert!(fresh(cache.look(&request(&[]), ANY, at(1))).is_none());
    assert_eq!(fresh(cache.look(&request(&[("authorization", "Bearer a")]), ANY, at(1))).unwrap().body, "of a");
}

#[test]
fn a_plugin_says_how_old_it_may_be_and_how_long_it_is_fresh_where_the_server_does_not() {
    let mut cache = Cache::new(1 << 20);
    let wanted = Use { default_freshness: Duration::from_secs(60), ..ANY };
    cache.answered(&request(&[]), response(200, &[], "a"), wanted, at(0));
    assert!(fresh(cache.look(&request(&[]), ANY, at(59))).is_some());
    let younger = |seconds| Use { max_age: Some(Duration::from_secs(seconds)), ..ANY };
    assert!(fresh(cache.look(&request(&[]), younger(10), at(10))).is_some());
    assert!(fresh(cache.look(&request(&[]), younger(10), at(11))).is_none());
    // Of no age is what came since it was asked for.
    let since = |seconds| Use { made: at(seconds), ..younger(0) };
    assert!(fresh(cache.look(&request(&[]), since(1), at(1))).is_none());
    assert!(fresh(cache.look(&request(&[]), since(0), at(1))).is_some());
    assert!(fresh(cache.look(&request(&[]), since(0), at(61))).is_none(), "nor is it fresh");
    // One after the other, however many: the server is asked ten times, and then ten times a second.
    let mut asked = |second| {
        (0..100)
            .filter(|_| {
                let looked = fresh(cache.look(&request(&[]), since(second), at(second))).is_none();
                if looked {
                    cache.answered(&request(&[]), response(200, &[], "a"), Use { made: at(second - 1), ..wanted }, at(second - 1));
                }
                looked
            })
            .count()
    };
    assert_eq!([asked(5), asked(5), asked(6), asked(90)], [10, 0, 10, 10]);
    cache.answered(&request(&[]), response(200, &[], "a"), wanted, at(0));
    // What the server says is stronger.
    cache.answered(&request(&[]), response(200, &[("cache-control", "no-cache")], "b"), wanted, at(0));
    assert!(fresh(cache.look(&request(&[]), ANY, at(1))).is_none());
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let mut cache = Cache::new(1 << 20);
    cache.answered(&request(&[]), response(200, &[("cache-control", "max-age=10"), ("etag", "\"1\"")], "a"), ANY, at(0));
    let Look::Ask(validators) = cache.look(&request(&[]), ANY, at(20)) else { panic!("it is fresh no more") };
    assert_eq!(validators.get(IF_NONE_MATCH).unwrap(), "\"1\"");
    let same = response(304, &[("cache-control", "max-age=10"), ("etag", "\"1\"")], "");
    let answer = cache.validated(&request(&[]), &validators, &same, ANY, at(20)).unwrap();
    assert_eq!((answer.source, answer.status.as_u16(), &answer.body[..]), (AnswerSource::Validated, 200, &b"a"[..]));
    assert_eq!(fresh(cache.look(&request(&[]), ANY, at(29))).unwrap().body, "a");
}

#[test]
fn a_304_is_about_what_is_here_unless_it_says_otherwise() {
    const MAY: &str = "Tue, 05 May 2026 05:05:05 GMT";
    const JUNE: &str = "Sat, 06 Jun 2026 06:06:06 GMT";
    let (tag, other, weak, may, june) =
        (("etag", "\"1\""), ("etag", "\"2\""), ("etag", "W/\"1\""), ("last-modified", MAY), ("last-modified", JUNE));
    for (kept, said, is_same) in [
        // As Python's `http.server` has it.
        (&[may][..], &[][..], true),
        (&[tag], &[], true),
        (&[weak], &[], true),
        (&[tag, may], &[], true),
        (&[tag, may], &[may], true),
        (&[tag, may], &[tag], true),
        (&[tag, may], &[tag, june], true),
        (&[tag], &[may], true),
        (&[tag], &[weak], true),
        (&[may], &[may], true),
        (&[may], &[june], false),
        (&[tag], &[other], false),
        (&[may], &[other], false),
        (&[tag, may], &[june], false),
        (&[tag, may], &[other, may], false),
    ] {
        let mut cache = Cache::new(1 << 20);
        let headers: Vec<_> = [("cache-control", "max-age=10")].into_iter().chain(kept.iter().copied()).collect();
        cache.answered(&request(&[]), response(200, &headers, "a"), ANY, at(0));
        let Look::Ask(validators) = cache.look(&request(&[]), ANY, at(20)) else { panic!("it is fresh no more") };
        let answer = cache.validated(&request(&[]), &validators, &response(304, said, ""), ANY, at(20));
        assert_eq!(
            answer.map(|answer| (answer.source, answer.body)),
            is_same.then(|| (AnswerSource::Validated, "a".into())),
            "{kept:?} {said:?}"
        );
        assert_eq!(fresh(cache.look(&request(&[]), ANY, at(29))).is_some(), is_same, "{kept:?} {said:?}");
    }
}

#[test]
fn what_a_304_says_for_the_first_time_counts_from_then_on() {
    let tag = ("etag", "\"1\"");
    let mut cache = Cache::new(1 << 20);
    let wanted = Use { default_freshness: Duration::from_secs(10), ..ANY };
    cache.answered(&request(&[]), response(200, &[tag, ("x-kept", "a"), ("x-kept", "b")], "a"), wanted, at(0));
    let Look::Ask(validators) = cache.look(&request(&[]), ANY, at(20)) else { panic!("it is fresh no more") };
    let said = [tag, ("cache-control", "max-age=100"), ("cache-control", "must-revalidate"), ("x-new", "c"), ("content-length", "0")];
    let answer = cache.validated(&request(&[]), &validators, &response(304, &said, ""), wanted, at(20)).unwrap();
    assert_eq!((&answer.body[..], answer.fresh_for), (&b"a"[..], Duration::from_secs(100)));
    let lines = |name: &str| answer.headers.get_all(name).iter().count();
    assert_eq!(["cache-control", "x-kept", "x-new", "content-length"].map(lines), [2, 2, 1, 0]);
    assert!(fresh(cache.look(&request(&[]), ANY, at(119))).is_some());
    let patient = Use { stale_if_error: Duration::from_secs(100), ..ANY };
    assert!(cache.stale(&request(&[]), patient, at(120)).is_none(), "it has to be asked for now");

    // What may be kept no longer is given once more.
    let Look::Ask(validators) = cache.look(&request(&[]), ANY, at(120)) else { panic!("it is fresh no more") };
    let said = [tag, ("cache-control", "no-store")];
    let answer = cache.validated(&request(&[]), &validators, &response(304, &said, ""), wanted, at(120)).unwrap();
    assert_eq!((&answer.body[..], answer.fresh_for, cache.bytes()), (&b"a"[..], Duration::ZERO, 0));
    assert!(matches!(cache.look(&request(&[]), ANY, at(120)), Look::Ask(validators) if validators.is_empty()));
}

#[test]
fn a_304_about_what_is_here_no_more_is_about_nothing() {
    let mut cache = Cache::new(1 << 20);
    let tagged = |tag: &'static str| [("cache-control", "max-age=10"), ("etag", tag)];
    cache.answered(&request(&[]), response(200, &tagged("\"1\""), "a"), ANY, at(0));
    let Look::Ask(validators) = cache.look(&request(&[]), ANY, at(20)) else { panic!("it is fresh no more") };
    cache.answered(&request(&[]), response(200, &tagged("\"2\""), "b"), ANY, at(20));
    assert!(cache.validated(&request(&[]), &validators, &response(304, &[], ""), ANY, at(20)).is_none(), "replaced");
    cache.resize(0);
    assert!(cache.validated(&request(&[]), &validators, &response(304, &[], ""), ANY, at(20)).is_none(), "evicted");
}

#[test]
fn an_age_past_all_bounds_is_the_greatest_and_what_is_none_is_none() {
    for (said, seconds) in [
        ("18446744073709551615", OLDEST),
        ("99999999999999999999999", OLDEST),
        ("2147483649", OLDEST),
        ("2147483648", OLDEST),
        ("7", 7),
        ("-1", 0),
        ("1.5", 0),
        ("+7", 0),
        ("", 0),
    ] {
        let mut cache = Cache::new(1 << 20);
        let headers = [("cache-control", "max-age=4000000000"), ("age", said), ("etag", "\"1\"")];
        let answer = cache.answered(&request(&[]), response(200, &headers, "a"), ANY, at(0));
        assert_eq!(answer.age, Duration::from_secs(seconds), "{said}");
        let later = fresh(cache.look(&request(&[]), ANY, at(5))).unwrap();
        assert_eq!(later.age, Duration::from_secs(seconds + 5), "{said}");
        let validators = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static("\"1\""))]);
        let same = cache.validated(&request(&[]), &validators, &response(304, &headers, ""), ANY, at(5)).unwrap();
        assert_eq!(same.age, Duration::from_secs(seconds), "{said}");
        assert!(fresh(cache.look(&request(&[]), ANY, at(6))).is_some(), "{said}");
        let same = cache.validated(&request(&[]), &validators, &response(304, &[], ""), ANY, at(7)).unwrap();
        assert_eq!(same.age, Duration::ZERO, "it is of now");
    }
}

#[test]
fn the_last_good_answer_stays_while_the_server_is_away() {
    let mut cache = Cache::new(1 << 20);
    let wanted = Use { stale_if_error: Duration::from_secs(100), ..ANY };
    cache.answered(&request(&[]), response(200, &[("cache-control", "max-age=10")], "a"), wanted, at(0));
    assert!(cache.stale(&request(&[]), ANY, at(20)).is_none(), "only for who wants it");
    let answer = cache.stale(&request(&[]), wanted, at(110)).unwrap();
    assert_eq!((answer.source, answer.age, answer.fresh_for), (AnswerSource::Stale, Duration::from_secs(110), Duration::ZERO));
    assert!(cache.stale(&request(&[]), wanted, at(111)).is_none());
    cache.answered(&request(&[]), response(200, &[("cache-control", "max-age=10, must-revalidate")], "b"), wanted, at(0));
    assert!(cache.stale(&request(&[]), wanted, at(20)).is_none());
}

#[test]
fn it_is_bounded_and_the_least_used_goes() {
    let mut cache = Cache::new(4 * (OVERHEAD + 1000));
    let kept = [("cache-control", "max-age=10")];
    for number in 0..10 {
        cache.answered(&request(&[("x-number", &number.to_string())]), response(200, &kept, &"x".repeat(800)), ANY, at(0));
        assert!(cache.bytes() <= 4 * (OVERHEAD + 1000));
        assert!(fresh(cache.look(&request(&[("x-number", "0")]), ANY, at(1))).is_some(), "it is used all the time");
    }
    assert!(fresh(cache.look(&request(&[("x-number", "1")]), ANY, at(1))).is_none());
    let answer = cache.answered(&request(&[]), response(200, &kept, &"x".repeat(1 << 20)), ANY, at(0));
    assert_eq!((answer.body.len(), answer.fresh_for), (1 << 20, Duration::ZERO), "what has no room is given all the same");
}

#[test]
fn directives_count_in_any_case() {
    for said in ["No-Store, max-age=600", "No-Cache, Max-Age=600", "NO-STORE"] {
        let mut cache = Cache::new(1 << 20);
        cache.answered(&request(&[]), response(200, &[("cache-control", said)], "a"), ANY, at(0));
        assert!(fresh(cache.look(&request(&[]), ANY, at(0))).is_none(), "{said}");
    }
    let mut cache = Cache::new(1 << 20);
    cache.answered(&request(&[]), response(200, &[("cache-control", "Max-Age=600")], "a"), ANY, at(0));
    assert!(fresh(cache.look(&request(&[]), ANY, at(599))).is_some());
}

#[test]
fn what_varies_by_everything_is_not_kept() {
    let wanted = Use { stale_if_error: Duration::from_secs(60), ..ANY };
    let mut cache = Cache::new(1 << 20);
    let headers = [("cache-control", "max-age=10"), ("vary", "accept, *")];
    let answer = cache.answered(&request(&[]), response(200, &headers, "a"), wanted, at(0));
    assert_eq!((answer.fresh_for, cache.bytes()), (Duration::ZERO, 0));
    assert!(cache.stale(&request(&[]), wanted, at(1)).is_none());
}

#[test]
fn a_clock_that_was_set_back_makes_nothing_young() {
    let mut cache = Cache::new(1 << 20);
    let headers = [("cache-control", "max-age=600"), ("etag", "\"1\"")];
    cache.answered(&request(&[]), response(200, &headers, "a"), ANY, at(7_200));
    let wanted = Use { max_age: Some(Duration::from_secs(1)), ..ANY };
    for wanted in [ANY, wanted] {
        let Look::Ask(validators) = cache.look(&request(&[]), wanted, at(0)) else { panic!("it was given") };
        assert_eq!(validators.get(IF_NONE_MATCH).unwrap(), "\"1\"");
    }
    assert!(fresh(cache.look(&request(&[]), ANY, at(7_201))).is_some());
}

#[test]
fn what_changes_a_resource_makes_its_answers_forgotten_and_no_others() {
    let mut cache = Cache::new(1 << 20);
    let mut longer = request(&[]);
    *longer.uri_mut() = "https://id.example/keys2".parse().unwrap();
    for request in [&request(&[]), &request(&[("accept", "a/b")]), &longer] {
        cache.answered(request, response(200, &[("cache-control", "max-age=10")], "a"), ANY, at(0));
    }
    cache.invalidate(request(&[]).uri());
    assert!(
        fresh(cache.look(&request(&[]), ANY, at(1))).is_none() && fresh(cache.look(&request(&[("accept", "a/b")]), ANY, at(1))).is_none()
    );
    assert!(fresh(cache.look(&longer, ANY, at(1))).is_some());
}
