//! What a client can cost.

use std::time::Duration;

/// The size of a request's head, in bytes: the least that hyper works with. A challenge needs a few hundred.
pub(crate) const MAX_HEAD_BYTES: usize = 8 * 1024;

/// The bounds of a [`Server`](crate::Server). The head of a request may have 8 KiB and 100 header lines; a larger one is answered 431 or 414.
///
/// With the defaults all connections together cost at most 512 × (8 KiB read + 8 KiB written + less than 4 KiB of state), 10 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at a time; 0 counts as 1. For one more the connection gives way that has waited longest for a whole head of a
    /// request, idle or slow, but a quarter of a second at least; one whose request is being answered does not. Until then more of them
    /// wait in the queue of the kernel. Default 512: the usual soft limit is 1,024 descriptors, and half are left to the rest of the
    /// program.
    pub connections: u32,
    /// How long the head of a request may take, and how long a connection may be idle before it. Default 10 s, as long as Let's Encrypt
    /// waits for a whole validation.
    pub head_time: Duration,
    /// How long the client may read nothing while an answer waits. Default 10 s.
    pub write_time: Duration,
    /// How long open requests may take after the shutdown began. Default 10 s, a third of the time that Kubernetes gives a pod.
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let time = Duration::from_secs(10);
        Self { connections: 512, head_time: time, write_time: time, drain_time: time }
    }
}
