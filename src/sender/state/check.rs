//! A check that a store keeps the contract of [`StateStore`].

use futures_util::future::join_all;
use uuid::Uuid;

use super::{StateError, StateStore};

/// Number of calls that race for one key.
const RACERS: usize = 64;

/// A store does not keep the contract of [`StateStore`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContractError {
    /// A call failed.
    #[error("{call} failed")]
    Failed {
        /// The call.
        call: String,
        /// The error that the store returned.
        #[source]
        source: StateError,
    },
    /// A call answered something else than the contract asks for.
    #[error("{call} answered {answered}; expected {expected}")]
    Broken {
        /// The call.
        call: String,
        /// The answer.
        answered: String,
        /// The answer that the contract asks for.
        expected: String,
    },
}

/// Checks that `store` keeps the contract of [`StateStore`], for the tests of a host that implements
/// the trait.
///
/// It works on keys of its own, which stay in the store: pass a store of the tests. It must be awaited
/// in a tokio runtime if the store needs one.
///
/// # Errors
/// The first call that failed, or that did not answer as it should.
///
/// ```
/// use deployment_telemetry::{MemoryStateStore, state};
///
/// # futures_executor::block_on(async {
/// state::check(&MemoryStateStore::new()).await?;
/// # Ok::<(), state::ContractError>(())
/// # }).unwrap();
/// ```
pub async fn check(store: &impl StateStore) -> Result<(), ContractError> {
    let checked = Checked { store, key: format!("check-{}", Uuid::new_v4()) };
    checked.reads(None).await?;
    checked.replaces(Some("1"), "2", false).await?;
    checked.reads(None).await?;
    checked.replaces(None, "\"first\"", true).await?;
    checked.reads(Some("\"first\"")).await?;
    checked.replaces(None, "\"second\"", false).await?;
    checked.replaces(Some("\"other\""), "\"second\"", false).await?;
    checked.reads(Some("\"first\"")).await?;
    // As a host's own SQL may have left it.
    let mut before = "\"first\"".to_owned();
    for value in ["null", "7", "\"\"", "\"a ' \\\" \\\\ b\"", "[1,{\"a\":2}]", "{}"] {
        // The text that the store itself returned, which may have other blanks.
        before = checked.stored().await?.unwrap_or(before);
        checked.replaces(Some(&before), value, true).await?;
        checked.reads(Some(value)).await?;
    }
    let neighbour = Checked { store, key: format!("check-{}", Uuid::new_v4()) };
    neighbour.reads(None).await?;
    neighbour.races().await?;
    checked.reads(Some("{}")).await
}

/// A key of a store under test.
struct Checked<'a, S> {
    store: &'a S,
    key: String,
}

impl<S: StateStore> Checked<'_, S> {
    async fn stored(&self) -> Result<Option<String>, ContractError> {
        let call = || format!("read({:?})", self.key);
        self.store.read(&self.key).await.map_err(|source| ContractError::Failed { call: call(), source })
    }

    /// JSON texts are equal if their values are: `jsonb` writes blanks of its own.
    async fn reads(&self, expected: Option<&str>) -> Result<(), ContractError> {
        let answered = self.stored().await?;
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
        let same = match (answered.as_deref(), expected) {
            (None, None) => true,
            (Some(answered), Some(expected)) => {
                value(answered).is_some_and(|answered| Some(answered) == value(expected))
            }
            _ => false,
        };
        self.ensure(same, format!("read({:?})", self.key), &answered, &expected)
    }

    async fn replaces(&self, expected: Option<&str>, value: &str, stores: bool) -> Result<(), ContractError> {
        let call = format!("replace({:?}, {expected:?}, {value:?})", self.key);
        match self.store.replace(&self.key, expected, value).await {
            Ok(answered) => self.ensure(answered == stores, call, &answered, &stores),
            Err(source) => Err(ContractError::Failed { call, source }),
        }
    }

    /// Of many calls at once exactly one stores, and its value stays.
    async fn races(&self) -> Result<(), ContractError> {
        let call = format!("one of {RACERS} concurrent replace({:?}, None, …)", self.key);
        let values: Vec<String> = (0..RACERS).map(|number| number.to_string()).collect();
        let outcomes = join_all(values.iter().map(|value| self.store.replace(&self.key, None, value))).await;
        let mut winners = Vec::new();
        for (outcome, value) in outcomes.into_iter().zip(&values) {
            match outcome {
                Ok(true) => winners.push(value.as_str()),
                Ok(false) => {}
                Err(source) => return Err(ContractError::Failed { call, source }),
            }
        }
        self.ensure(winners.len() == 1, call, &format!("true {} times", winners.len()), &"true once")?;
        self.reads(Some(winners[0])).await
    }

    fn ensure(
        &self,
        holds: bool,
        call: String,
        answered: &dyn std::fmt::Debug,
        expected: &dyn std::fmt::Debug,
    ) -> Result<(), ContractError> {
        match holds {
            true => Ok(()),
            false => Err(ContractError::Broken {
                call,
                answered: format!("{answered:?}"),
                expected: format!("{expected:?}"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sender::state::{FileStateStore, MemoryStateStore};

    /// A store with a fault.
    struct Faulty {
        inner: MemoryStateStore,
        fault: &'static str,
    }

    impl StateStore for Faulty {
        async fn read(&self, key: &str) -> Result<Option<String>, StateError> {
            match self.fault {
                "reads fail" => Err("the database is down".into()),
                "one key for all" => self.inner.read("").await,
                "text that is no JSON" => Ok(self.inner.read(key).await?.map(|text| format!("'{text}'"))),
                _ => self.inner.read(key).await,
            }
        }

        async fn replace(&self, key: &str, expected: Option<&str>, value: &str) -> Result<bool, StateError> {
            let key = if self.fault == "one key for all" { "" } else { key };
            let stored = self.inner.read(key).await?;
            match self.fault {
                "replaces whatever is there" => self.inner.replace(key, stored.as_deref(), value).await,
                "says it stored" => self.inner.replace(key, expected, value).await.map(|_| true),
                "races" if expected.is_none() && stored.is_none() => {
                    tokio::task::yield_now().await;
                    let stored = self.inner.read(key).await?;
                    self.inner.replace(key, stored.as_deref(), value).await
                }
                _ => self.inner.replace(key, expected, value).await,
            }
        }
    }

    #[actix_rt::test]
    async fn the_stores_of_this_crate_keep_the_contract() {
        check(&MemoryStateStore::new()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        check(&FileStateStore::new(folder.path().join("state.json"))).await.unwrap();
    }

    #[actix_rt::test]
    async fn every_fault_of_a_store_is_found() {
        for fault in [
            "reads fail",
            "one key for all",
            "text that is no JSON",
            "replaces whatever is there",
            "says it stored",
            "races",
        ] {
            let store = Faulty { inner: MemoryStateStore::new(), fault };
            assert!(check(&store).await.is_err(), "{fault}");
        }
    }
}
