//! Connections to PostgreSQL that die without a word, as after a failover, or behind a firewall that forgets them.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use deployment_telemetry::Reason;
use deployment_telemetry::receiver::{Keys, NewKey, PostgresFleetStore};
use test_support::{TestDatabase, wait_until};
use url::Url;
use uuid::Uuid;

use crate::host::{Event, Host, INSTANCE, LIMIT, RUN, postgres};

/// Passes connections on to `to`, until they freeze: then nothing of them arrives anywhere, and they stay open.
struct Relay {
    address: SocketAddr,
    frozen: Arc<AtomicU64>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (frozen, streams) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(Vec::new())));
        let relay = Self { address, frozen: frozen.clone(), streams: streams.clone() };
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(to).unwrap());
                let generation = frozen.load(Ordering::SeqCst);
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to, frozen) =
                        (from.try_clone().unwrap(), to.try_clone().unwrap(), frozen.clone());
                    thread::spawn(move || pass_on(from, to, || frozen.load(Ordering::SeqCst) == generation));
                }
                streams.lock().unwrap().extend([client, server]);
            }
        });
        relay
    }

    /// Freezes the connections that there are; new ones work.
    fn freeze(&self) {
        self.frozen.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        for stream in &*self.streams.lock().unwrap() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// What comes over a frozen connection is lost, its end included.
fn pass_on(mut from: TcpStream, mut to: TcpStream, is_alive: impl Fn() -> bool) {
    let mut bytes = [0; 65_536];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if is_alive() && to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    if is_alive() {
        let _ = to.shutdown(Shutdown::Both);
    }
}

/// Lets the receiver open several connections to read with, which it keeps: it asks for the numbers of the fleet while a
/// lock holds up the answers.
fn keep_several_idle(database: &TestDatabase, host: &Host) {
    let mut client = postgres::Client::connect(database.url(), postgres::NoTls).unwrap();
    let mut lock = client.transaction().unwrap();
    lock.batch_execute("lock table telemetry_instance in access exclusive mode").unwrap();
    thread::scope(|scope| {
        for path in ["/api/instances", "/api/instances?state=down", "/api/instances?state=up"] {
            scope.spawn(move || assert_eq!(host.request("GET", path, &[], b"").status, 200));
        }
        wait_until("all wait for the lock", LIMIT, || {
            let waiting = "select count(*)::text from pg_stat_activity
                           where datname = current_database() and wait_event_type = 'Lock' and query like '%telemetry_instance%'";
            database.query_one_text(waiting).is_some_and(|count| count.parse::<u32>().unwrap() >= 3)
        });
        lock.rollback().unwrap();
    });
}

/// Keys are read every two seconds, and a read is given up after five: seven to nine seconds with one that is lost, nineteen
/// and more with one for each of the three connections that died.
const REFUSED_WITHIN: Duration = Duration::from_secs(14);

fn begin() -> Event {
    Event::new(INSTANCE, RUN, 1, Reason::Begin)
}

#[test]
fn connections_that_die_without_a_word_hold_up_neither_a_revocation_nor_the_stop() {
    let database = TestDatabase::new();
    let mut url = Url::parse(database.url()).unwrap();
    let behind = url.socket_addrs(|| None).unwrap()[0];
    let relay = Relay::start(behind);
    url.set_ip_host(relay.address.ip()).unwrap();
    url.set_port(Some(relay.address.port())).unwrap();
    let host = Host::start(PostgresFleetStore::from_url(url.as_str()).unwrap(), |builder| builder);
    let keys = Keys::of(postgres(&database));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let new = |name: &str| NewKey::named(name);
    wait_until("the receiver is ready", LIMIT, || host.send(&begin()).status == 200);
    let created = runtime.block_on(keys.create(new("revoked"))).unwrap();
    // Each key has an instance of its own.
    let send = |key: &str| {
        let beginning = key.as_bytes().first_chunk().expect("a key is longer than 8 bytes");
        let instance = Uuid::from_u64_pair(u64::from_be_bytes(*beginning), 1);
        let event = Event::new(instance, RUN, 1, Reason::Begin);
        host.request("POST", &format!("/webhooks/{key}"), &event.headers(), &event.body).status
    };
    wait_until("the key is known", LIMIT, || send(created.key.expose()) == 200);

    keep_several_idle(&database, &host);
    relay.freeze();
    assert!(runtime.block_on(keys.revoke(created.id)).unwrap());
    wait_until("the key is refused", REFUSED_WITHIN, || send(created.key.expose()) == 404);

    let used = runtime.block_on(keys.create(new("used"))).unwrap();
    wait_until("the other key is known", LIMIT, || send(used.key.expose()) == 200);
    relay.freeze();
    let stop = async { tokio::time::timeout(LIMIT, host.receiver.stop()).await };
    runtime.block_on(stop).expect("it stops, as it says, within five seconds");
}
