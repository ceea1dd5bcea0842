//! What the tests and benchmarks of this repository use of the inside. No API: anything here may change or go.

pub mod admin {
    pub use crate::admin::{AdminState, Config, bind};
    pub mod documents {
        pub use crate::admin::documents::Verdict;
    }
    pub mod service {
        pub mod evidence {
            pub use crate::admin::service::evidence::GivenEvidence;
        }
        pub mod history {
            pub use crate::admin::service::history::{of_settings, record};
        }
        pub mod readiness {
            pub use crate::admin::service::readiness::Readiness;
        }
        pub mod recheck {
            pub use crate::admin::service::recheck::Rechecks;
        }
        pub mod verdict {
            pub use crate::admin::service::verdict::VerdictSource;
        }
    }
}
pub mod advise {
    pub mod suggest {
        pub use crate::advise::suggest::{Answers, Hints, Prints};
    }
}
pub mod app {
    pub use crate::app::{App, StartError};
}
pub mod budget {
    pub use crate::budget::Budget;
}
pub mod cli {
    pub mod client {
        pub use crate::cli::client::{Address, Error};
    }
    pub mod gate {
        pub use crate::cli::gate::{Args, run};
    }
    pub mod recheck {
        pub use crate::cli::recheck::{Args, run};
    }
    pub mod rules {
        pub use crate::cli::rules::{Args, run};
    }
    pub mod status {
        pub use crate::cli::status::{Args, run};
    }
}
pub mod config {
    pub use crate::config::{Config, Flags, Loaded, Origin, Running, defaults, load};
    pub mod reload {
        pub use crate::config::reload::{Cause, Reloads};
    }
}
pub mod drain {
    pub use crate::drain::{Signal, channel};
}
pub mod serve {
    pub use crate::serve::{Percent, Percents, Rescue, Serve, ServeBy};
}
pub mod export {
    pub use crate::export::{Config, Metrics, Protocol, Push, Sources, Traces};
    pub mod log {
        pub use crate::export::log::Format;
    }
    pub mod otlp {
        pub use crate::export::otlp::Config;
    }
    pub mod prometheus {
        pub use crate::export::prometheus::{GaugeSource, RouteGauges, Verdict};
    }
}
pub mod http_client {
    pub use crate::http_client::{
        Client, Health, HostPolicy, Instance, NoAnswer, Resolver, Target, Via,
    };
}
pub mod intake {
    pub use crate::intake::{Config, Handles, Settings, Taken, bind};
}
pub mod ledger {
    pub use crate::ledger::{
        AnsweredBy, Bound, Clock, Draw, Gauges, Ledger, LedgerSnapshot, ListenerName, LiveCount,
        LiveFailure, Route, RuleCount, RuleCounts, SampleCause, Signal, Ticket, Timings,
    };
}
pub mod live {
    pub use crate::live::{AccessLog, Config, Ends, Forwarded, Handles, LiveSettings, bind};
    pub use crate::settings::{Checks, ListenerLimits};
}
pub mod pipeline {
    pub use crate::pipeline::{
        CapturedAnswer, CapturedRead, CheckInput, CompactAnswer, CompactHead, CompactRequest,
        FinishedCheck, Pairs, Queue, QueueReceiver, ReadMeta, ReadRequest, ReadSampler, Rechecked,
        Report, ReportedDifference, ReportedRequest, Reports, RuleEvidence, Sent, SentRequest,
        Span, TimedAnswer, Trace, Traced, Writes,
    };
    pub mod queue {
        pub use crate::pipeline::queue::channel;
    }
    pub mod report {
        pub use crate::pipeline::report::ReportedAnswer;
    }
}
pub mod redact {
    pub use crate::redact::{Config, HashKey, Redactor, Secret, Values};
}
pub mod route {
    pub use crate::route::{Access, Head, Routes};
}
pub mod sample {
    pub use crate::sample::{Frequency, Reads, Sampling};
}
pub mod settings {
    pub use crate::settings::{
        Capture, Current, Publisher, QueueLimits, Refused, SettingChange, Source, channel,
    };
}
pub mod shadow {
    pub use crate::shadow::{Compare, Conditional, Handles, Limits, Parts, Settings, Worker};
}
pub mod spanned_yaml {
    pub use crate::spanned_yaml::{ConfigErrors, Cursor, Node};
}
pub mod store {
    pub use crate::store::{Config, Database, Store};
}
pub mod trace_context {
    pub use crate::trace_context::TraceContext;
}
pub mod transport {
    pub use crate::transport::{
        Address, ClientFiles, ClientTls, Peer, ServerFiles, ServerTls, TlsFailure, TrustedProxies,
        read_header,
    };
}
