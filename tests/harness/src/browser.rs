//! Debian's Chromium, driven by npm's `playwright-core`: a real browser's redirects, cookies, forms and policies. Its script is
//! `tests/browser/browser.mjs`.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::ca::Issued;
use crate::error::{Error, Result};
use crate::node::{self, Script};
use crate::peers::CHROMIUM;

/// Installs what drives it where that is missing, and gives the module. The browser itself is Debian's.
///
/// # Errors
/// As [`node::install`].
pub fn install() -> Result<PathBuf> {
    node::install("browser", "playwright-core/index.mjs")
}

/// A browser with one page, and no history; it ends with its owner.
#[derive(Debug)]
pub struct Browser {
    script: Script,
}

/// What a page shows.
#[derive(Debug, Clone)]
pub struct Page {
    /// Where it is, after redirects.
    pub url: String,
    /// Of the last answer.
    pub status: u64,
    /// As a reader sees it.
    pub text: String,
}

impl Browser {
    /// Starts one that finds this host, over https, at an address of this machine, and takes that one certificate for it.
    ///
    /// # Errors
    /// When Chromium is not installed, or does not start.
    pub fn start(host: &str, address: SocketAddr, certificate: &Issued) -> Result<Self> {
        let (module, program) = (install()?, CHROMIUM.find()?);
        let pin = certificate.pin().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let (module, program, address) = (module.to_string_lossy(), program.to_string_lossy(), address.to_string());
        let environment =
            [("PLAYWRIGHT", &*module), ("CHROMIUM", &*program), ("HOST", host), ("ADDRESS", address.as_str()), ("PIN", pin.as_str())];
        let script = Script::start("browser", "browser.mjs", &environment)?;
        script.wait(|line| line.field("browser").is_some())?;
        Ok(Self { script })
    }

    /// Goes to a URL.
    ///
    /// # Errors
    /// When nothing answers there.
    pub fn visit(&self, url: &str) -> Result<Page> {
        self.page(json!({ "command": "visit", "url": url }))
    }

    /// Writes into fields of the page's form, by their names, and presses its button with this text.
    ///
    /// # Errors
    /// When there is no such field or button.
    pub fn submit(&self, fields: &[(&str, &str)], button: &str) -> Result<Page> {
        self.page(json!({ "command": "submit", "fields": fields, "button": button }))
    }

    /// Its cookies for a URL, with `name`, `value`, `httpOnly`, `secure` and `sameSite`.
    ///
    /// # Errors
    /// When it has ended.
    pub fn cookies(&self, url: &str) -> Result<Vec<Value>> {
        let line = self.script.order(json!({ "command": "cookies", "url": url }))?;
        Ok(line.value("cookies").and_then(Value::as_array).cloned().unwrap_or_default())
    }

    /// What a script of the page gets for an expression.
    ///
    /// # Errors
    /// When it has ended.
    pub fn evaluate(&self, expression: &str) -> Result<Value> {
        let line = self.script.order(json!({ "command": "evaluate", "expression": expression }))?;
        Ok(line.value("value").cloned().unwrap_or_default())
    }

    fn page(&self, order: Value) -> Result<Page> {
        let line = self.script.order(order)?;
        let text = |name: &str| line.field(name).map(str::to_owned);
        let status = line.value("status").and_then(Value::as_u64);
        match (text("url"), status, text("text")) {
            (Some(url), Some(status), Some(text)) => Ok(Page { url, status, text }),
            _ => Err(Error::new(format!("the browser says: {}", line.text))),
        }
    }
}
