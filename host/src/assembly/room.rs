//! Whether there is room for the instances that plugins may have.

use super::AssembledPlugin;
use crate::config::Problem;
use crate::config::model::Config;

/// A warning where plugins could ask for more instances than the gateway has room for, with every call of theirs that may overlap.
///
/// A plugin whose calls do not overlap has one on each worker, and each observer and timer one on the control side. That a reload
/// needs some of two generations for a moment is not counted.
pub(super) fn shortage(config: &Config, plugins: &[AssembledPlugin], on_workers: &[usize], on_control: &[usize]) -> Option<Problem> {
    let room = u64::from(config.limits.max_plugin_instances);
    let workers = config.workers as u64;
    let of_worker = |plugin: &AssembledPlugin| if plugin.recipe.runs_in_turns() { plugin.recipe.budget.instances as u64 } else { 1 };
    let wanted =
        on_workers.iter().filter_map(|number| plugins.get(*number)).map(of_worker).sum::<u64>() * workers + on_control.len() as u64;
    if wanted <= room {
        return None;
    }
    let most = on_workers.iter().filter_map(|number| plugins.get(*number)).max_by_key(|plugin| of_worker(plugin))?;
    let message = format!(
        "plugins may ask for {wanted} instances (`workers` is {workers}), the most of them `{}`, and there is room for {room}: who finds \
         none waits, or gets a 503",
        most.recipe.name
    );
    let help = "write a larger one, or a smaller `instances` in the budgets of plugins whose calls overlap; docs/budgets.md has the sum";
    Some(config.problem("limits.max_plugin_instances".to_owned(), message).with_suggestion(help))
}
