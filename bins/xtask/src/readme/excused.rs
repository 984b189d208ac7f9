//! What documents print and nothing tries, with the reason. A command stands here whole, a block by its first line.

const SYSTEMD: &str = "needs systemd and a machine of one's own; tests of the command line check what the unit starts, and run \
                       it (bins/gatecert/tests/it/serve.rs)";

const PROGRAMS: &str = "writes among the programs of this machine, over which nothing is put here";

const CAPABILITY: &str = "changes a program, which only root may, and sudo asks for a password";

const NO_KUBELET: &str = "the way to a Pod's port is the kubelet's, and none runs; a test looks at the page itself \
                          (crates/controller/tests/cluster/status_page.rs)";

const NO_LOG: &str = "a Pod's log is had from the kubelet, and none runs; tests of the doctor look whether there is such a Deployment";

const NO_MONITORING: &str = "needs the Prometheus Operator; a test fills the chart with these values \
                             (bins/xtask/tests/it/chart.rs)";

const DOCKER: &str = "needs Docker, and a registry that the cluster pulls from";

const MUSL: &str = "needs a C compiler for musl, and the target from Rust's servers";

const INTERNET: &str = "asks the Internet's own servers, from the roots on";

const OTHERS: &str = "answers by exit code 1 whoever has fewer rights than this cluster's administrator";

pub(crate) const EXCUSED: [(&str, &str); 28] = [
    ("cargo xtask demo", "`cargo xtask test` runs it, so that it ends by itself"),
    ("cargo xtask demo --plain-envoy", "`cargo xtask test` runs it, so that it ends by itself"),
    ("cargo xtask test", "this is a part of it"),
    (
        "cargo test -p gatecert-controller --test cluster gateway",
        "`cargo xtask test` runs it, and all others with it",
    ),
    ("cargo test -p gatecert-benches --benches", "measures nothing; `cargo xtask lint` compiles it"),
    ("rustup target add x86_64-unknown-linux-musl", MUSL),
    ("sudo apt-get install make musl-tools", MUSL),
    (
        "cargo build --release --locked --target x86_64-unknown-linux-musl --package gatecert --package gatecert-controller-bin",
        MUSL,
    ),
    ("docker build -t registry.example.com/gatecert-controller:0.1.0 .", DOCKER),
    ("docker push registry.example.com/gatecert-controller:0.1.0", DOCKER),
    (r#"sudo setcap cap_net_bind_service=+ep "$(command -v gatecert)""#, CAPABILITY),
    (r#"install -m 755 "$(command -v gatecert)" /usr/local/bin/gatecert"#, PROGRAMS),
    ("useradd --system --shell /usr/sbin/nologin gatecert", SYSTEMD),
    ("usermod --append --groups gatecert envoy", SYSTEMD),
    ("systemctl restart envoy", SYSTEMD),
    ("systemctl daemon-reload", SYSTEMD),
    ("systemctl enable --now gatecert", SYSTEMD),
    ("systemctl reload gatecert", SYSTEMD),
    ("systemctl restart gatecert", SYSTEMD),
    ("journalctl -u gatecert", SYSTEMD),
    ("kubectl -n gatecert-system port-forward deployment/gatecert 8081", NO_KUBELET),
    ("kubectl -n gatecert-system logs deployment/gatecert", NO_LOG),
    (
        "helm upgrade gatecert charts/gatecert --namespace gatecert-system --reuse-values --set metrics.dashboard=true --set metrics.alerts=true",
        NO_MONITORING,
    ),
    ("healthChecks:", "a part of a Kustomization of Flux's, whose definitions are not there"),
    ("dig +trace A www.example.com", INTERNET),
    ("dig +trace CAA www.example.com", INTERNET),
    ("kubectl auth can-i list gateways.networking.istio.io -A", OTHERS),
    ("kubectl create secret generic", "names what made a Secret, and is not whole"),
];

/// Whether nothing tries it.
pub(crate) fn is_excused(text: &str) -> bool {
    EXCUSED.iter().any(|(excused, _)| *excused == text)
}
