//! The OpenAPI document compared with the API.

use super::harness::Running;
use serde_json::Value;
use std::collections::BTreeSet;

async fn document(running: &Running) -> Value {
    running.get("/v1/openapi.json").await.json()
}

async fn document_for_holders_of_the_token() -> Value {
    let running = Running::start(Some("s3cret")).await;
    let token = [("authorization", "Bearer s3cret")];
    let answer = running.call("GET", "/v1/openapi.json", &token, "").await;
    answer.json()
}

/// The methods described for each path.
fn operations(document: &Value) -> impl Iterator<Item = (&String, BTreeSet<String>)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths.map(|(path, item)| {
        let methods = item.as_object().unwrap().keys();
        (path, methods.map(|name| name.to_uppercase()).collect())
    })
}

#[tokio::test]
async fn what_is_described_is_what_is_routed() {
    let running = Running::start(None).await;
    let document = document(&running).await;
    assert_eq!(document["openapi"], "3.1.0");
    for (path, described) in operations(&document) {
        let concrete = path.replace("{id}", "1");
        let refused = running.call("TRACE", &concrete, &[], "").await;
        refused.assert_problem(405);
        let allowed = refused.header("allow").split(',').map(str::to_owned);
        let mut allowed: BTreeSet<_> = allowed.collect();
        allowed.remove("HEAD");
        assert_eq!(allowed, described, "{path}");
    }
}

#[tokio::test]
async fn every_operation_has_its_own_id_a_known_tag_and_a_summary() {
    let document = document(&Running::start(None).await).await;
    let tags = document["tags"].as_array().unwrap();
    let tags: Vec<_> = tags.iter().map(|tag| &tag["name"]).collect();
    let mut ids = BTreeSet::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id), "{id} twice");
            assert!(operation["summary"].is_string(), "{id}");
            assert!(tags.contains(&&operation["tags"][0]), "{id}");
        }
    }
    assert_eq!(ids.len(), 23);
}

#[tokio::test]
async fn all_of_v1_asks_for_the_token_where_one_is_set() {
    let document = document_for_holders_of_the_token().await;
    for (path, methods) in operations(&document) {
        for method in methods {
            let operation = &document["paths"][path][method.to_lowercase()];
            let is_guarded = path.starts_with("/v1/");
            assert_eq!(operation["security"].is_array(), is_guarded, "{path}");
            let refused = &operation["responses"]["401"]["content"];
            let problem = &refused["application/problem+json"]["schema"]["$ref"];
            assert_eq!(
                problem == "#/components/schemas/Problem",
                is_guarded,
                "{path}"
            );
        }
    }
    let scheme = &document["components"]["securitySchemes"]["token"];
    assert_eq!(scheme["scheme"], "bearer");
    let open = self::document(&Running::start(None).await).await;
    assert_eq!(open["paths"]["/v1/verdict"]["get"].get("security"), None);
}

#[tokio::test]
async fn the_document_is_not_for_everybody() {
    let running = Running::start(Some("s3cret")).await;
    running.get("/v1/openapi.json").await.assert_problem(401);
}
