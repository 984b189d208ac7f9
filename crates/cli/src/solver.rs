//! What answers the CA's questions.

mod responder;
mod webroot;

use crate::error::Failure;
use gatecert_http01::ListenAddress;
use gatecert_issue::Solver;
use gatecert_publish::Http01;
use responder::ResponderSolver;
use webroot::WebrootSolver;

/// A solver that is ready for challenges.
#[derive(Debug)]
pub(crate) enum OpenSolver {
    Responder(ResponderSolver),
    Webroot(WebrootSolver),
}

impl OpenSolver {
    pub(crate) fn as_solver(&self) -> &dyn Solver {
        match self {
            Self::Responder(solver) => solver,
            Self::Webroot(solver) => solver,
        }
    }

    /// Returns when its port is free.
    pub(crate) async fn close(self) {
        if let Self::Responder(solver) = self {
            solver.close().await;
        }
    }
}

/// The solver for these options. The port is bound, or the directory looked at, before anything is ordered.
pub(crate) fn open(http01: &Http01) -> Result<OpenSolver, Failure> {
    Ok(match http01 {
        Http01::Listen(address) => {
            let address: ListenAddress = address
                .parse()
                .map_err(|error: gatecert_http01::ListenAddressError| Failure::usage(error.to_string()))?;
            OpenSolver::Responder(ResponderSolver::bind(address)?)
        }
        Http01::Webroot(directory) => OpenSolver::Webroot(WebrootSolver::open(directory)?),
    })
}
