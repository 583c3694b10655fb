//! The ConfigActor reads the configuration once and answers the supervisor with it, or with
//! everything that is wrong with it.

use std::sync::Arc;

use actix::{Actor, Context, Handler, Message, Supervised};

use super::{Config, Reading, Settings, Vendor};
use crate::outgoing::setting::ConfigErrors;
use crate::sender::heartbeat::Tick;
use crate::sender::product::Product;

/// Gives the settings; they are read at the first call.
#[derive(Message)]
#[rtype(result = "Result<Arc<Settings>, ConfigErrors>")]
pub(crate) struct Load;

/// Where the operator's settings are.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConfigSource {
    /// What the host hands in instead of the process's environment.
    pub(crate) given: Option<Config>,
    /// What holds for a setting that is unset there.
    pub(crate) defaults: Config,
}

impl ConfigSource {
    /// Reads and checks. Reads the environment and the CA file, nothing else.
    pub(crate) fn load(&self, product: &Product, vendor: Option<&Vendor>) -> Result<Settings, ConfigErrors> {
        let environment = |name: &str| std::env::var_os(name);
        let reading = match &self.given {
            None => Reading::from_environment(product, &environment),
            Some(config) => Reading::given(config.clone(), &environment),
        };
        Settings::check(reading.or(self.defaults.clone()), product, vendor)
    }
}

pub(crate) struct ConfigActor {
    source: ConfigSource,
    product: Product,
    vendor: Option<Vendor>,
    /// What was read, once it was read.
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
