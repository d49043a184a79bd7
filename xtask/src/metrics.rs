//! Numbers from the gateway's `/metrics` (Prometheus text format).

use plugway_harness::Result;
use plugway_harness::client::Client;
use plugway_harness::gateway::Gateway;

/// The text at this moment.
pub(crate) async fn read(gateway: &Gateway) -> Result<String> {
    let admin = gateway.admin()?;
    Ok(Client::http(admin, admin.to_string()).get("/metrics").await?.text())
}

/// The sum of every series whose name ends in `name` and whose labels include each of `labels`, written as `key="value"`.
pub(crate) fn sum(text: &str, name: &str, labels: &[&str]) -> f64 {
    let series = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (family, written) = series.split_once('{').unwrap_or((series, ""));
        let matches = family.ends_with(name) && labels.iter().all(|label| written.contains(label));
        matches.then(|| value.parse::<f64>().ok()).flatten()
    });
    // `sum` of nothing is -0.0, and would be printed so.
    series.fold(0.0, |sum, value| sum + value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_chosen_by_name_and_labels() {
        let text = "# HELP requests_total x{plugin=\"metrics\"} 9\nrequests_total{route=\"a\",plugin=\"metrics\"} 3\n\
                    requests_total{route=\"b\",plugin=\"metrics\"} 4\nrequests_total{route=\"a\"} 100\nup 1\n";
        assert!((sum(text, "requests_total", &["plugin=\"metrics\""]) - 7.0).abs() < 1e-9);
        assert!((sum(text, "requests_total", &["plugin=\"metrics\"", "route=\"a\""]) - 3.0).abs() < 1e-9);
        assert!((sum(text, "up", &[]) - 1.0).abs() < 1e-9);
        assert_eq!(sum(text, "missing", &[]).to_string(), "0");
    }
}
