//! Whether there is room for the instances that plugins have, and may have.

use super::AssembledPlugin;
use crate::config::Problem;
use crate::config::model::Config;

/// Where the limit is.
const KEY: &str = "limits.max_plugin_instances";

/// What is wrong where not even the first instances have room: each plugin has one on each worker, and each observer and timer one on the control side.
pub(super) fn too_little(config: &Config, on_workers: &[usize], on_control: &[usize]) -> Option<Problem> {
    let (room, least) = (u64::from(config.limits.max_plugin_instances), least(config, on_workers, on_control));
    let message = || format!("there is room for {room} instances of plugins, and {least} are needed (`workers` is {})", config.workers);
    let help = || format!("write {} or more, which a reload needs that makes the next ones beside those that serve", 2 * least);
    (least > room).then(|| config.problem(KEY.to_owned(), message()).with_suggestion(help()))
}

/// A warning where plugins could ask for more instances than the gateway has room for: with every call of theirs that may overlap, or at a reload, which makes
/// the next ones beside those that serve.
pub(super) fn shortage(config: &Config, plugins: &[AssembledPlugin], on_workers: &[usize], on_control: &[usize]) -> Option<Problem> {
    let room = u64::from(config.limits.max_plugin_instances);
    let workers = config.workers as u64;
    let of_a_reload = 2 * least(config, on_workers, on_control);
    if of_a_reload > room {
        let message = format!(
            "a reload makes instances of plugins beside those that serve, {of_a_reload} in all, and there is room for {room}: none would be served"
        );
        return Some(config.problem(KEY.to_owned(), message).with_suggestion(format!("write {of_a_reload} or more")));
    }
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
    Some(config.problem(KEY.to_owned(), message).with_suggestion(help))
}

/// Instances that there always are.
fn least(config: &Config, on_workers: &[usize], on_control: &[usize]) -> u64 {
    (on_workers.len() * config.workers + on_control.len()) as u64
}
