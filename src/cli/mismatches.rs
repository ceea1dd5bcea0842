//! `twinread mismatches`: the newest stored examples.

use super::{
    client::{self, Address, Client, EpochArgs, Error, Received},
    print::{Printable, folded, to_the_second, width},
    table::{Column, Table},
};
use crate::{
    admin::documents::{Mismatch, MismatchPage},
    verdict::Counted,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::process::ExitCode;

/// Show the newest stored examples of mismatches, lag, noise and errors
///
/// `twinread show ID` shows one of them.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0   shown, if only that there is none
  64  wrong arguments, or refused by the admin API
  69  no twinread answers

Example:
  twinread mismatches --class 8b26be61ce4c782c")]
pub(crate) struct Args {
    /// Only those that show this class: an id, as `twinread status` shows it
    #[arg(long, value_name = "ID")]
    class: Option<String>,
    /// Only those of this route
    #[arg(long, value_name = "ROUTE")]
    route: Option<String>,
    #[command(flatten)]
    asked: EpochArgs,
    /// Show at most this many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    #[command(flatten)]
    address: Address,
    /// Print the JSON document of the admin API
    #[arg(long)]
    json: bool,
}

/// Exits with 0, also if there is none; 64 if the request is refused, 69 if no twinread answers.
pub(crate) fn run(args: Args) -> ExitCode {
    client::exit_code(show(&args))
}

fn show(args: &Args) -> Result<ExitCode, Error> {
    let limit = args.limit.to_string();
    let mut query = vec![("limit", limit.as_str()), ("epoch", &args.asked.epoch)];
    query.extend(args.class.as_deref().map(|class| ("class", class)));
    query.extend(args.route.as_deref().map(|route| ("route", route)));
    let page = ask(&args.address.client()?, &query)?;
    Ok(client::print(args.json, &page, text(&page, args, width())))
}

/// A page of examples.
pub(super) fn ask(
    client: &Client,
    query: &[(&str, &str)],
) -> Result<Received<MismatchPage>, Error> {
    let query = query.iter().map(|(name, value)| {
        let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
        format!("{name}={value}")
    });
    let query: Vec<_> = query.collect();
    client.get(&format!("/v1/mismatches?{}", query.join("&")))
}

fn text(page: &MismatchPage, args: &Args, width: usize) -> String {
    let mut lines = Vec::new();
    if page.mismatches.is_empty() {
        lines.push(nothing(args).to_owned());
    } else {
        lines = table(&page.mismatches).lines(width, 0);
    }
    if page.next.is_some() {
        lines.push("there are older ones (--limit)".to_owned());
    }
    if page.waiting > 0 {
        let waiting = Counted(page.waiting, "check");
        lines.push(format!("{waiting} not stored yet"));
    }
    let folded = lines.iter().map(|line| folded(line, width, 2));
    folded.collect::<Vec<_>>().join("\n")
}

fn nothing(args: &Args) -> &'static str {
    let is_chosen = args.class.is_some() || args.route.is_some();
    match (args.asked.epoch.as_str(), is_chosen) {
        ("present", false) => {
            "no example of the present epoch is stored; --epoch all shows those of past ones"
        }
        ("present", true) => {
            "no example of that class or route is stored in the present epoch; --epoch all looks in past ones"
        }
        _ => "no such example is stored",
    }
}

/// The examples, each with its first difference.
fn table(mismatches: &[Mismatch]) -> Table {
    let mut table = Table::new(&[
        Column::words("example"),
        Column::words("outcome"),
        Column::names("request", 14),
        Column::names("differs at", 14),
        Column::words("kind"),
        Column::words("ended"),
        Column::words("detail"),
        Column::words("class"),
        Column::names("route", 16),
    ]);
    for mismatch in mismatches {
        let request = &mismatch.request;
        let request = format!("{} {}", request.method, request.path);
        let first = mismatch.differences.first();
        let place = first.map_or(String::new(), |first| match mismatch.count {
            0 | 1 => first.place.clone(),
            count => format!("{} +{}", first.place, count - 1),
        });
        let cells = [
            mismatch.id.clone(),
            mismatch.outcome.clone(),
            request,
            place,
            first.map_or(String::new(), |first| first.kind.to_string()),
            to_the_second(&mismatch.ended.to_string()),
            mismatch.detail.clone(),
            first.map_or(String::new(), |first| first.class.clone()),
            mismatch.route.to_string(),
        ];
        table.add(cells.map(|cell| Printable(&cell).to_string()));
    }
    table
}

/// The outcome with its detail.
pub(super) fn outcome(mismatch: &Mismatch) -> String {
    match mismatch.detail.as_str() {
        "" => mismatch.outcome.clone(),
        detail => format!("{} ({detail})", mismatch.outcome),
    }
}
