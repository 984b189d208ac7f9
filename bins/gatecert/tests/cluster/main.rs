//! The program in a cluster: a real API server, istiod and Envoy, one of each for all tests. Each test makes a fault, sees
//! it at the gateway, and then whether the program names it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod doctor;
mod gateway;
mod gateway_api;
mod manifest;
mod migration;
mod secret;
mod world;

use libtest_mimic::{Arguments, Failed, Trial};
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::runtime::Runtime;
use world::World;

/// What a test gives.
type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = Arguments::from_args();
    if arguments.list {
        return Ok(libtest_mimic::run(&arguments, trials(None)).exit_code());
    }
    // Nothing can be fetched in a network of one's own.
    gatecert_testkit::tools::ensure(gatecert_testkit::tools::Tool::Kubectl)?;
    let network = gatecert_testkit::cluster::Network::enter()?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = Arc::new(Runtime::new()?);
    let world = runtime.block_on(World::start(network)).map_err(|error| error.to_string())?;
    // Some policies are for the whole gateway.
    arguments.test_threads = Some(1);
    Ok(libtest_mimic::run(&arguments, trials(Some((runtime, Arc::new(world))))).exit_code())
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let (mut text, mut source) = (error.to_string(), error.source());
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

macro_rules! trials {
    ($world:ident, $($module:ident :: $test:ident),* $(,)?) => {
        vec![$({
            let world = $world.clone();
            Trial::test(concat!(stringify!($module), "::", stringify!($test)), move || {
                let Some((runtime, world)) = world else { return Ok(()) };
                runtime.block_on($module::$test(&world)).map_err(|error| Failed::from(chain(&*error)))
            })
        }),*]
    };
}

fn trials(world: Option<(Arc<Runtime>, Arc<World>)>) -> Vec<Trial> {
    trials![
        world,
        doctor::a_name_that_is_well,
        doctor::what_is_outside,
        doctor::what_port_80_answers,
        doctor::what_the_certificate_says,
        doctor::what_may_not_be_read,
        gateway::nobody_serves_it,
        gateway::no_solver_is_for_it,
        gateway::no_pod_is_ready,
        gateway::another_namespaces,
        gateway::a_redirect,
        gateway::a_path_that_is_taken,
        gateway::policies,
        gateway::the_responder,
        gateway::a_sidecar_that_demands_tls,
        gateway::a_gateway_that_is_passed_over,
        gateway::other_gateways,
        gateway_api::listeners_that_take_no_route,
        gateway_api::a_listener_for_https_alone,
        secret::what_clients_refuse,
        secret::what_is_no_certificate_yet,
        secret::what_is_not_written,
        // The last: its Gateways are in the way of others.
        migration::what_a_cluster_has,
    ]
}
