//! Samples of every format; those of AWS are from its documentation.

use super::*;
use std::fs;
use tempfile::TempDir;

const ALB: &str = r#"http 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.000 0.001 0.000 200 200 34 366 "GET http://www.example.com:80/a?b=c HTTP/1.1" "curl/7.46.0" - - arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "Root=1-58337262-36d228ad5d99923122bbe354" "-" "-" 0 2018-07-02T22:22:48.364000Z "forward" "-" "-" "10.0.0.1:80" "200" "-" "-""#;
const ALB_BROKEN: &str = r#"h2 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 10.0.1.252:48160 - -1 -1 -1 400 - 5 257 "- http://example.com:80- -" "-" ECDHE TLSv1.2 - "-" "-" "-" 0 - "-" "-" "-" "-" "-" "-" "-""#;
const CLOUDFRONT: &str = "#Version: 1.0
#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie)
2019-12-04\t21:02:31\tLAX1\t392\t192.0.2.100\tGET\td111111abcdef8.cloudfront.net\t/index.html\t200\t-\tMozilla/5.0%20(Windows)\t-\t-
2019-12-04\t21:02:31\tLAX1\t392\t192.0.2.100\tGET\td111111abcdef8.cloudfront.net\t/a%2520b\t200\t-\t-\tq=%25C3%25BC\t-
";

fn read(text: &[u8], format: Format, maps: &[&str]) -> Vec<Result<String, Reason>> {
    let entries = entries(text, format, maps);
    let shown = |recorded: Recorded| {
        let read = recorded.request.read().ok_or(Reason::Malformed)?;
        Ok(format!("{} {}", read.method, read.uri))
    };
    entries
        .into_iter()
        .map(|entry| entry.found.and_then(shown))
        .collect()
}

fn entries(text: &[u8], format: Format, maps: &[&str]) -> Vec<Entry> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("recorded");
    fs::write(&path, text).unwrap();
    let maps: Vec<_> = maps.iter().map(|text| (*text).to_owned()).collect();
    let mapping = Mapping::of(&maps).unwrap();
    let mut reader = Reader::open(&path, format, &mapping).unwrap();
    std::iter::from_fn(|| reader.next().unwrap()).collect()
}

fn ok(request: &str) -> Result<String, Reason> {
    Ok(request.to_owned())
}

#[test]
fn combined_logs_are_read_with_their_escapes() {
    let text = br#"127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a?b=%20c HTTP/1.0" 200 2326
shop:80 ::1 - - [10/Oct/2000:13:55:36 -0700] "GET /\"q?\x22 HTTP/1.1" 200 1 "-" "curl \"x\""
::1 - - [10/Oct/2000:13:55:36 -0700] "-" 408 0 "-" "-"
::1 - - [10/Oct/2000:13:55:36 -0700] "\x16\x03\x01" 400 0 "-" "-"
nonsense
"#;
    let expected = [
        ok("GET /a?b=%20c"),
        ok("GET /%22q?%22"),
        Err(Reason::NoRequest),
        Err(Reason::NoRequest),
        Err(Reason::Malformed),
    ];
    assert_eq!(read(text, Format::Auto, &[]), expected);
}

#[test]
fn balancers_of_aws_are_read() {
    let text = format!("{ALB}\n{ALB_BROKEN}\n");
    let expected = [ok("GET /a?b=c"), Err(Reason::NoRequest)];
    assert_eq!(read(text.as_bytes(), Format::Auto, &[]), expected);
    let expected = [ok("GET /index.html"), ok("GET /a%20b?q=%C3%BC")];
    assert_eq!(read(CLOUDFRONT.as_bytes(), Format::Auto, &[]), expected);
}

#[test]
fn json_is_read_by_its_usual_names_or_by_a_map() {
    let text =
        br#"{"level":"info","request":{"method":"GET","host":"x","uri":"/a?b=1"},"status":200}
{"request":"GET /c HTTP/1.1","status":200}
{"method":"HEAD","url":"http://x/d","args":"e=1"}
{"level":"info"}
{"verb":"DELETE","path":"/g"}
"#;
    let expected = [
        ok("GET /a?b=1"),
        ok("GET /c"),
        ok("HEAD /d?e=1"),
        Err(Reason::NoRequest),
        Err(Reason::NoRequest),
    ];
    assert_eq!(read(text, Format::Auto, &[]), expected);
    let text = br#"{"http":{"verb":"GET","where":"/f","search":"?g=1","accept":"a/b"}}"#;
    let maps = [
        "method=$.http.verb",
        "path=$.http.where",
        "query=$.http.search",
        "header.accept=$.http.accept",
    ];
    assert_eq!(read(text, Format::Json, &maps), [ok("GET /f?g=1")]);
    let entry = entries(text, Format::Json, &maps).remove(0);
    let request = entry.found.unwrap().request.read().unwrap();
    assert_eq!(request.headers["accept"], "a/b");
    assert!(Mapping::of(&["path=x[".to_owned()]).is_err());
    assert!(Mapping::of(&["where=$.x".to_owned()]).is_err());
}

#[test]
fn targets_of_vegeta_have_headers_and_bodies() {
    let text = br#"{"method":"POST","url":"http://h/q?x","header":{"Accept":["a/b","c/d"],"Connection":["close"]},"body":"e30="}"#;
    let entry = entries(text, Format::Auto, &[]).remove(0);
    let request = entry.found.unwrap().request.read().unwrap();
    assert_eq!(
        (request.uri, &request.body[..]),
        ("/q?x".parse().unwrap(), &b"{}"[..])
    );
    assert_eq!(request.headers.get_all("accept").iter().count(), 2);
    assert!(!request.headers.contains_key("connection"));
}

#[test]
fn payloads_of_goreplay_meet_their_answers() {
    let text = "1 932079936fa4306fc308d67588178d17d823647c 1439818823587396305
GET /a HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"1\"\r\n\r\n
🐵🙈🙉
1 a02079936fa4306fc308d67588178d17d823647c 1439818823587396305
GET /b HTTP/1.1\r\nHost: x\r\n\r\n
🐵🙈🙉
2 932079936fa4306fc308d67588178d17d823647c 1439818823587396305 1000
HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n
🐵🙈🙉
x
🐵🙈🙉
";
    let found = entries(text.as_bytes(), Format::Auto, &[]);
    let first = found[0].found.as_ref().unwrap();
    let request = first.request.read().unwrap();
    assert_eq!((request.uri.path(), request.headers.len()), ("/a", 1));
    let answer = first.answer.as_ref().unwrap();
    assert_eq!((&answer.body[..], answer.headers.len()), (&b"abcde"[..], 1));
    assert_eq!(found[1].found.as_ref().unwrap_err(), &Reason::Malformed);
    let last = found[2].found.as_ref().unwrap();
    assert_eq!(last.answer, Err(Reason::NoAnswer));
    assert_eq!(found.len(), 3);
}

#[test]
fn archives_of_browsers_have_decoded_answers() {
    let text = br#"{"log": {"version": "1.2", "entries": [
 {"request": {"method": "GET", "url": "https://h/a?b#c", "headers": [{"name": ":method", "value": "GET"}, {"name": "Accept", "value": "*/*"}]},
  "response": {"status": 200, "headers": [{"name": "Content-Encoding", "value": "br"}, {"name": "content-type", "value": "text/plain"}],
               "content": {"size": 3, "text": "YWJj", "encoding": "base64"}}},
 {"request": {"method": "GET", "url": "https://h", "headers": []}, "response": {"status": 0, "content": {"size": 0}}}]}}"#;
    let found = entries(text, Format::Auto, &[]);
    let first = found[0].found.as_ref().unwrap();
    assert_eq!(first.request.read().unwrap().uri, "/a?b");
    let answer = first.answer.as_ref().unwrap();
    assert_eq!((&answer.body[..], answer.headers.len()), (&b"abc"[..], 1));
    let second = found[1].found.as_ref().unwrap();
    assert_eq!(second.request.read().unwrap().uri, "/");
    assert_eq!(second.answer, Err(Reason::NoAnswer));
}

#[test]
fn own_recordings_are_sent_as_they_were_or_not_at_all() {
    let line = |masked: &str, of_answer: &str| {
        format!(
            r#"{{"request":{{"method":"GET","path":"/a","query":"b=1","headers":[["accept","a/b"],["authorization","x"]],"body":null,"masked":[{masked}]}},"old":{{"status":200,"duration_ms":1.0,"headers":[["content-type","text/plain"]],"body":"abc","trailers":[]{of_answer}}}}}"#
        )
    };
    let redacted = r#","masked":["body"]"#;
    let text = [line("", ""), line("\"query\"", ""), line("", redacted)].join("\n");
    let found = entries(text.as_bytes(), Format::Auto, &[]);
    let first = found[0].found.as_ref().unwrap();
    assert_eq!(first.request.read().unwrap().uri, "/a?b=1");
    assert_eq!(&first.answer.as_ref().unwrap().body[..], b"abc");
    assert_eq!(found[1].found.as_ref().unwrap_err(), &Reason::Redacted);
    assert_eq!(
        found[2].found.as_ref().unwrap().answer,
        Err(Reason::Redacted)
    );
}

#[test]
fn compressed_files_are_read() {
    use std::io::Write as _;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(ALB.as_bytes()).unwrap();
    let text = gzip.finish().unwrap();
    assert_eq!(read(&text, Format::Auto, &[]), [ok("GET /a?b=c")]);
}

#[test]
fn a_file_of_no_known_format_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("recorded");
    fs::write(&path, "once upon a time\n").unwrap();
    let error = Reader::open(&path, Format::Auto, &Mapping::default())
        .err()
        .unwrap();
    assert!(error.to_string().contains("--format"), "{error}");
}
