//! What documents print and nothing tries, with the reason. A command stands here whole, a block by its first line.

const SYSTEMD: &str = "needs systemd and a machine of one's own; tests of the command line check what the unit starts, and run \
                       it (bins/gatecert/tests/it/serve.rs)";

const PROGRAMS: &str = "writes among the programs of this machine, over which nothing is put here";

const NO_KUBELET: &str = "the way to a Pod's port is the kubelet's, and none runs; a test looks at the page itself \
                          (crates/controller/tests/cluster/status_page.rs)";

const NO_RELEASE: &str = "needs a release of Helm's and the Prometheus Operator; a test fills the chart with these values \
                          (bins/xtask/tests/it/chart.rs)";

pub(crate) const EXCUSED: [(&str, &str); 12] = [
    ("cargo xtask demo", "`cargo xtask test` runs it, so that it ends by itself"),
    ("cargo xtask test", "this is a part of it"),
    (r#"install -m 755 "$(command -v gatecert)" /usr/local/bin/gatecert"#, PROGRAMS),
    ("useradd --system --shell /usr/sbin/nologin gatecert", SYSTEMD),
    ("usermod --append --groups gatecert envoy", SYSTEMD),
    ("systemctl restart envoy", SYSTEMD),
    ("systemctl daemon-reload", SYSTEMD),
    ("systemctl enable --now gatecert", SYSTEMD),
    ("journalctl -u gatecert", SYSTEMD),
    ("kubectl -n gatecert-system port-forward deployment/gatecert 8081", NO_KUBELET),
    (
        "helm upgrade gatecert charts/gatecert --namespace gatecert-system --reuse-values --set metrics.dashboard=true --set metrics.alerts=true",
        NO_RELEASE,
    ),
    ("healthChecks:", "a part of a Kustomization of Flux's, whose definitions are not there"),
];

/// Whether nothing tries it.
pub(crate) fn is_excused(text: &str) -> bool {
    EXCUSED.iter().any(|(excused, _)| *excused == text)
}
