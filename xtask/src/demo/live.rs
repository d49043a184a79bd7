//! `cargo xtask demo`: something to try by hand, and a line that counts what happens.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use plugway_harness::Result;
use plugway_harness::error::Context;
use tokio::signal::unix::{SignalKind, signal};

use super::world::{HOST, KEY, PARTNER_REQUESTS, World};
use crate::metrics;
use crate::token::SCOPE;

/// Until Ctrl-C, SIGTERM or the end of the terminal: either way the gateway and its keys go with this.
pub(super) async fn run(world: &World) -> Result<()> {
    instructions(world)?;
    let terminal = std::io::stdout().is_terminal();
    let mut last = String::new();
    let mut interrupt = signal(SignalKind::interrupt()).context("Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    let mut hangup = signal(SignalKind::hangup()).context("SIGHUP")?;
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = hangup.recv() => return Ok(()),
            () = tokio::time::sleep(Duration::from_millis(500)) => {
                let line = traffic(world).await?;
                // Without a terminal a line is printed when it says something new.
                if terminal {
                    print!("\r\u{1b}[2K{line}");
                } else if line != last {
                    println!("{line}");
                }
                std::io::stdout().flush().context("standard output")?;
                last = line;
            }
        }
    }
    println!();
    Ok(())
}

async fn traffic(world: &World) -> Result<String> {
    let text = metrics::read(&world.gateway).await?;
    let count = |labels: &[&str]| metrics::sum(&text, "requests_total", &[&["plugin=\"metrics\""], labels].concat());
    let orders: Vec<String> = world.endpoints().map(|upstream| format!("{} {}", upstream.name(), upstream.requests())).collect();
    let refused = count(&["status=\"4"]);
    Ok(format!("requests {} | {} | hello {} | refused {refused}", count(&[]), orders.join(", "), world.hello.requests()))
}

fn instructions(world: &World) -> Result<()> {
    let web = world.gateway.address("web")?;
    let admin = world.gateway.admin()?;
    let ca = world.gateway.directory().join("ca.pem");
    let port = web.port();
    let curl = format!("curl --cacert {} --resolve {HOST}:{port}:{}", ca.display(), web.ip());
    let url = format!("https://{HOST}:{port}");
    let token = world.provider.token("you", SCOPE)?;
    println!("\nThe gateway listens on {url} (at {web}); operators on http://{admin}\n");
    println!("Behind it:");
    for upstream in world.endpoints() {
        println!("  /orders/*   {}  {}", upstream.url(), upstream.name());
    }
    println!("  /hello      {}   {}", world.hello.url(), world.hello.name());
    println!("  /partners   the same, for whoever has a key, {PARTNER_REQUESTS} times an hour");
    println!("  /stranger   {}  {}, whose certificate the gateway does not trust", world.stranger.url(), world.stranger.name());
    println!("\nTry:\n");
    println!("  # a public route to a plain upstream\n  {curl} {url}/hello\n");
    println!("  # oauth2 asks for a token\n  {curl} -i {url}/orders/1\n");
    println!("  # with one; every path has its upstream, see `upstream` and `sni` in the answer\n  TOKEN={token}");
    println!("  {curl} -H \"Authorization: Bearer $TOKEN\" {url}/orders/1\n");
    println!("  # with an API key; after {PARTNER_REQUESTS} of them 429\n  {curl} -i -H \"X-API-Key: {KEY}\" {url}/partners\n");
    println!("  # 502: the upstream's certificate does not verify\n  {curl} -i {url}/stranger\n");
    println!("  curl http://{admin}/status\n  curl http://{admin}/metrics\n");
    println!("Ctrl-C ends everything.\n");
    Ok(())
}
