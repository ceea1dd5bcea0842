//! Binds the listeners that take requests: of callers, and of a proxy that mirrors theirs.

use super::AppBuilder;
use crate::{
    app::StartError,
    config::Config,
    intake, live,
    pipeline::Queue,
    transport::{Address, Inherited},
};
use std::io;
use tokio::runtime::Handle;

// === impl AppBuilder ===

impl AppBuilder {
    /// `None` if it is not in the path.
    pub(in crate::app) async fn bind_live(
        &self,
        live: &Handle,
        queue: Queue,
        inherited: Option<Inherited>,
    ) -> Result<Option<live::Bound>, StartError> {
        let (config, publisher) = (&self.config, &self.publisher);
        let Some(listen) = &config.settings.listen else {
            return Ok(None);
        };
        let settings = live::Config {
            listen: listen.clone(),
            inherited,
            old: config.old.clone(),
            new: config.new.clone(),
            limits: self.shares.of_callers(config.settings.limits),
            proxies: config.settings.proxy_protocol.clone(),
        };
        let handles = live::Handles {
            live: publisher.live.reader(),
            ledger: self.counted.ledger.clone(),
            gauges: self.gauges.clone(),
            budget: publisher.budget.clone(),
            sampler: self.sampler.clone(),
            queue,
            timings: self.metrics.timings(),
            writes: publisher.writes.clone(),
            stacks: self.stacks.clone(),
            accepted: || (),
        };
        let bound = bind(live, move || live::bind(settings, handles)).await;
        named(bound, "listen", listen).map(Some)
    }

    /// `None` if no copies of requests are taken.
    pub(in crate::app) async fn bind_mirror(
        &self,
        live: &Handle,
        queue: Queue,
    ) -> Result<Option<intake::Bound>, StartError> {
        let (config, publisher) = (&self.config, &self.publisher);
        let Some(listen) = &config.settings.mirror.listen else {
            return Ok(None);
        };
        let settings = intake::Config {
            listen: listen.clone(),
            limits: self.shares.of_callers(config.settings.limits),
            instance: config.old.instance.clone(),
        };
        let handles = intake::Handles {
            settings: publisher.intake.reader(),
            ledger: self.counted.ledger.clone(),
            gauges: self.gauges.clone(),
            budget: publisher.budget.clone(),
            sampler: self.sampler.clone(),
            queue,
            writes: publisher.writes.clone(),
        };
        let bound = bind(live, move || intake::bind(settings, handles)).await;
        named(bound, "mirror.listen", listen).map(Some)
    }
}

/// Binds on the runtime whose threads poll the listener.
async fn bind<B: Send + 'static>(
    live: &Handle,
    bind: impl FnOnce() -> io::Result<B> + Send + 'static,
) -> io::Result<B> {
    let bound = live.spawn(async { bind() }).await;
    bound.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn named<B>(bound: io::Result<B>, setting: &'static str, addr: &Address) -> Result<B, StartError> {
    bound.map_err(|source| StartError::Bind {
        setting,
        addr: addr.clone(),
        source,
    })
}

/// How many listeners take requests.
pub(super) fn count(config: &Config) -> usize {
    let settings = &config.settings;
    let listeners = [&settings.listen, &settings.mirror.listen];
    listeners.into_iter().flatten().count()
}

/// Where requests come from if callers send none.
pub(super) fn note(config: &Config) -> Option<String> {
    let settings = &config.settings;
    let mirror = settings.mirror.listen.as_ref();
    let mirror = mirror.filter(|_| settings.listen.is_none())?;
    Some(format!(
        "not in the path of callers: their requests are mirrored to {mirror}"
    ))
}
