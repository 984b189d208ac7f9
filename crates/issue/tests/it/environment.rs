//! A CA, a responder, and what `obtain` needs to bring them together.

use crate::clock::FastClock;
use crate::seams::StoreSolver;
use crate::wire::{Tamper, Wire};
use gatecert_acme::{
    Account, AccountCredentials, AccountKey, Client, HttpTransport, Identifier, KeyAlgorithm, NewAccount,
};
use gatecert_http01::{ListenAddress, Responder, Server, ServerHandle, TokenStore};
use gatecert_issue::{Bundle, Event, MemoryJournal, ObtainError, Request, obtain};
use gatecert_testkit::{Pebble, PebbleBuilder};
use std::sync::{Arc, Mutex};

pub struct Environment {
    pub pebble: Pebble,
    pub store: TokenStore,
    pub journal: MemoryJournal,
    pub wire: Arc<Wire>,
    events: Mutex<Vec<Event>>,
    credentials: AccountCredentials,
    _server: ServerHandle,
}

impl Environment {
    pub async fn start() -> Self {
        Self::with(Pebble::builder()).await
    }

    /// With a Pebble of these settings, which reaches the responder on both loopback addresses.
    pub async fn with(pebble: PebbleBuilder) -> Self {
        let store = TokenStore::new();
        let server =
            Server::bind(ListenAddress::loopback(0)).unwrap().spawn(Responder::new(store.clone())).unwrap();
        let port = server.local_addrs()[0].port();
        let pebble = pebble.strict(true).http_port(port).start().await.unwrap();
        let transport = HttpTransport::builder().root_certificates_pem(pebble.ca_pem()).build().unwrap();
        let wire = Arc::new(Wire::new(Arc::new(transport)));
        let client = client(&pebble, &wire).await;
        let account = new_account(&client).await;
        wire.take();
        Self {
            credentials: account.credentials(),
            journal: MemoryJournal::default(),
            events: Mutex::default(),
            _server: server,
            pebble,
            store,
            wire,
        }
    }

    /// The account by a new client, as after a start of the process.
    pub async fn account(&self) -> Account {
        client(&self.pebble, &self.wire).await.account(&self.credentials).unwrap()
    }

    pub async fn other_account(&self) -> Account {
        new_account(&client(&self.pebble, &self.wire).await).await
    }

    pub fn solver(&self) -> StoreSolver {
        StoreSolver::new(self.store.clone())
    }

    /// Answers at another address too.
    pub fn answer_at(&self, address: &str) -> ServerHandle {
        let address = format!("{address}:{}", self.pebble.http_port()).parse().unwrap();
        Server::bind(address).unwrap().spawn(Responder::new(self.store.clone())).unwrap()
    }

    /// Obtains, and checks what holds on every way out.
    pub async fn obtain(&self, request: &Request) -> Result<Bundle, ObtainError> {
        self.obtain_with(&self.account().await, request).await
    }

    pub async fn obtain_with(&self, account: &Account, request: &Request) -> Result<Bundle, ObtainError> {
        self.wire.take();
        let progress = |event| self.events.lock().unwrap().push(event);
        let result = obtain(account, request, &self.solver(), &self.journal, &progress).await;
        assert!(self.store.is_empty(), "answers are left behind");
        result
    }

    /// The events so far, and forgets them.
    pub fn events(&self) -> Vec<Event> {
        std::mem::take(&mut self.events.lock().unwrap())
    }

    /// Changes the CA's answers from now on.
    pub fn tamper(&self, tamper: Tamper) {
        self.wire.tamper(Some(tamper));
    }
}

async fn client(pebble: &Pebble, wire: &Arc<Wire>) -> Client {
    let builder =
        Client::builder(pebble.directory_url()).transport(wire.clone()).clock(Arc::new(FastClock::new()));
    builder.build().await.unwrap()
}

async fn new_account(client: &Client) -> Account {
    let new_account = NewAccount { terms_of_service_agreed: true, ..NewAccount::default() };
    client.create_account(&new_account, AccountKey::generate(KeyAlgorithm::Es256).unwrap()).await.unwrap()
}

pub fn names(names: &[&str]) -> Vec<Identifier> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}
