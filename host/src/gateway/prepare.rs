//! Everything a gateway needs before it may open a socket: `run` and `check` go through this one function, so what the one
//! finds the other finds.

use std::collections::HashMap;
use std::sync::Arc;

use super::StartError;
use super::fingerprint::Fingerprint;
use crate::assembly::{Assembled, Observers, Supplies, Workshop};
use crate::config::Problems;
use crate::config::model::{Config, Listener};
use crate::plugin::Compiler;
use crate::proxy::Generation;
use crate::server::tls::ServerTls;
use crate::telemetry::Telemetry;
use crate::tls_files::SettingError;

/// Ready to serve; nothing is bound.
pub(super) struct Prepared {
    pub(super) workshop: Workshop,
    pub(super) terminated: Terminated,
    pub(super) ready: Ready,
    /// Why it was not made from what it was to be made from first.
    pub(super) instead_of: Option<Problems>,
}

/// What a configuration comes to. Nothing of it is in use.
pub(super) struct Ready {
    pub(super) assembled: Assembled,
    pub(super) observers: Observers,
    /// One for each worker.
    pub(super) generations: Vec<Generation>,
    /// As the configuration lists its listeners.
    pub(super) tls: Vec<Option<Arc<ServerTls>>>,
}

/// TLS of listeners by name, with what it was made from: made anew only where that has changed, so that sessions go on.
#[derive(Debug, Default)]
pub(super) struct Terminated(HashMap<String, (Fingerprint, Arc<ServerTls>)>);

impl Prepared {
    /// Makes a configuration ready for so many workers, from other supplies where it cannot be made from the first ones.
    ///
    /// # Errors
    /// Every problem that was found.
    pub(super) fn new(
        config: &Config,
        supplies: Supplies,
        otherwise: Option<Supplies>,
        telemetry: &Arc<Telemetry>,
        compiler: Compiler,
        workers: usize,
    ) -> Result<Self, StartError> {
        let opened = Workshop::open(config, Arc::clone(telemetry), compiler);
        let mut workshop = opened.map_err(|error| StartError::System(format!("{error:#}")))?;
        let mut terminated = Terminated::default();
        let (ready, instead_of) = match (Ready::make(&mut workshop, config, supplies, workers, &mut terminated), otherwise) {
            (Ok(ready), _) => (ready, None),
            (Err(problems), None) => return Err(StartError::Problems(problems)),
            (Err(problems), Some(otherwise)) => {
                let made = Ready::make(&mut workshop, config, otherwise, workers, &mut terminated);
                (made.map_err(StartError::Problems)?, Some(problems))
            }
        };
        Ok(Self { workshop, terminated, ready, instead_of })
    }
}

impl Ready {
    /// Assembles a configuration and makes every instance it needs. Start-up and each reload come through here.
    ///
    /// # Errors
    /// Every problem that was found.
    pub(super) fn make(
        workshop: &mut Workshop,
        config: &Config,
        supplies: Supplies,
        workers: usize,
        terminated: &mut Terminated,
    ) -> Result<Self, Problems> {
        let mut problems = Problems::new(&config.file);
        let tls = config.listeners.iter().map(|listener| terminated.terminate(config, listener, &mut problems)).collect();
        let tls = beside_each_other(tls);
        let made = workshop.assemble(config, supplies).and_then(|assembled| {
            let generations = (0..workers).map(|worker| workshop.generation(config, &assembled, worker)).collect();
            match (generations, workshop.observers(config, &assembled)) {
                (Ok(generations), Ok(observers)) => Ok((assembled, generations, observers)),
                (Err(first), _) | (_, Err(first)) => {
                    let mut all = Problems::new(&config.file);
                    workshop.try_out(config, &assembled.plugins, &mut all);
                    Err(if all.is_empty() { first } else { all })
                }
            }
        });
        match made {
            Ok((assembled, generations, observers)) if problems.is_empty() => Ok(Self { assembled, observers, generations, tls }),
            Ok(_) => Err(problems),
            Err(more) => {
                problems.append(more);
                Err(problems)
            }
        }
    }
}

/// The rules of each listener hold for its hosts on the others, too.
fn beside_each_other(all: Vec<Option<Arc<ServerTls>>>) -> Vec<Option<Arc<ServerTls>>> {
    let beside = |one: &ServerTls| Arc::new(one.beside(all.iter().flatten().map(|other| &**other)));
    all.iter().map(|one| one.as_deref().map(beside)).collect()
}

impl Terminated {
    fn terminate(&mut self, config: &Config, listener: &Listener, problems: &mut Problems) -> Option<Arc<ServerTls>> {
        let fingerprint = Fingerprint::of_listener(listener.tls.as_ref()?);
        if let Some((_, known)) = self.0.get(&listener.name).filter(|(before, _)| *before == fingerprint) {
            return Some(Arc::clone(known));
        }
        let tls = terminate(config, listener, problems)?;
        self.0.insert(listener.name.clone(), (fingerprint, Arc::clone(&tls)));
        Some(tls)
    }
}

/// Looks through what a rejected configuration has left for more that is wrong and does not follow from what is known to be
/// wrong. Whoever repairs a file should have to do it once.
pub(super) fn look_further(rest: &Config, compiler: Compiler, known: &mut Problems) -> Result<(), StartError> {
    let telemetry = Telemetry::new().map_err(StartError::System)?;
    let mut workshop = Workshop::open(rest, telemetry, compiler).map_err(|error| StartError::System(format!("{error:#}")))?;
    let mut more = Problems::new(&rest.file);
    for listener in &rest.listeners {
        terminate(rest, listener, &mut more);
    }
    workshop.look_through(rest, known, &mut more);
    known.append(more);
    Ok(())
}

fn terminate(config: &Config, listener: &Listener, problems: &mut Problems) -> Option<Arc<ServerTls>> {
    let table = format!("listen.{}.tls", listener.name);
    let errors = match ServerTls::build(listener.tls.as_ref()?) {
        Ok(tls) => return Some(Arc::new(tls)),
        Err(errors) => errors,
    };
    for SettingError { setting, problem } in errors {
        // A single certificate stands in the table itself.
        let key = match setting.strip_prefix("certificates[0].") {
            Some(single) if !config.places.knows(&format!("{table}.certificates")) => format!("{table}.{single}"),
            _ => format!("{table}.{setting}"),
        };
        problems.push(config.problem(key, problem));
    }
    None
}
