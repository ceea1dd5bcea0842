//! From checks to a verdict: whether the switch from the old stack to the new one is safe.
//!
//! [`RouteEvidence`] counts the checks of one route, [`Evidence`] holds all that a verdict considers, and [`judge()`]
//! decides. It is `safe` or `unsafe` only if that is proven, by bounds that hold at every moment ([`bounds`]). The
//! statistics and their sources are in `docs/verdict.md`. Time is an argument everywhere.
//!
//! ```
//! use jiff::{Timestamp, ToSpan};
//! use twinread::outcome::{Outcome, Via};
//! use twinread::stack::Stack;
//! use twinread::verdict::{
//!     Activity, Cause, Code, Decision, Entry, Epoch, Evidence, Figures, Limits, Requirement, Tallies,
//!     judge,
//! };
//!
//! let begin: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
//! let limits = Limits::default();
//!
//! // A required route. Ten of its checks a second end as matches.
//! let mut route = Figures::new("get-user");
//! route.requirement = Requirement::Required;
//! route.evidence.require(2);
//! let mut check = |figures: &mut Figures, at: Timestamp| {
//!     let outcome = Outcome::Match(Via::Exact);
//!     let entry = Entry { outcome, primary: Stack::Old, key: None, sampled: at };
//!     figures.sampled += 1;
//!     figures.outcomes.add(outcome, 1);
//!     figures.evidence.enter(&entry, &limits);
//! };
//! let evidence = |route: &Figures| Evidence {
//!     tallies: Tallies {
//!         epoch: Epoch {
//!             id: "e1".into(),
//!             label: None,
//!             version: None,
//!             cause: Cause::Start,
//!             since: begin,
//!             until: None,
//!         },
//!         mixed: None,
//!         routes: vec![route.clone()],
//!         rest: Figures::new("(rest)"),
//!     },
//!     required: Vec::new(),
//!     expired_rules: Vec::new(),
//!     activity: Activity::Sampling,
//!     is_by_key: false,
//!     is_same_stack: false,
//! };
//!
//! // A thousand clean checks prove nothing yet about a limit of 0.1 %. 2 374 more are needed.
//! let at = |check: i64| begin + (check * 100).milliseconds();
//! (0..1_000).for_each(|number| check(&mut route, at(number)));
//! let few = evidence(&route);
//! let judgement = judge(&few, &limits, at(1_000));
//! assert_eq!(judgement.decision, Decision::Undecided);
//! assert_eq!(judgement.findings[0].code, Code::MoreChecks);
//! assert_eq!(judgement.findings[0].checks_needed, Some(2_374));
//!
//! (1_000..3_374).for_each(|number| check(&mut route, at(number)));
//! let enough = evidence(&route);
//! let judgement = judge(&enough, &limits, at(3_374));
//! assert_eq!(judgement.decision, Decision::Safe);
//! assert!(judgement.findings.is_empty());
//! ```

#![deny(missing_docs)]

pub mod assessment;
pub mod bounded_rate;
pub mod bounds;
pub mod builds;
pub mod change;
pub mod checks;
pub mod enumeration;
pub mod evidence;
pub mod finding;
pub mod judge;
pub mod keys;
pub mod limits;
mod obstacle;
pub mod percent;
mod proof;
pub mod rate;
pub mod requirement;
pub mod soak;
pub mod version;

pub use assessment::Assessment;
pub use bounded_rate::BoundedRate;
pub use bounds::{Interval, Trials};
pub use builds::Builds;
pub use change::ChangeDetector;
pub use checks::{Checks, Entry, RouteEvidence};
pub use enumeration::Enumeration;
pub use evidence::{Activity, Cause, Epoch, Evidence, Figures, Outcomes, Tallies};
pub use finding::{Code, Decision, Finding};
pub use judge::{Judgement, Soak, judge};
pub use keys::DistinctKeys;
pub use limits::{Limits, RequiredRoutes};
pub use percent::{Counted, Percent, Span};
pub use rate::EventRate;
pub use requirement::{Requirement, Requirements};
pub use soak::SoakClock;
pub use version::Version;
