//! Requests to a host, at a fixed rate or as fast as it answers.

use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::http;
use crate::trial::Outcome;

/// Each has a connection and a thread of its own.
const CLIENTS: u32 = 4;

/// How requests follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// Number of requests per second, sent whether or not earlier ones are answered: a late answer delays all after it.
    Open(u32),
    /// Each client sends the next when it has the answer.
    Closed,
}

impl Load {
    /// How long each answer took.
    pub(crate) fn run(self, address: SocketAddr, window: Duration) -> Outcome<Vec<Duration>> {
        let began = Instant::now();
        thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|number| scope.spawn(move || self.client(number, address, began, window)))
                .collect();
            let mut all = Vec::new();
            for client in clients {
                let took =
                    client.join().map_err(|_| "a client panicked")?.map_err(|error| error.to_string())?;
                all.extend(took);
            }
            Ok(all)
        })
    }

    fn client(
        self,
        number: u32,
        address: SocketAddr,
        began: Instant,
        window: Duration,
    ) -> std::io::Result<Vec<Duration>> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let (mut took, mut answer) = (Vec::new(), Vec::new());
        for turn in 0u32.. {
            let due = match self {
                Load::Open(rate) => began + Duration::from_secs(1) * (turn * CLIENTS + number) / rate,
                Load::Closed => Instant::now(),
            };
            if due.duration_since(began) >= window {
                break;
            }
            thread::sleep(due.saturating_duration_since(Instant::now()));
            http::ask_again(&mut stream, "/healthz", &mut answer)?;
            took.push(due.elapsed());
        }
        Ok(took)
    }
}
