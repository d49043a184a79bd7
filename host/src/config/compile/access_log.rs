//! `[access_log]`.

use http::HeaderName;

use super::{Compiler, items};
use crate::config::defaults;
use crate::config::document::At;
use crate::config::model::{AccessField, AccessFormat, AccessLog, Redact, Share};
use crate::config::schema::{self, List};
use crate::config::suggest::advice;
use crate::config::units;

impl Compiler<'_> {
    pub(super) fn access_log(&mut self, raw: schema::AccessLog) -> AccessLog {
        let at = At::default().key("access_log");
        let format = match raw.format {
            None | Some(schema::AccessFormat::Json) => AccessFormat::Json,
            Some(schema::AccessFormat::Common) => AccessFormat::Common,
            Some(schema::AccessFormat::Combined) => AccessFormat::Combined,
        };
        AccessLog {
            enabled: raw.enabled.unwrap_or(true),
            format,
            file: raw.file.map(|file| self.path(&at.key("file"), &file)),
            fields: self.fields(&at.key("fields"), raw.fields, format),
            sample: self.share(&at.key("sample"), raw.sample, Share::ALL),
            slow: self.span(&at.key("slow"), raw.slow, defaults::ACCESS_LOG_SLOW),
            redact: Redact {
                headers: self.header_names(&at.key("redact_headers"), raw.redact_headers.unwrap_or_default()),
                parameters: raw.redact_parameters.into_iter().flatten().flatten().map(|name| name.to_ascii_lowercase()).collect(),
            },
        }
    }

    fn fields(&mut self, at: &At, raw: Option<List<String>>, format: AccessFormat) -> Vec<AccessField> {
        let Some(raw) = raw else { return defaults::ACCESS_LOG_FIELDS.to_vec() };
        if format != AccessFormat::Json {
            self.error(at, "only JSON lines have fields to choose", "leave `fields` out, or write `format = \"json\"`");
        }
        let mut fields: Vec<AccessField> = Vec::with_capacity(raw.len());
        for (at, text) in items(raw, at) {
            match AccessField::named(&text) {
                Some(field) if fields.contains(&field) => self.error(&at, format!("`{text}` is there twice"), "remove one of them"),
                Some(field) => fields.push(field),
                None => {
                    let known = AccessField::FACTS.iter().map(|(name, _)| *name);
                    let help = "write the name of a fact, such as `status`, or `request.NAME`, `response.NAME`, `attribute.PLUGIN.NAME`";
                    let help = if text.contains('.') { help.to_owned() } else { advice(&text, known, help) };
                    self.error(&at, format!("there is no field {text:?}"), help);
                }
            }
        }
        fields
    }

    /// A share, or its default.
    pub(super) fn share(&mut self, at: &At, share: Option<schema::Share>, default: Share) -> Share {
        let Some(schema::Share(text)) = share else { return default };
        units::share(&text).map(Share).unwrap_or_else(|message| {
            self.error(at, message, "write 0 to 100 with `%` and at most four decimals, such as \"100%\", \"1%\" or \"0.01%\"");
            default
        })
    }

    pub(super) fn header_names(&mut self, at: &At, raw: List<String>) -> Vec<HeaderName> {
        let mut names = Vec::with_capacity(raw.len());
        for (at, text) in items(raw, at) {
            match HeaderName::from_bytes(text.as_bytes()) {
                Ok(name) => names.push(name),
                Err(_) => self.error(&at, format!("{text:?} cannot be the name of a header"), "write a name such as `x-session`"),
            }
        }
        names
    }
}
