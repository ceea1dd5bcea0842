//! Binds the listeners that take requests: of callers, and of a proxy that serves theirs.

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

    /// `None` if another proxy sends nothing of this kind.
    pub(in crate::app) async fn bind_intake(
        &self,
        takes: intake::Taken,
        threads: &Handle,
        queue: &Queue,
    ) -> Result<Option<intake::Bound>, StartError> {
        let (config, publisher) = (&self.config, &self.publisher);
        let (setting, listen) = match takes {
            intake::Taken::Mirror => ("mirror.listen", &config.settings.mirror.listen),
            intake::Taken::ExtProc => ("ext_proc.listen", &config.settings.ext_proc.listen),
        };
        let Some(listen) = listen else {
            return Ok(None);
        };
        let settings = intake::Config {
            takes,
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
            queue: queue.clone(),
            writes: publisher.writes.clone(),
        };
        let bound = bind(threads, move || intake::bind(settings, handles)).await;
        named(bound, setting, listen).map(Some)
    }
}

/// Binds on the runtime whose threads poll the listener.
async fn bind<B: Send + 'static>(
    threads: &Handle,
    bind: impl FnOnce() -> io::Result<B> + Send + 'static,
) -> io::Result<B> {
    let bound = threads.spawn(async { bind() }).await;
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
    let listeners = [
        &settings.listen,
        &settings.mirror.listen,
        &settings.ext_proc.listen,
    ];
    listeners.into_iter().flatten().count()
}

/// Where requests come from if callers send none.
pub(super) fn note(config: &Config) -> Option<String> {
    let settings = &config.settings;
    if settings.listen.is_some() {
        return None;
    }
    let mirror = settings.mirror.listen.as_ref();
    let mirror = mirror.map(|at| format!("their requests are mirrored to {at}"));
    let ext_proc = settings.ext_proc.listen.as_ref();
    let ext_proc = ext_proc.map(|at| format!("Envoy shows their requests at {at}"));
    let from: Vec<_> = mirror.into_iter().chain(ext_proc).collect();
    Some(format!(
        "not in the path of callers: {}",
        from.join(", and ")
    ))
}
