//! What watches a controller by its metrics: alerts for Prometheus, a dashboard for Grafana.

mod alerts;
mod dashboard;

pub use alerts::alerts;
pub use dashboard::dashboard;
