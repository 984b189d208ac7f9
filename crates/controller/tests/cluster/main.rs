//! The controller on a real API server, istiod, Envoy and Pebble. One cluster for all tests, each in a namespace and
//! under names of its own.

mod gateway;
mod harness;

use harness::World;
use libtest_mimic::{Arguments, Failed, Trial};
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// What a test gives.
type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments = Arguments::from_args();
    if arguments.list {
        return Ok(libtest_mimic::run(&arguments, trials(None)).exit_code());
    }
    let network = gatecert_testkit::cluster::Network::enter()?;
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| "a provider is installed already")?;
    let runtime = Arc::new(Runtime::new()?);
    let world = runtime.block_on(World::start(network)).map_err(|error| error.to_string())?;
    let world = Arc::new(world);
    let conclusion = libtest_mimic::run(&arguments, trials(Some((Arc::clone(&runtime), Arc::clone(&world)))));
    if conclusion.has_failed() {
        world.print_log();
    }
    Ok(conclusion.exit_code())
}

fn trials(world: Option<(Arc<Runtime>, Arc<World>)>) -> Vec<Trial> {
    macro_rules! trials {
        ($($module:ident :: $test:ident),* $(,)?) => {
            vec![$({
                let world = world.clone();
                Trial::test(concat!(stringify!($module), "::", stringify!($test)), move || {
                    let Some((runtime, world)) = world else { return Ok(()) };
                    runtime.block_on($module::$test(&world)).map_err(|error| Failed::from(error.to_string()))
                })
            }),*]
        };
    }
    trials![gateway::a_certificate_is_issued_and_served]
}
