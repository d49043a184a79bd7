//! A filter that uses keys and can do without `kv`: `x-do: seal NAME`, `open NAME`, `sign NAME`, with what `x-text` says.

use plugway_sdk::{Error, Flow, LocalResponse, NoConfig, Plugin, Request, RequestFilter, granted, keys, kv};

struct Locksmith;

impl Plugin for Locksmith {
    type Config = NoConfig;

    fn configure(_: NoConfig) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl RequestFilter for Locksmith {
    fn on_request(&self, request: &mut Request) -> Result<Flow, Error> {
        let told = request.header_str("x-do").unwrap_or_default();
        let Some((what, name)) = told.split_once(' ') else { return Ok(Flow::Next) };
        let text = request.header_str("x-text").unwrap_or_default();
        let said = match what {
            "seal" => keys::seal(name, "test", text.as_bytes()).map(|sealed| hex(&sealed)),
            "open" => keys::open(name, "test", &bytes(&text)).map(|opened| String::from_utf8_lossy(&opened).into_owned()),
            "sign" => keys::sign(name, "EdDSA", text.as_bytes()).map(|signature| hex(&signature)),
            "algorithms" => keys::algorithms(name).map(|algorithms| algorithms.join(" ")),
            "granted" => Ok(format!("kv {}, keys {}", granted::kv(), granted::keys())),
            // Traps where it was not granted.
            "visits" => return Ok(Flow::respond(LocalResponse::text(200, kv::increment(name, 1, None)?.to_string()))),
            _ => return Ok(Flow::Next),
        };
        Ok(Flow::respond(LocalResponse::text(200, said.unwrap_or_else(|error| format!("{error:?}")))))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).filter_map(|at| u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok()).collect()
}

plugway_sdk::export!(Locksmith: RequestFilter);
