//! `twinread status`: the verdict and why, the routes, the newest mismatch classes; once.

use super::{
    client::{Address, Client, Error},
    verdict::{Printable, ToldRoute, ToldVerdict, ask},
};
use crate::verdict::told::Rate;
use anstream::{eprintln, println};
use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, process::ExitCode};

/// Show the verdict with its reasons, the routes, and the newest mismatch classes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    address: Address,
    /// Print one JSON document: `verdict` and `classes`
    #[arg(long)]
    json: bool,
}

/// What is read of the document of `GET /v1/classes`.
#[derive(Debug, Deserialize)]
struct ToldClasses {
    classes: Vec<ToldClass>,
}

#[derive(Debug, Deserialize)]
struct ToldClass {
    id: String,
    route: String,
    place: String,
    kind: String,
    count: u64,
    last_seen: String,
}

/// Classes shown, the newest first.
const CLASSES: usize = 10;

/// Ends with 0 whatever the verdict; 64 where the request is refused, 69 where no twinread answers.
pub fn run(args: Args) -> ExitCode {
    match look(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error.told());
            ExitCode::from(error.exit_code())
        }
    }
}

fn look(args: &Args) -> Result<(), Error> {
    let client = args.address.client()?;
    let (verdict, told) = ask(&client)?;
    let (document, classes) = ask_classes(&client)?;
    if args.json {
        let both = json!({"verdict": verdict, "classes": document["classes"]});
        println!("{both:#}");
        return Ok(());
    }
    println!("{told}");
    if !told.routes.is_empty() {
        println!("\n{}", routes(&told));
    }
    if !classes.is_empty() {
        println!("\nnewest mismatch classes\n{}", table_of(&classes));
    }
    Ok(())
}

fn ask_classes(client: &Client) -> Result<(Value, Vec<ToldClass>), Error> {
    let path = format!("/v1/classes?order=recent&limit={CLASSES}");
    let document = client.get(&path)?.body;
    let told = ToldClasses::deserialize(&document);
    let classes = told
        .map_err(|_| Error::NotTwinread { url: path.clone() })?
        .classes;
    Ok((document, classes))
}

/// Of the routes, those first on which the verdict depends.
pub(super) fn routes(told: &ToldVerdict) -> Table {
    let header = [
        "route",
        "state",
        "live",
        "sampled",
        "match",
        "by rules",
        "mismatch",
        "lag",
        "noise",
        "errors",
        "not compared",
        "mismatch rate",
        "limit",
    ];
    let mut table = table(&header);
    let mut routes: Vec<_> = told.routes.iter().collect();
    routes.sort_by_key(|route| !route.required);
    for route in routes {
        table.add_row(row(route));
    }
    // All but the names are figures.
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn row(route: &ToldRoute) -> Vec<Cell> {
    let state = match route.required {
        true => route.state.name().to_owned(),
        false => format!("({})", route.state),
    };
    let sum = |counts: &BTreeMap<String, u64>| counts.values().sum::<u64>().to_string();
    vec![
        Cell::new(Printable(&route.route)),
        Cell::new(state),
        Cell::new(route.live),
        Cell::new(route.sampled),
        Cell::new(route.matched.exact + route.matched.rules),
        Cell::new(route.matched.rules),
        Cell::new(route.mismatch),
        Cell::new(route.transient),
        Cell::new(route.noise),
        Cell::new(sum(&route.shadow_error)),
        Cell::new(sum(&route.not_compared)),
        Cell::new(interval(&route.mismatch_rate)),
        Cell::new(format!("{:.1e}", route.mismatch_rate.limit)),
    ]
}

fn interval(rate: &Rate) -> String {
    let lower = match rate.lower {
        0.0 => "0".to_owned(),
        lower => format!("{lower:.1e}"),
    };
    format!("{lower} to {:.1e}", rate.upper)
}

fn table_of(classes: &[ToldClass]) -> Table {
    let mut table = table(&["last seen", "count", "route", "kind", "place", "class"]);
    for class in classes {
        table.add_row([
            Cell::new(&class.last_seen),
            Cell::new(class.count).set_alignment(CellAlignment::Right),
            Cell::new(Printable(&class.route)),
            Cell::new(&class.kind),
            Cell::new(Printable(&class.place)),
            Cell::new(&class.id),
        ]);
    }
    table
}

pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(header.iter().map(Cell::new));
    table
}
