//! A filter that keeps entries as each request says and answers what became of it: `x-do: set greeting hello -`. An absent
//! value is `-`, and so is a time to live that is not given.

use std::time::Duration;

use plugway_sdk::{Error, Flow, KvError, LocalResponse, NoConfig, Plugin, Request, RequestFilter, kv};

struct Keeper;

impl Plugin for Keeper {
    type Config = NoConfig;

    fn configure(_: NoConfig) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl RequestFilter for Keeper {
    fn on_request(&self, request: &mut Request) -> Result<Flow, Error> {
        let told = request.header_str("x-do").unwrap_or_default();
        let words: Vec<&str> = told.split(' ').collect();
        let answer = match words.as_slice() {
            ["get", key] => value(kv::get(key)),
            ["set", key, value, ttl] => done(kv::set(key, value, milliseconds(ttl))),
            ["pin", key, value, ttl] => done(kv::pin(key, value, milliseconds(ttl).unwrap_or_default())),
            ["fill", key, bytes] => done(kv::set(key, vec![b'x'; bytes.parse()?], None)),
            ["delete", key] => kv::delete(key).map_or_else(|error| format!("{error:?}"), |there| there.to_string()),
            ["add", key, amount, ttl] => {
                kv::increment(key, amount.parse()?, milliseconds(ttl)).map_or_else(|error| format!("{error:?}"), |sum| sum.to_string())
            }
            ["swap", key, expected, value] => done(kv::compare_and_swap(key, bytes(expected), bytes(value), None)),
            _ => return Ok(Flow::Next),
        };
        Ok(Flow::respond(LocalResponse::text(200, answer)))
    }
}

fn bytes<'a>(word: &&'a str) -> Option<&'a [u8]> {
    (*word != "-").then_some(word.as_bytes())
}

fn milliseconds(word: &str) -> Option<Duration> {
    word.parse().ok().map(Duration::from_millis)
}

fn value(value: Result<Option<Vec<u8>>, KvError>) -> String {
    match value {
        Ok(Some(value)) => String::from_utf8_lossy(&value).into_owned(),
        Ok(None) => "-".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

fn done(result: Result<(), KvError>) -> String {
    result.map_or_else(|error| format!("{error:?}"), |()| "ok".to_owned())
}

plugway_sdk::export!(Keeper: RequestFilter);
