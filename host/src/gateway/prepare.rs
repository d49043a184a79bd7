//! Everything a gateway needs before it may open a socket: `run` and `check` go through this one function, so what the one
//! finds the other finds.

use std::sync::Arc;

use super::StartError;
use crate::assembly::{Assembled, Observers, Workshop};
use crate::config::model::Config;
use crate::config::{Problem, Problems};
use crate::plugin::{Compiler, Ticker};
use crate::proxy::Generation;
use crate::server::tls::ServerTls;
use crate::telemetry::Telemetry;

/// Ready to serve; nothing is bound.
pub(super) struct Prepared {
    pub(super) workshop: Workshop,
    /// Ticks for as long as anything can run a plugin; only where one is configured is there anything to interrupt.
    pub(super) ticker: Option<Ticker>,
    pub(super) assembled: Assembled,
    pub(super) observers: Observers,
    /// One for each worker.
    pub(super) generations: Vec<Generation>,
    /// As the configuration lists its listeners.
    pub(super) tls: Vec<Option<Arc<ServerTls>>>,
}

impl Prepared {
    /// Assembles a configuration for so many workers.
    ///
    /// # Errors
    /// Every problem that was found.
    pub(super) fn new(config: &Config, telemetry: &Arc<Telemetry>, compiler: Compiler, workers: usize) -> Result<Self, StartError> {
        let opened = Workshop::open(config, Arc::clone(telemetry), compiler);
        let mut workshop = opened.map_err(|error| StartError::System(format!("{error:#}")))?;
        let ticker = match config.plugins.is_empty() {
            true => None,
            false => Some(Ticker::start(workshop.engine()).map_err(|error| StartError::System(error.to_string()))?),
        };
        let mut problems = Problems::new(&config.file);
        let tls = config.listeners.iter().map(|listener| terminate(listener, &mut problems)).collect();
        let made = workshop.assemble(config).and_then(|assembled| {
            let generations = (0..workers).map(|worker| workshop.generation(config, &assembled, worker)).collect::<Result<_, _>>()?;
            let observers = workshop.observers(config, &assembled)?;
            Ok((assembled, generations, observers))
        });
        match made {
            Ok((assembled, generations, observers)) if problems.is_empty() => {
                Ok(Self { workshop, ticker, assembled, observers, generations, tls })
            }
            Ok(_) => Err(StartError::Problems(problems)),
            Err(more) => {
                problems.append(more);
                Err(StartError::Problems(problems))
            }
        }
    }
}

/// Looks through what a rejected configuration has left for more that is wrong, as far as it does not depend on what is known to
/// be wrong. Whoever repairs a file should have to do it once.
pub(super) fn look_further(rest: &Config, compiler: Compiler, problems: &mut Problems) -> Result<(), StartError> {
    let telemetry = Telemetry::new().map_err(StartError::System)?;
    let mut rest = rest.clone();
    rest.listeners.retain(|listener| !problems.concern(&format!("listen.{}", listener.name)));
    if !["defaults", "plugins", "upstreams", "routes"].iter().any(|table| problems.concern(table)) {
        // What plugins are configured by is whole, so they can be asked too.
        return match Prepared::new(&rest, &telemetry, compiler, 1) {
            Ok(_) => Ok(()),
            Err(StartError::Problems(more)) => {
                problems.append(more);
                Ok(())
            }
            Err(error) => Err(error),
        };
    }
    let mut workshop = Workshop::open(&rest, telemetry, compiler).map_err(|error| StartError::System(format!("{error:#}")))?;
    let mut more = Problems::new(&rest.file);
    for listener in &rest.listeners {
        terminate(listener, &mut more);
    }
    rest.upstreams.retain(|upstream| !problems.concern(&format!("upstreams.{}", upstream.name)));
    rest.plugins.retain(|plugin| !problems.concern(&format!("plugins.{}", plugin.name)));
    workshop.look_through(&rest, &mut more);
    problems.append(more);
    Ok(())
}

fn terminate(listener: &crate::config::model::Listener, problems: &mut Problems) -> Option<Arc<ServerTls>> {
    match ServerTls::build(listener.tls.as_ref()?) {
        Ok(tls) => Some(Arc::new(tls)),
        Err(error) => {
            problems.push(Problem::error(listener.position, format!("listen.{}.tls", listener.name), error.to_string()));
            None
        }
    }
}
