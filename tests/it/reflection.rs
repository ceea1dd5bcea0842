//! Server reflection: descriptors that a stack gives itself.

use crate::support::{Caller, eventually, http2::Http2Stack, http2::whole, start_app};
use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Request, Response};
use prost_reflect::{
    prost::{Message as _, encoding},
    prost_types::FileDescriptorSet,
};
use serde_json::Value;
use std::{
    path::Path,
    sync::{Arc, Mutex, atomic::AtomicBool, atomic::Ordering},
};
use twinread::testing::app::App;

const ITEM: &str = "syntax = \"proto3\";\npackage shop.v1;\nimport \"get.proto\";\n\
                    message Item { string sku = 1; int32 size = 2; }\n\
                    service Catalogue { rpc Get(Get) returns (Item); }\n";
const GET: &str = "syntax = \"proto3\";\npackage shop.v1;\nmessage Get { string sku = 1; }\n";
const V1: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const ALPHA: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
const MATCHES: &str =
    "twinread_checks_total{detail=\"exact\",outcome=\"match\",route=\"shop.v1.Catalogue/Get\"}";
const BYTES: &str = "twinread_bound_reached_total{bound=\"descriptors\"}";

/// A service of gRPC with server reflection.
struct Shop {
    stack: Http2Stack,
    script: Arc<Script>,
}

struct Script {
    /// What each call of the catalogue is answered.
    item: &'static [u8],
    files: Mutex<FileDescriptorSet>,
    is_describing: AtomicBool,
    /// Of every answer.
    build: Mutex<&'static str>,
}

// === impl Shop ===

impl Shop {
    async fn start(item: &'static [u8]) -> Self {
        let script = Arc::new(Script {
            item,
            files: Mutex::new(compiled(ITEM)),
            is_describing: AtomicBool::new(true),
            build: Mutex::new("1"),
        });
        let shared = script.clone();
        let stack = Http2Stack::start(move |request, respond, seen| {
            let script = shared.clone();
            async move {
                let headers = request.headers();
                let values = ["x-twinread", "x-key"].map(|name| headers.get(name).cloned());
                let [mark, key] =
                    values.map(|value| value.unwrap_or(HeaderValue::from_static("-")));
                let (mark, key) = (mark.to_str().unwrap(), key.to_str().unwrap());
                seen.note(&format!("{} {mark} {key}", request.uri().path()));
                script.answer(request, respond).await;
            }
        });
        Self {
            stack: stack.await,
            script,
        }
    }

    fn describe(&self, is_describing: bool) {
        let flag = &self.script.is_describing;
        flag.store(is_describing, Ordering::SeqCst);
    }

    /// Waits until it was asked for the services, the file of one, and what it imports, and for all of them again in the
    /// epoch that the descriptors have begun.
    fn until_asked_again(&self) {
        eventually("both rounds", || {
            (self.asked(ALPHA, "reflection k") >= 6).then_some(())
        });
    }

    /// How often it was asked for version `path`, with these headers.
    fn asked(&self, path: &str, headers: &str) -> usize {
        self.stack.count(&format!("{path} {headers}"))
    }
}

// === impl Script ===

impl Script {
    async fn answer(&self, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
        let path = request.uri().path().to_owned();
        let (body, _) = whole(&mut request.into_body()).await.unwrap();
        let (messages, status) = match &*path {
            V1 => (Vec::new(), 12),
            ALPHA if self.is_describing.load(Ordering::SeqCst) => (self.describe(&body), 0),
            ALPHA => (Vec::new(), 14),
            _ => (framed(self.item), 0),
        };
        self.send(respond, messages, status);
    }

    fn send(&self, mut respond: SendResponse<Bytes>, messages: Vec<u8>, status: u16) {
        let head = Response::builder()
            .header("content-type", "application/grpc")
            .header("x-build", *self.build.lock().unwrap());
        let sent = respond.send_response(head.body(()).unwrap(), false);
        let mut stream = sent.unwrap();
        stream.send_data(messages.into(), false).unwrap();
        let status = ("grpc-status".parse().unwrap(), status.into());
        stream
            .send_trailers(HeaderMap::from_iter([status]))
            .unwrap();
    }

    /// One answer for each question, each with one file.
    fn describe(&self, mut questions: &[u8]) -> Vec<u8> {
        let files = self.files.lock().unwrap();
        let mut answers = Vec::new();
        while let [0, 0, 0, 0, length, rest @ ..] = questions {
            let (question, others) = rest.split_at(usize::from(*length));
            questions = others;
            let name = String::from_utf8_lossy(&question[2..]);
            let file = match question[0] >> 3 {
                3 => files.file.iter().find(|file| file.name() == name),
                4 => files.file.iter().find(|file| !file.service.is_empty()),
                7 => None,
                other => panic!("question {other}"),
            };
            let answer = match file {
                Some(file) => member(4, &member(1, &file.encode_to_vec())),
                None => member(6, &member(1, &member(1, b"shop.v1.Catalogue"))),
            };
            answers.extend(framed(&answer));
        }
        answers
    }
}

fn compiled(item: &str) -> FileDescriptorSet {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("item.proto"), item).unwrap();
    std::fs::write(folder.path().join("get.proto"), GET).unwrap();
    protox::compile(["item.proto"], [folder.path()]).unwrap()
}

fn member(tag: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encoding::bytes::encode(tag, &content.to_vec(), &mut out);
    out
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap();
    [&[0], &length.to_be_bytes()[..], message].concat()
}

fn start(folder: &Path, [old, new]: [&Shop; 2], more: &str) -> App {
    let [old, new] = [old, new].map(|shop| shop.stack.addr);
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n\
         old: {{url: 'http://{old}', http2: true}}\n\
         new: {{url: 'http://{new}', http2: true, headers: {{set: {{x-key: k}}}}}}\n\
         reads: [{{grpc: 'shop.v1.Catalogue/*'}}]\ncompare: {{headers: none}}\n\
         sample: {{rate: 1}}\nrecheck: {{after: []}}\ngrpc: {{reflection: new}}\n{more}"
    );
    start_app(folder, &text).unwrap()
}

fn call(app: &App) {
    let body = String::from_utf8(framed(b"\n\x01a")).unwrap();
    let length = body.len();
    let answer = Caller::connect(app.listen_addr().unwrap().tcp().unwrap()).send(&format!(
        "POST /shop.v1.Catalogue/Get HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/grpc\r\n\
         content-length: {length}\r\n\r\n{body}"
    ));
    assert_eq!(answer.status, 200);
}

fn text(app: &App, path: &str) -> String {
    let answer = Caller::connect(app.admin_addr().tcp().unwrap()).get(path);
    String::from_utf8(answer.body).unwrap()
}

fn json(app: &App, path: &str) -> Value {
    serde_json::from_str(&text(app, path)).unwrap()
}

fn metric(app: &App, series: &str) -> f64 {
    let text = text(app, "/metrics");
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    line.map_or(0.0, |value| value.trim().parse().unwrap())
}

/// What impairs it, once that mentions `what`.
fn until_impaired(app: &App, what: &str) -> String {
    eventually(what, || {
        let impaired = json(app, "/readyz")["impaired"].to_string();
        impaired.contains(what).then_some(impaired)
    })
}

/// Waits until descriptors are in force.
fn until_described(app: &App) {
    eventually("descriptors", || {
        let impaired = json(app, "/readyz")["impaired"].to_string();
        (!impaired.contains("reflection")).then_some(())
    });
}

fn until_matched(app: &App) {
    eventually("a match", || (metric(app, MATCHES) == 1.0).then_some(()));
}

fn epoch(app: &App) -> Value {
    json(app, "/v1/verdict")["epoch"].clone()
}

const OLD: &[u8] = b"\n\x01a\x10\x02";

/// The same in another order.
const MOVED: &[u8] = b"\x10\x02\n\x01a";

#[tokio::test(flavor = "multi_thread")]
async fn reflection_alone_compares_by_field() {
    let (old, new) = (Shop::start(OLD).await, Shop::start(MOVED).await);
    let folder = tempfile::tempdir().unwrap();
    let app = start(folder.path(), [&old, &new], "");
    until_described(&app);
    call(&app);
    until_matched(&app);
    assert_eq!(metric(&app, BYTES), 0.0);
    new.until_asked_again();
    assert_eq!(new.asked(V1, "reflection k"), 2);
    assert!(
        old.stack
            .notes()
            .iter()
            .all(|note| !note.contains("Reflection"))
    );
    assert_eq!(epoch(&app)["cause"], "compare", "{}", epoch(&app));
    app.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn until_a_stack_describes_itself_bytes_are_compared() {
    let (old, new) = (Shop::start(OLD).await, Shop::start(MOVED).await);
    new.describe(false);
    let folder = tempfile::tempdir().unwrap();
    let app = start(folder.path(), [&old, &new], "");
    let impaired = until_impaired(&app, "UNAVAILABLE");
    let expected = "new describes nothing by server reflection: the call ended with UNAVAILABLE; \
                    messages that no descriptor has are compared as bytes";
    assert!(impaired.contains(expected), "{impaired}");
    call(&app);
    eventually("bytes", || (metric(&app, BYTES) == 1.0).then_some(()));
    let before = epoch(&app);
    new.describe(true);
    until_described(&app);
    assert_ne!(epoch(&app)["id"], before["id"]);
    app.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_build_is_asked_again() {
    let (old, new) = (Shop::start(OLD).await, Shop::start(MOVED).await);
    let folder = tempfile::tempdir().unwrap();
    let more = "epoch: {version_header: x-build}\n";
    let app = start(folder.path(), [&old, &new], more);
    until_described(&app);
    call(&app);
    let build = |app: &App| epoch(app)["version"].clone();
    eventually("build 1", || (build(&app) == "1").then_some(()));
    new.until_asked_again();
    let before = epoch(&app);
    *new.script.files.lock().unwrap() = compiled(&ITEM.replace("size = 2", "weight = 2"));
    *new.script.build.lock().unwrap() = "2";
    call(&app);
    eventually("other descriptors", || {
        (epoch(&app)["cause"] == "compare" && epoch(&app)["id"] != before["id"]).then_some(())
    });
    new.describe(false);
    *new.script.build.lock().unwrap() = "3";
    call(&app);
    let impaired = until_impaired(&app, "UNAVAILABLE");
    assert!(
        impaired.contains("what it said before stays in force"),
        "{impaired}"
    );
    assert_eq!(metric(&app, BYTES), 0.0);
    app.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_goes_on_under_stored_descriptors() {
    let (old, new) = (Shop::start(OLD).await, Shop::start(MOVED).await);
    let folder = tempfile::tempdir().unwrap();
    let store = format!(
        "store: {{path: '{}'}}\n",
        folder.path().join("store").display()
    );
    let app = start(folder.path(), [&old, &new], &store);
    new.until_asked_again();
    let before = epoch(&app);
    app.stop();
    new.describe(false);
    let app = start(folder.path(), [&old, &new], &store);
    assert_eq!(epoch(&app)["id"], before["id"]);
    call(&app);
    until_matched(&app);
    assert_eq!(metric(&app, BYTES), 0.0);
    app.stop();
}
