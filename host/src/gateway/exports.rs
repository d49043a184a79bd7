//! What a configuration sends by OTLP: its files and secrets read, the thread started.

use std::sync::Arc;

use http::HeaderValue;

use super::StartError;
use crate::capability::secrets::Secret;
use crate::config::Problems;
use crate::config::model::{Config, Otlp, OtlpHeader};
use crate::otlp::{Exporter, Settings, Stories};
use crate::telemetry::Telemetry;
use crate::tls_files::SettingError;
use crate::upstream::Registry;

/// The thread that sends, and where workers hand over stories.
#[derive(Debug, Default)]
pub(super) struct Exports {
    /// Before the thread: it ends when every sender is gone.
    pub(super) stories: Option<Stories>,
    pub(super) exporter: Option<Exporter>,
}

impl Exports {
    /// Starts what a configuration wants.
    ///
    /// # Errors
    /// Every file and secret that cannot be used.
    pub(super) fn start(config: &Config, telemetry: &Arc<Telemetry>) -> Result<Self, StartError> {
        let Some(settings) = settings(config).map_err(StartError::Problems)? else { return Ok(Self::default()) };
        let started = Exporter::start(settings, Arc::clone(telemetry));
        let (exporter, stories) = started.map_err(|error| StartError::System(error.to_string()))?;
        Ok(Self { stories: Some(stories), exporter: Some(exporter) })
    }
}

/// What is sent where, if anything is.
///
/// # Errors
/// Every file and secret that cannot be used.
pub(super) fn settings(config: &Config) -> Result<Option<Settings>, Problems> {
    let Some(otlp) = &config.otlp else { return Ok(None) };
    let mut problems = Problems::new(&config.file);
    let receiver = Registry::new(0).assemble(&otlp.receiver).map_err(|errors| {
        for SettingError { setting, problem } in errors {
            let key = if setting.starts_with("endpoints") { "endpoint" } else { &setting };
            problems.push(config.problem(format!("otlp.{key}"), problem));
        }
    });
    let headers = headers(config, otlp, &mut problems);
    let (Ok(receiver), true) = (receiver, problems.is_empty()) else { return Err(problems) };
    Ok(Some(Settings {
        receiver,
        path: otlp.path.clone(),
        grpc: otlp.grpc,
        traces: otlp.traces,
        metrics_interval: otlp.metrics.then_some(otlp.metrics_interval),
        max_queued: otlp.max_queued,
        headers,
        resource: otlp.resource.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
    }))
}

fn headers(config: &Config, otlp: &Otlp, problems: &mut Problems) -> Vec<(http::HeaderName, HeaderValue)> {
    let mut headers = Vec::with_capacity(otlp.headers.len());
    for (name, value) in &otlp.headers {
        let read = match value {
            OtlpHeader::Text(text) => HeaderValue::from_str(text).map_err(|_| "this cannot be the value of a header".to_owned()),
            OtlpHeader::Secret { name, source } => Secret::read(source).and_then(|secret| {
                HeaderValue::from_bytes(secret.bytes()).map_err(|_| format!("the secret `{name}` cannot be the value of a header"))
            }),
        };
        match read {
            Ok(mut value) => {
                value.set_sensitive(matches!(otlp.headers.iter().find(|(known, _)| known == name), Some((_, OtlpHeader::Secret { .. }))));
                headers.push((name.clone(), value));
            }
            Err(why) => problems.push(config.problem(format!("otlp.headers.{name}"), why)),
        }
    }
    headers
}
