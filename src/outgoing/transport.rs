//! The choice of the transport to a target.

use std::rc::Rc;

use super::Transport;
use super::client::HttpTransport;
use super::file::FileTransport;
use super::target::Target;

/// The transport that carries requests to `target`: into its file, or over HTTP.
pub(crate) fn transport_to(target: &Target) -> Rc<dyn Transport> {
    match target.endpoint.file_path() {
        Some(path) => Rc::new(FileTransport::new(path)),
        None => HttpTransport::to(target),
    }
}
