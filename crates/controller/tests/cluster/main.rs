//! The controller on a real API server, istiod, Envoy and Pebble. One cluster for all tests, each in a namespace and
//! under names of its own.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test with a harness of its own")]

mod account;
mod alone;
mod bad_api;
mod browser;
mod busy_api;
mod change;
mod cost;
mod crash;
mod gateway;
mod gateway_api;
mod goldens;
mod grpc;
mod harness;
mod idle;
mod interceptor;
mod kubectl;
mod limits;
mod manifest;
mod migration;
mod outage;
mod proxy;
mod refusal;
mod relay;
mod renewal;
mod replica;
mod replicas;
mod rights;
mod secrecy;
mod soak;
mod status_page;
mod tenants;
mod year_2018;

use gatecert_testkit::tools::{Tool, ensure};
use harness::World;
use libtest_mimic::{Arguments, Failed, Trial};
use std::error::Error;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use tokio::runtime::Runtime;

/// What a test gives.
type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    if replica::be_one_if_told()? {
        return Ok(ExitCode::SUCCESS);
    }
    let mut arguments = Arguments::from_args();
    if arguments.list {
        let all = [trials(None), trials_alone(None), trials_with_replicas(None)];
        let all = all.into_iter().flatten().collect();
        return Ok(libtest_mimic::run(&arguments, all).exit_code());
    }
    // Nothing can be fetched in a network of one's own.
    for tool in [Tool::Kubectl, Tool::Chromium, Tool::Promtool] {
        ensure(tool)?;
    }
    let network = gatecert_testkit::cluster::Network::enter()?;
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| "a provider is installed already")?;
    let runtime = Arc::new(Runtime::new()?);
    let world = runtime.block_on(World::start(network)).map_err(|error| error.to_string())?;
    let world = Arc::new(world);
    if let Some(options) = soak::Options::from_environment().map_err(|error| error.to_string())? {
        runtime.block_on(world.end_controller()).map_err(|error| error.to_string())?;
        runtime.block_on(soak::run(&world, options)).map_err(|error| harness::chain(&*error))?;
        return Ok(ExitCode::SUCCESS);
    }
    let both = || Some((Arc::clone(&runtime), Arc::clone(&world)));
    let together = libtest_mimic::run(&arguments, trials(both()));
    arguments.test_threads = Some(1);
    let alone = libtest_mimic::run(&arguments, trials_alone(both()));
    if together.has_failed() || alone.has_failed() {
        runtime.block_on(world.print_log());
        return Ok(failed());
    }
    runtime.block_on(world.end_controller()).map_err(|error| error.to_string())?;
    match libtest_mimic::run(&arguments, trials_with_replicas(both())).has_failed() {
        true => Ok(failed()),
        false => Ok(ExitCode::SUCCESS),
    }
}

/// What has failed so far, each with its reason.
static FAILURES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Says once more what has failed, behind all logs: whoever sees the end of the output alone has to know it.
fn failed() -> ExitCode {
    for failure in FAILURES.lock().unwrap().iter() {
        eprintln!("FAILED: {failure}");
    }
    ExitCode::from(101)
}

/// Runs one, and remembers what went wrong, a panic too.
fn remembered(name: &str, run: impl FnOnce() -> Outcome) -> Result<(), Failed> {
    let outcome = panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
        let said = payload.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or_default();
        Err(format!("it panicked: {said}").into())
    });
    outcome.map_err(|error| {
        let reason = harness::chain(&*error);
        FAILURES.lock().unwrap().push(format!("{name}: {reason}"));
        Failed::from(reason)
    })
}

macro_rules! trials {
    ($world:ident, $($module:ident :: $test:ident),* $(,)?) => {
        vec![$({
            let world = $world.clone();
            let name = concat!(stringify!($module), "::", stringify!($test));
            Trial::test(name, move || {
                let Some((runtime, world)) = world else { return Ok(()) };
                remembered(name, || runtime.block_on($module::$test(&world)))
            })
        }),*]
    };
}

/// Those that no other may run beside.
fn trials_alone(world: Option<(Arc<Runtime>, Arc<World>)>) -> Vec<Trial> {
    trials![world, outage::the_api_server_goes_and_comes_back]
}

/// Those that start replicas of the controller themselves.
fn trials_with_replicas(world: Option<(Arc<Runtime>, Arc<World>)>) -> Vec<Trial> {
    trials![
        world,
        replicas::a_killed_leader_leaves_nothing_undone,
        replicas::a_frozen_leader_writes_nothing_when_it_wakes,
        replicas::a_leader_that_is_cut_off_writes_nothing_when_it_is_back,
        replicas::a_leader_that_ends_hands_over,
        replicas::a_ca_that_does_not_answer_keeps_no_other,
        replicas::a_route_of_the_user_in_the_midst_of_a_challenge,
        replicas::one_namespace_alone,
        idle::asks_for_its_lease_alone,
        status_page::in_a_browser,
        renewal::the_ca_asks_for_it,
        renewal::the_same_answer_is_not_written,
        secrecy::no_key_is_logged,
        limits::a_crowd_waits_its_turn,
        bad_api::is_lived_with,
        busy_api::has_room_in_the_end,
        crash::at_every_point,
        // Takes away what the others have left beside the gateway.
        crash::at_what_other_gateways_need,
    ]
}

fn trials(world: Option<(Arc<Runtime>, Arc<World>)>) -> Vec<Trial> {
    trials![
        world,
        gateway::an_annotated_gateway_serves_and_takes_another_name,
        gateway::a_wildcard_route_keeps_its_other_paths,
        gateway::a_wildcard_server_that_redirects,
        gateway::an_exact_host_that_redirects,
        gateway::routes_of_the_user_for_the_same_host,
        gateway::several_gateways_for_one_host,
        gateway::hosts_are_for_namespaces,
        gateway::a_host_that_nobody_serves,
        gateway::a_policy_that_denies_everything,
        gateway::a_gateway_that_is_not_ready_yet,
        gateway::the_responder_answers,
        gateway_api::two_listeners_on_one_port,
        gateway_api::a_listener_set_with_tls_only,
        grpc::calls_go_on,
        year_2018::nobody_lends_a_hand,
        change::names_come_and_go,
        change::another_key_and_another_profile_word,
        change::a_secret_of_another_name,
        change::a_secret_that_is_deleted,
        change::two_that_want_one_secret,
        change::a_renewal_that_is_asked_for,
        change::another_account_key,
        change::another_issuer,
        account::it_follows_its_issuer,
        change::another_secret_template,
        change::a_secret_template_of_the_first_issue,
        change::a_preferred_chain,
        change::what_another_client_has_written,
        change::a_secret_of_somebody_else,
        change::a_certificate_that_goes_in_mid_order,
        goldens::the_api_server_knows_every_field,
        migration::the_api_server_takes_every_golden,
        migration::nothing_is_issued_anew,
        migration::what_is_printed_for_ingresses_works,
        migration::pairs_become_istio_gateways,
        migration::pairs_become_gateways,
        cost::eight_writes_for_one_certificate,
        kubectl::waits_for_ready,
        kubectl::shows_what_there_is,
        rights::no_more_than_is_needed,
        refusal::issuers,
        refusal::certificates,
        refusal::a_secret_of_the_wrong_type,
        refusal::a_secret_in_another_namespace,
        refusal::annotations_that_can_not_be_read,
        refusal::a_name_that_the_ca_refuses,
        tenants::what_is_anothers,
        tenants::an_entitlement_that_was_taken_away,
        tenants::a_tenants_issuer_has_its_own_account,
        tenants::a_tenants_probe_reads_nothing,
    ]
}
