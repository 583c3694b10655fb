//! The ConfigActor reads and checks the configuration once. The supervisor asks it with [`Load`] at start; it
//! answers with the settings, or with all their problems.

use std::sync::Arc;

use actix::{Actor, Context, Handler, Message, Supervised};

use super::{Config, Reading, Settings, Vendor};
use crate::outgoing::setting::ConfigErrors;
use crate::sender::heartbeat::Tick;
use crate::sender::product::Product;

/// Request for the settings. The first one reads them.
#[derive(Message)]
#[rtype(result = "Result<Arc<Settings>, ConfigErrors>")]
pub(crate) struct Load;

/// Source of the operator's settings.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConfigSource {
    /// Settings that the host provides; `None` to read the process's environment.
    pub(crate) given: Option<Config>,
    /// Values of the settings that the operator leaves unset.
    pub(crate) defaults: Config,
}

impl ConfigSource {
    /// Reads and checks the settings. Reads the environment and the CA file only.
    pub(crate) fn load(&self, product: &Product, vendor: Option<&Vendor>) -> Result<Settings, ConfigErrors> {
        let environment = |name: &str| std::env::var_os(name);
        let reading = match &self.given {
            None => Reading::from_environment(product, &environment),
            Some(config) => Reading::given(config.clone(), &environment),
        };
        Settings::check(reading.or(self.defaults.clone()), product, vendor)
    }
}

/// Actor that holds the configuration.
pub(crate) struct ConfigActor {
    source: ConfigSource,
    product: Product,
    vendor: Option<Vendor>,
    /// Result of the first successful reading.
    settings: Option<Arc<Settings>>,
}

impl ConfigActor {
    pub(crate) fn new(source: ConfigSource, product: Product, vendor: Option<Vendor>) -> Self {
        Self { source, product, vendor, settings: None }
    }
}

impl Actor for ConfigActor {
    type Context = Context<Self>;
}

impl Supervised for ConfigActor {}

impl Handler<Load> for ConfigActor {
    type Result = Result<Arc<Settings>, ConfigErrors>;

    fn handle(&mut self, _: Load, _: &mut Self::Context) -> Self::Result {
        tracing::trace!("takes Load");
        if let Some(settings) = &self.settings {
            return Ok(settings.clone());
        }
        let settings = Arc::new(self.source.load(&self.product, self.vendor.as_ref())?);
        self.settings = Some(settings.clone());
        Ok(settings)
    }
}

impl Handler<Tick> for ConfigActor {
    type Result = ();

    fn handle(&mut self, _: Tick, _: &mut Self::Context) {
        tracing::trace!("takes Tick");
    }
}
