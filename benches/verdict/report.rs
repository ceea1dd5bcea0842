//! One line for each figure, with its bound and whether it holds.

use super::simulation::{ALPHA, largest_share};
use anstream::println;

#[derive(Debug, Default)]
pub(crate) struct Report {
    lines: u32,
    failed: u32,
}

impl Report {
    pub(crate) fn section(&self, title: &str) {
        println!("\n{title}");
    }

    /// A figure without a bound, for comparison.
    pub(crate) fn note(&self, what: &str, value: &str) {
        println!("  {what:<84} {value:>9}");
    }

    /// A probability of at most ALPHA, estimated from `runs`.
    pub(crate) fn share(&mut self, what: &str, wrong: u32, runs: u32) {
        let share = f64::from(wrong) / f64::from(runs);
        let largest = largest_share(runs);
        let bound = format!("at most {ALPHA} + 3 standard errors = {largest:.4}");
        self.line(what, &format!("{share:.5}"), &bound, share <= largest);
    }

    pub(crate) fn at_most(&mut self, what: &str, value: f64, bound: f64) {
        let shown = format!("{value:.3}");
        self.line(what, &shown, &format!("at most {bound}"), value <= bound);
    }

    pub(crate) fn at_least(&mut self, what: &str, value: f64, bound: f64) {
        let shown = format!("{value:.3e}");
        self.line(what, &shown, &format!("at least {bound:e}"), value >= bound);
    }

    pub(crate) fn line(&mut self, what: &str, value: &str, bound: &str, holds: bool) {
        let result = if holds { "PASS" } else { "FAIL" };
        println!("  {what:<84} {value:>9}   {bound:<44} {result}");
        self.lines += 1;
        self.failed += u32::from(!holds);
    }

    /// Whether every bound holds.
    pub(crate) fn finish(&self) -> bool {
        println!("\n{} of {} lines failed", self.failed, self.lines);
        self.failed == 0
    }
}
