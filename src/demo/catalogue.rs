//! The catalogue that both stacks serve: the answer to each path, before a stack's own formatting.
//!
//! Everything derives from a product's number, so both stacks agree unless a defect is planted.

use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

/// Number of products; their ids count up from `p-001`.
pub(crate) const PRODUCTS: u32 = 24;

/// A product that is no longer sold.
pub(crate) const DISCONTINUED: &str = "p-000";

const COLOURS: [&str; 6] = ["Blue", "Green", "Grey", "Red", "White", "Plain"];
const WARES: [&str; 4] = ["teapot", "cup", "bowl", "plate"];
const CATEGORIES: [&str; 3] = ["kitchen", "table", "garden"];
const WAREHOUSES: [&str; 3] = ["Aarhus", "Porto", "Gdansk"];

/// Products per page of the list.
const PAGE: u32 = 8;

/// One answer of the catalogue.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Page {
    /// The route name that twinread gives it.
    pub route: &'static str,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Body,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Body {
    Json(Value),
    /// JSON, sent compressed.
    Gzip(Value),
    Text(String),
}

/// The answer to `path` with `query`.
pub(crate) fn page(path: &str, query: Option<&str>) -> Page {
    let segments: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    match segments[..] {
        ["products"] => list(query),
        ["products", id] => product(id),
        ["products", id, part] => part_of(id, part),
        ["search"] => search(query),
        ["categories"] => ok("list-categories", categories()),
        ["warehouses"] => ok("list-warehouses", json!({"warehouses": warehouses(0)})),
        ["export"] => export(),
        ["health"] => ok("health", json!({"state": "ready", "products": PRODUCTS})),
        ["status"] => status(),
        _ => not_found("unknown", "no such page"),
    }
}

fn list(query: Option<&str>) -> Page {
    let number = parameter(query, "page")
        .and_then(|page| page.parse().ok())
        .unwrap_or(0_u32)
        .min(PRODUCTS / PAGE - 1);
    let first = number * PAGE + 1;
    let items: Vec<_> = (first..first + PAGE).map(summary).collect();
    let body = json!({"page": number, "total": PRODUCTS, "items": items});
    let mut page = ok("list-products", body);
    let cached = HeaderValue::from_static("max-age=60");
    page.headers.insert(header::CACHE_CONTROL, cached);
    page
}

fn product(id: &str) -> Page {
    if id == DISCONTINUED {
        return not_found("get-product", "discontinued");
    }
    let Some(number) = number(id) else {
        return not_found("get-product", "unknown");
    };
    let body = json!({
        "id": id,
        "name": name(number),
        "gtin": gtin(number),
        "category": CATEGORIES[number as usize % CATEGORIES.len()],
        "price": {"amount": price(number), "currency": "EUR"},
        "released": format!("2024-{:02}-{:02}T09:00:00Z", 1 + number % 12, 1 + number),
        "tags": [COLOURS[number as usize % COLOURS.len()].to_lowercase(), "stoneware", "handmade"],
    });
    ok("get-product", body)
}

fn part_of(id: &str, part: &str) -> Page {
    match (number(id), part) {
        (Some(number), "reviews") => ok("list-reviews", reviews(id, number)),
        (Some(number), "stock") => ok("get-stock", stock(id, number)),
        (Some(number), "rating") => ok("get-rating", rating(id, number)),
        _ => not_found("unknown", "no such page"),
    }
}

fn reviews(id: &str, number: u32) -> Value {
    let reviews: Vec<_> = (0..=number % 3)
        .map(|review| {
            json!({
                "id": format!("r-{number}-{review}"),
                "author": format!("reader {}", number * 3 + review),
                "stars": 1 + (number + review) % 5,
                "at": format!("2025-05-{:02}T10:{:02}:00Z", 1 + review, number),
            })
        })
        .collect();
    json!({"product": id, "reviews": reviews})
}

fn stock(id: &str, number: u32) -> Value {
    json!({"product": id, "quantity": 3 + number * 5 % 40, "shelves": warehouses(number)})
}

fn rating(id: &str, number: u32) -> Value {
    let average = exact(&format!("{}.{:03}", 3 + number % 2, 125 + number * 31));
    json!({"product": id, "average": average, "votes": 10 + number})
}

fn search(query: Option<&str>) -> Page {
    let wanted = parameter(query, "q").unwrap_or_default();
    let hits: Vec<_> = (1..=PRODUCTS)
        .filter(|number| name(*number).to_lowercase().contains(wanted))
        .map(|number| json!({"id": id(number), "score": 1}))
        .collect();
    ok("search", json!({"query": wanted, "hits": hits}))
}

fn categories() -> Value {
    let categories: Vec<_> = CATEGORIES
        .iter()
        .zip([exact("0.25"), exact("0.2"), exact("0.19")])
        .map(|(name, tax)| json!({"name": name, "tax": tax, "listed": true}))
        .collect();
    json!({"categories": categories})
}

fn export() -> Page {
    let rows: Vec<_> = (1..=PRODUCTS)
        .map(|number| json!({"id": id(number), "amount": price(number)}))
        .collect();
    Page {
        body: Body::Gzip(json!({"rows": rows})),
        ..ok("export", Value::Null)
    }
}

fn status() -> Page {
    let text = format!("catalogue\nproducts {PRODUCTS}\nregion eu-west\nready\n");
    Page {
        body: Body::Text(text),
        ..ok("status-page", Value::Null)
    }
}

fn ok(route: &'static str, body: Value) -> Page {
    Page {
        route,
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: Body::Json(body),
    }
}

fn not_found(route: &'static str, title: &str) -> Page {
    Page {
        status: StatusCode::NOT_FOUND,
        ..ok(route, json!({"title": title}))
    }
}

fn summary(number: u32) -> Value {
    let mut summary = json!({
        "id": id(number),
        "name": name(number),
        "amount": price(number),
    });
    if number.is_multiple_of(3) {
        summary["discount"] = exact("0.15");
    }
    summary
}

fn warehouses(number: u32) -> Value {
    let stocks = WAREHOUSES.iter().zip(1..);
    let stocks = stocks.map(|(name, extra)| json!({"name": name, "count": number + extra}));
    Value::Array(stocks.collect())
}

/// The id of a product by its number, from 1.
pub(crate) fn id(number: u32) -> String {
    format!("p-{number:03}")
}

fn number(id: &str) -> Option<u32> {
    let number = id.strip_prefix("p-")?.parse().ok()?;
    (1..=PRODUCTS).contains(&number).then_some(number)
}

fn name(number: u32) -> String {
    let number = number as usize;
    let colour = COLOURS[number / WARES.len() % COLOURS.len()];
    format!("{colour} {}", WARES[number % WARES.len()])
}

fn price(number: u32) -> Value {
    exact(&format!("{}.{:02}", 4 + number * 7 % 40, 15 + number * 3))
}

/// Odd numbers above 2^53, which a double cannot represent.
fn gtin(number: u32) -> u64 {
    (1 << 53) + 2 * u64::from(number) + 1
}

/// A number that keeps its spelling.
fn exact(text: &str) -> Value {
    let number: serde_json::Number = text.parse().expect("the catalogue writes JSON numbers");
    Value::Number(number)
}

fn parameter<'q>(query: Option<&'q str>, name: &str) -> Option<&'q str> {
    let mut pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_product_has_its_pages() {
        for number in 1..=PRODUCTS {
            for part in ["", "/reviews", "/stock", "/rating"] {
                let path = format!("/products/{}{part}", id(number));

                assert_eq!(page(&path, None).status, StatusCode::OK, "{path}");
            }
        }
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for path in [
            "/",
            "/products/p-999",
            "/products/p-000",
            "/products/p-001/colour",
        ] {
            assert_eq!(page(path, None).status, StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[test]
    fn the_same_path_always_answers_the_same() {
        assert_eq!(
            page("/search", Some("q=cup")),
            page("/search", Some("q=cup"))
        );
    }
}
