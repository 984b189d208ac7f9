//! What answers the CA's questions.

mod responder;
mod webroot;

use crate::error::Failure;
use gatecert_http01::ListenAddress;
use gatecert_issue::Solver;
use gatecert_publish::Http01;
use responder::ResponderSolver;
use std::sync::Arc;
use webroot::WebrootSolver;

/// The solver for these options. The port is bound, or the directory looked at, before anything is ordered.
pub(crate) fn open(http01: &Http01) -> Result<Arc<dyn Solver>, Failure> {
    Ok(match http01 {
        Http01::Listen(address) => {
            let address: ListenAddress = address
                .parse()
                .map_err(|error: gatecert_http01::ListenAddressError| Failure::usage(error.to_string()))?;
            Arc::new(ResponderSolver::bind(address)?)
        }
        Http01::Webroot(directory) => Arc::new(WebrootSolver::open(directory)?),
    })
}
