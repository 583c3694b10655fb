//! One request, as the login sees it.

use std::sync::Arc;

use actix_web::dev::{RequestHead, ServiceRequest};
use actix_web::http::header::{ORIGIN, REFERER};

use super::address::Address;
use super::attempts::{Network, network};
use super::cookie::SessionCookie;
use super::door::Door;
use super::sessions::{SessionLimits, Token};
use crate::receiver::http::{accept, cross_site};

/// What the query of that begins with which `pages.js` loads by itself.
pub(crate) const UNATTENDED: &str = "unattended";

pub(super) struct Visit {
    pub(super) door: Arc<Door>,
    pub(super) limits: SessionLimits,
    pub(super) address: Address,
    pub(super) cookie: SessionCookie,
    pub(super) from: Network,
}

impl Visit {
    pub(super) fn of(door: &Arc<Door>, limits: SessionLimits, request: &ServiceRequest) -> Self {
        let (address, head) = (Address::of(request), request.request().head());
        Self {
            door: door.clone(),
            limits,
            cookie: SessionCookie::of(head, cross_site::is_https(request), address.is_at_root),
            address,
            from: head.peer_addr.map(|peer| network(peer.ip())),
        }
    }

    /// The session of the request. It was used now, and its network is known from now on, unless nobody asked.
    pub(super) fn session(&self, request: &RequestHead) -> Option<Token> {
        let now = self.door.clock.monotonic();
        let mut tokens = self.cookie.tokens(request);
        if is_unattended(request) {
            return tokens.find(|token| self.door.sessions.lasts(token, now, self.limits));
        }
        let token = tokens.find(|token| self.door.sessions.resume(token, now, self.limits))?;
        self.door.attempts.welcome(self.from, now);
        Some(token)
    }

    /// Whether a browser asks, to which HTTP Basic must not be offered: it would ask for a password by itself.
    pub(super) fn is_of_browser(&self, request: &RequestHead) -> bool {
        let says = |name: &str| request.headers.contains_key(name);
        asks_for_page(request)
            || self.cookie.is_in(request)
            || says("sec-fetch-site")
            || says(ORIGIN.as_str())
            || says(REFERER.as_str())
    }
}

/// Whether the answer is shown to a person, as that to a link or to a form is.
pub(super) fn asks_for_page(request: &RequestHead) -> bool {
    accept::names(request, "text/html")
}

/// Whether a page that is open asks by itself: it listens to what changes, wherever the fleet is mounted behind the guard,
/// or loads a part of itself anew.
fn is_unattended(request: &RequestHead) -> bool {
    let first = request.uri.query().and_then(|query| query.split('&').next());
    accept::names(request, "text/event-stream") || first == Some(UNATTENDED)
}
