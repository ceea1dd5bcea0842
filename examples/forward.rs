#[global_allocator]
static ALLOC: mimalloc::MiMalloc = mimalloc::MiMalloc;
use std::sync::Arc;
use twinread::{
    budget::Budget,
    drain, handoff, proxy, settings,
    telemetry::{Gauges, Ledger},
    upstream::Target,
};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let rt = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    rt.block_on(async move {
        let gauges = Gauges::default();
        let (queue, mut feed) = handoff::sample::channel(1024, gauges.clone());
        tokio::spawn(async move { while feed.next().await.is_some() {} });
        let old = Arc::new(Target::new(args[2].parse().unwrap()));
        let mut live = proxy::Live::default();
        live.sampling.rate = args[3].parse().unwrap();
        live.sampling.max_per_second = 1_000_000.into();
        let (_p, live) = settings::channel(live);
        let exporter = opentelemetry_sdk::metrics::SdkMeterProvider::builder().build();
        use opentelemetry::metrics::MeterProvider;
        let handles = proxy::Handles {
            live,
            ledger: Ledger::new(500, gauges.clone()),
            gauges,
            budget: Budget::new(64 << 20),
            queue,
            timings: if args.get(4).is_some() {
                twinread::telemetry::timings::Timings::register(&exporter.meter("x"))
            } else {
                Default::default()
            },
        };
        let bound = proxy::bind(
            proxy::Config {
                listen: args[1].parse().unwrap(),
                old: old.clone(),
                new: old,
            },
            handles,
        )
        .unwrap();
        let (_s, w) = drain::channel();
        tokio::spawn(bound.run(w)).await.unwrap();
    });
}
