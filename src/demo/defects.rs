//! The defects of the new stack: each of a known kind at a known place, with the change that makes it.

use super::catalogue::{Body, Page};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Number, Value};

/// One known defect of the new stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planted {
    pub id: &'static str,
    /// The affected route.
    pub route: &'static str,
    /// The place of its class.
    pub place: &'static str,
    /// The kind of difference, by name.
    pub kind: &'static str,
    /// The mistake in the new stack.
    pub why: &'static str,
    /// Changes the right answer into the wrong one; keeps unaffected parts.
    plant: fn(&mut Page),
}

/// Every defect between the two stacks.
pub(crate) const PLANTED: [Planted; 10] = [
    Planted {
        id: "rounded-price",
        route: "get-product",
        place: "$.price.amount",
        kind: "value",
        why: "prices have only one decimal",
        plant: |page| {
            number_at(page, "/price/amount", |text| {
                text[..text.len() - 1].to_owned()
            })
        },
    },
    Planted {
        id: "gtin-as-double",
        route: "get-product",
        place: "$.gtin",
        kind: "value",
        why: "digits past 2^53 are lost",
        plant: |page| number_at(page, "/gtin", through_double),
    },
    Planted {
        id: "gone-for-not-found",
        route: "get-product",
        place: "status",
        kind: "status",
        why: "discontinued: 410 instead of 404",
        plant: gone,
    },
    Planted {
        id: "lost-discount",
        route: "list-products",
        place: "$.items[*].discount",
        kind: "missing",
        why: "the list has no discounts",
        plant: |page| each_member(page, "items", |item| drop(item.remove("discount"))),
    },
    Planted {
        id: "uncached-list",
        route: "list-products",
        place: "header.cache-control",
        kind: "value",
        why: "the gateway forbids caching",
        plant: uncached,
    },
    Planted {
        id: "leaked-address",
        route: "list-reviews",
        place: "$.reviews[*].author_email",
        kind: "extra",
        why: "a private column is shown",
        plant: |page| each_member(page, "reviews", leak),
    },
    Planted {
        id: "quantity-as-text",
        route: "get-stock",
        place: "$.quantity",
        kind: "type",
        why: "a decimal is written as text",
        plant: quantity_as_text,
    },
    Planted {
        id: "unstable-ranking",
        route: "search",
        place: "$.hits",
        kind: "order",
        why: "hits of equal score are reversed",
        plant: reverse_hits,
    },
    Planted {
        id: "cut-export",
        route: "export",
        place: "$.rows[*]",
        kind: "missing",
        why: "the last row is missing",
        plant: cut_export,
    },
    Planted {
        id: "renamed-region",
        route: "status-page",
        place: "line",
        kind: "text",
        why: "another region is named",
        plant: rename_region,
    },
];

type Members = serde_json::Map<String, Value>;

// === impl Planted ===

impl Planted {
    /// Plants the defect if `page` belongs to its route.
    pub(crate) fn plant(&self, page: &mut Page) {
        if page.route == self.route {
            (self.plant)(page);
        }
    }
}

fn json(page: &mut Page) -> &mut Value {
    match &mut page.body {
        Body::Json(body) | Body::Gzip(body) => body,
        Body::Text(_) => unreachable!("defects are planted in pages of their own format"),
    }
}

fn number_at(page: &mut Page, pointer: &str, change: fn(&str) -> String) {
    if let Some(Value::Number(number)) = json(page).pointer_mut(pointer) {
        let changed: Number = change(&number.to_string())
            .parse()
            .expect("a changed number is a number");
        *number = changed;
    }
}

/// A whole number after a conversion to double and back.
fn through_double(text: &str) -> String {
    let double: f64 = text.parse().expect("a JSON number is one for Rust");
    format!("{double:.0}")
}

fn gone(page: &mut Page) {
    if json(page)["title"] == "discontinued" {
        page.status = StatusCode::GONE;
    }
}

fn each_member(page: &mut Page, array: &str, change: fn(&mut Members)) {
    let members = json(page)[array].as_array_mut().into_iter().flatten();
    members.filter_map(Value::as_object_mut).for_each(change);
}

fn uncached(page: &mut Page) {
    let uncached = HeaderValue::from_static("no-store");
    page.headers.insert(header::CACHE_CONTROL, uncached);
}

fn leak(review: &mut Members) {
    let address = format!("{}@example.org", review["id"].as_str().unwrap_or_default());
    review.insert("author_email".to_owned(), Value::String(address));
}

fn quantity_as_text(page: &mut Page) {
    let quantity = &mut json(page)["quantity"];
    *quantity = Value::String(quantity.to_string());
}

fn reverse_hits(page: &mut Page) {
    if let Some(hits) = json(page)["hits"].as_array_mut() {
        hits.reverse();
    }
}

fn cut_export(page: &mut Page) {
    if let Some(rows) = json(page)["rows"].as_array_mut() {
        rows.pop();
    }
}

fn rename_region(page: &mut Page) {
    if let Body::Text(text) = &mut page.body {
        *text = text.replace("region eu-west", "region eu_west_1");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{catalogue::page, traffic::TOUR_LENGTH, traffic::tour};

    #[test]
    fn the_tour_meets_every_defect() {
        let pages: Vec<_> = tour().map(|uri| page(uri.path(), uri.query())).collect();
        assert_eq!(pages.len(), TOUR_LENGTH);

        for planted in PLANTED {
            let is_met = pages.iter().any(|right| {
                let mut wrong = right.clone();
                planted.plant(&mut wrong);
                wrong != *right
            });
            assert!(is_met, "{}", planted.id);
        }
    }

    #[test]
    fn no_two_defects_share_a_class() {
        let mut classes: Vec<_> = PLANTED
            .iter()
            .map(|planted| (planted.route, planted.place, planted.kind))
            .collect();
        classes.sort_unstable();
        classes.dedup();

        assert_eq!(classes.len(), PLANTED.len());
    }

    #[test]
    fn some_routes_are_healthy() {
        for route in ["list-categories", "list-warehouses", "get-rating", "health"] {
            assert!(
                tour().any(|uri| page(uri.path(), uri.query()).route == route),
                "{route}"
            );
            assert!(
                PLANTED.iter().all(|planted| planted.route != route),
                "{route}"
            );
        }
    }
}
