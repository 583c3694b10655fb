//! The webhook of a receiver, and the connections to it.

use std::error::Error;
use std::time::Duration;

use awc::{Client, Connector};
use url::Url;

use crate::sender::Request;

/// Time that one request may take; the real sender gives up earlier.
const LIMIT: Duration = Duration::from_secs(10);

/// A webhook that events are posted to. Clones share the connections, which are kept alive.
#[derive(Clone)]
pub struct Webhook {
    client: Client,
    url: Url,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Body, often empty.
    pub body: Vec<u8>,
}

impl Webhook {
    /// A webhook with at most `connections` connections; opens none of them. Only `http://` is possible: a receiver on
    /// another machine has a proxy in front that speaks TLS.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub fn new(url: Url, connections: usize) -> Result<Self, String> {
        if url.scheme() != "http" {
            return Err("it must begin with http://".to_owned());
        }
        if url.host_str().is_none() {
            return Err("it has no host".to_owned());
        }
        let client = Client::builder()
            .connector(Connector::new().limit(connections))
            .timeout(LIMIT)
            .disable_redirects()
            .finish();
        Ok(Self { client, url })
    }

    /// Host and port, for a socket.
    pub fn address(&self) -> (&str, u16) {
        let host = self.url.host_str().unwrap_or_default();
        // A socket address has an IPv6 address without brackets.
        (host.trim_matches(['[', ']']), self.url.port_or_known_default().unwrap_or(80))
    }

    /// Posts a request once, without another attempt, and reads the answer.
    ///
    /// # Errors
    /// No answer came within 10 seconds.
    pub async fn post(&self, request: &Request) -> Result<Answer, Box<dyn Error>> {
        let mut post = self.client.post(self.url.as_str());
        for (name, value) in &request.headers {
            post = post.insert_header((*name, value.as_str()));
        }
        let mut answer = post.send_body(request.body.clone()).await?;
        // A connection is used again only after its answer was read to the end.
        let body = answer.body().await?;
        Ok(Answer { status: answer.status().as_u16(), body: body.to_vec() })
    }
}
