//! The instance id in a file, for a server that is one process.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use deployment_telemetry::{StateError, StateFuture, StateStore};
use tokio::task::spawn_blocking;

pub(crate) struct FileStore(PathBuf);

impl FileStore {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }
}

impl StateStore for FileStore {
    fn read<'a>(&'a self, _: &'a str) -> StateFuture<'a, Option<String>> {
        let path = self.0.clone();
        Box::pin(async {
            let read = move || match fs::read_to_string(path) {
                Ok(text) => Ok(Some(text)),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            };
            off_the_thread(read).await
        })
    }

    fn replace<'a>(&'a self, _: &'a str, _: Option<&'a str>, value: &'a str) -> StateFuture<'a, bool> {
        let (path, value) = (self.0.clone(), value.to_owned());
        Box::pin(off_the_thread(move || fs::write(path, value).map(|()| true)))
    }
}

async fn off_the_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StateError> {
    spawn_blocking(work).await.map_err(StateError::new)?.map_err(StateError::new)
}
