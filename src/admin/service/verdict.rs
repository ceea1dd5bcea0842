//! The current verdict: the ledger's figures under the configuration in force.

use super::evidence::{Fits, GivenEvidence};
use crate::{
    admin::documents,
    config::Config,
    export::{GaugeSource, prometheus},
    ledger::{Gauges, Ledger, Route, RuleCount, RuleCounts, today},
    rules::Rule,
    sample::By,
    settings::{Checks, Current},
    verdict::{Activity, Decision, Evidence, judge},
};
use jiff::{civil::Date, tz::TimeZone};
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

/// Answers queries of the admin API and the metrics. Cheap to clone.
#[derive(Clone, Debug)]
pub struct VerdictSource {
    pub ledger: Ledger,
    pub gauges: Gauges,
    pub config: Current<Config>,
    pub rule_counts: RuleCounts,
    /// What other processes found.
    pub evidence: GivenEvidence,
    /// What metrics show: the verdict as of the last `show`.
    pub shown: Arc<Mutex<Option<Arc<prometheus::Verdict>>>>,
}

/// The advice on a route that exists for scanners only.
const UNWANTED: &str = "all answers were 4xx; if nobody needs it, add it to verdict.exempt or set `verdict.required: declared`";

// === impl VerdictSource ===

impl VerdictSource {
    /// Shows the verdict in the metrics until the next call.
    pub(super) fn show(&self, verdict: &documents::Verdict) {
        let shown = Arc::new(gauges(verdict, &self.config.get()));
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
    }

    pub(crate) fn verdict(&self) -> documents::Verdict {
        let config = self.config.get();
        let now = self.ledger.now();
        let evidence = Evidence {
            tallies: self.ledger.tallies(),
            required: required(&config),
            expired_rules: expired(&config),
            activity: match activity(&config) {
                Activity::Sampling if self.gauges.is_breaker_open() => Activity::BreakerOpen,
                activity => activity,
            },
            is_by_key: config.settings.sample.by != By::Chance,
            is_same_stack: config.is_same_stack,
        };
        let mut verdict = documents::Verdict::from(judge(&evidence, &config.settings.verdict, now));
        verdict.evidence = self.evidence.states(&Fits::of(&config, &verdict));
        self.advise(&mut verdict, &config);
        verdict
    }

    /// What evidence of other processes has to be about now.
    pub(in crate::admin) fn fits(&self) -> Fits {
        Fits::of(&self.config.get(), &self.verdict())
    }

    /// Advises on required routes that callers ask for in vain, as scanners do.
    fn advise(&self, verdict: &mut documents::Verdict, config: &Config) {
        let routes = self.ledger.routes();
        let unwanted = routes.iter().filter(|route| is_only_refused(route));
        let mut unwanted: HashSet<&str> = unwanted.map(|route| &**route.name()).collect();
        for name in config.routes.declared() {
            unwanted.remove(name);
        }
        let routes = verdict.routes.iter_mut();
        for route in routes.filter(|route| route.required && route.state == Decision::Undecided) {
            if route.advice.is_none() && unwanted.contains(&*route.route) {
                route.advice = Some(UNWANTED.to_owned());
            }
        }
    }

    pub(in crate::admin) fn rules(&self) -> documents::Rules {
        let config = self.config.get();
        let today = today();
        let rules = config.comparing.rules.rules().iter();
        let rules = rules.map(|rule| self.rule(rule, today)).collect();
        documents::Rules { rules }
    }

    fn rule(&self, rule: &Rule, today: Date) -> documents::Rule {
        let count = self.rule_counts.get(&rule.id);
        documents::Rule {
            id: rule.id.clone(),
            why: rule.why.clone(),
            owner: rule.owner.clone(),
            expires: rule.expires.map(|expires| expires.to_string()),
            expired: rule.expires.is_some_and(|expires| expires < today),
            applied: count.applied,
            masked: count.masked,
        }
    }
}

impl GaugeSource for VerdictSource {
    fn verdict(&self) -> Option<Arc<prometheus::Verdict>> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.clone()
    }

    fn rules(&self) -> Vec<(Arc<str>, RuleCount)> {
        let config = self.config.get();
        let rules = config.comparing.rules.rules().iter();
        let ids = rules.map(|rule| Arc::from(rule.id.as_str()));
        ids.map(|id| (Arc::clone(&id), self.rule_counts.get(&id)))
            .collect()
    }

    fn expiries(&self) -> Vec<(Arc<str>, f64)> {
        let config = self.config.get();
        let rules = config.comparing.rules.rules().iter();
        let ends = rules.filter_map(|rule| {
            let after = rule.expires?.tomorrow().ok()?;
            let end = after.to_zoned(TimeZone::UTC).ok()?.timestamp();
            Some((Arc::from(rule.id.as_str()), end.as_second() as f64))
        });
        ends.collect()
    }
}

/// Whether every request since the start of the process was answered 4xx.
fn is_only_refused(route: &Route) -> bool {
    let counts = route.live_counts();
    !counts.is_empty() && counts.iter().all(|count| count.status_class == "4xx")
}

/// What metrics show of the verdict.
fn gauges(verdict: &documents::Verdict, config: &Config) -> prometheus::Verdict {
    let routes = verdict.routes.iter().map(|route| prometheus::RouteGauges {
        route: route.route.clone(),
        is_required: route.required,
        lower: route.mismatch_rate.lower,
        upper: route.mismatch_rate.upper,
        limit: route.mismatch_rate.limit,
        coverage: route.coverage,
    });
    prometheus::Verdict {
        name: verdict.verdict.name(),
        coverage_limit: config.settings.verdict.min_coverage,
        soak_clean_seconds: verdict.soak.clean_seconds,
        soak_required_seconds: verdict.soak.required_seconds,
        routes: routes.collect(),
    }
}

/// The routes that the configuration requires.
pub(crate) fn required(config: &Config) -> Vec<Arc<str>> {
    config.routes.required().map(Arc::from).collect()
}

fn expired(config: &Config) -> Vec<Arc<str>> {
    let today = today();
    let rules = config.comparing.rules.rules().iter();
    rules
        .filter(|rule| rule.expires.is_some_and(|expires| expires < today))
        .map(|rule| Arc::from(rule.id.as_str()))
        .collect()
}

fn activity(config: &Config) -> Activity {
    let mut own = config
        .routes
        .entries
        .iter()
        .filter_map(|entry| entry.sample);
    let is_sampling = config.settings.sample.rate > 0.0 || own.any(|rate| rate > 0.0);
    match config.settings.paused {
        Checks::Running if is_sampling => Activity::Sampling,
        Checks::Running | Checks::Paused => Activity::Paused,
    }
}
