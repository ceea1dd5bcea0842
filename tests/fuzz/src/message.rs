//! A reader of requests that is stricter than any stack: what it does not take two parsers could read differently.

/// A whole request.
pub(crate) struct Message {
    pub(crate) method: String,
    pub(crate) target: String,
}

/// How long the body is.
enum Framing {
    Length(usize),
    Chunks,
}

const END: &[u8] = b"\r\n\r\n";

/// The first message, and its bytes; `None` while it is incomplete.
pub(crate) fn next_message(bytes: &[u8]) -> Option<(Message, usize)> {
    let end = find(bytes, END)?;
    let head = text_of(&bytes[..end]);
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap_or_default();
    let words: Vec<_> = line.split(' ').collect();
    let [method, target, "HTTP/1.1"] = words[..] else {
        panic!("not a request line: {line:?}");
    };
    assert!(is_token(method), "not a method: {line:?}");
    assert!(is_target(method, target), "not a target: {line:?}");
    let framing = framing(&lines.map(field).collect::<Vec<_>>());
    let length = body(&bytes[end + END.len()..], framing)?;
    let message = Message {
        method: method.to_owned(),
        target: target.to_owned(),
    };
    Some((message, end + END.len() + length))
}

/// Whether a head is there whose body waits for `100 Continue`.
pub(crate) fn expects(bytes: &[u8]) -> bool {
    let head = find(bytes, END).map(|end| bytes[..end].to_ascii_lowercase());
    head.is_some_and(|head| find(&head, b"\r\nexpect: 100-continue").is_some())
}

fn is_token(text: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token)
}

fn is_target(method: &str, target: &str) -> bool {
    // Clients send UTF-8 as it is, and most servers take it.
    let is_sound = |byte: u8| (byte.is_ascii_graphic() && byte != b'#') || byte > 127;
    let has_form = target.starts_with('/') || (method == "OPTIONS" && target == "*");
    has_form && target.bytes().all(is_sound)
}

fn field(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').expect("a line has a colon");
    assert!(is_token(name), "not a name: {line:?}");
    let is_sound = |c: char| c == '\t' || !c.is_ascii_control();
    assert!(value.chars().all(is_sound), "not a value: {line:?}");
    let value = value.trim_matches([' ', '\t']);
    (name.to_ascii_lowercase(), value.to_owned())
}

fn framing(fields: &[(String, String)]) -> Framing {
    let all = |wanted: &str| -> Vec<&str> {
        let named = fields.iter().filter(|(name, _)| name == wanted);
        named.map(|(_, value)| &**value).collect()
    };
    assert_eq!(all("host").len(), 1, "hosts of {fields:?}");
    match (&all("content-length")[..], &all("transfer-encoding")[..]) {
        ([], []) => Framing::Length(0),
        ([length], []) => {
            assert!(length.bytes().all(|byte| byte.is_ascii_digit()));
            Framing::Length(length.parse().expect("a length"))
        }
        ([], [coding]) => {
            assert_eq!(*coding, "chunked");
            Framing::Chunks
        }
        both => panic!("two framings: {both:?}"),
    }
}

/// The bytes of the body; `None` while it is incomplete.
fn body(bytes: &[u8], framing: Framing) -> Option<usize> {
    match framing {
        Framing::Length(length) => (bytes.len() >= length).then_some(length),
        Framing::Chunks => chunks(bytes),
    }
}

fn chunks(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = line(bytes, &mut at)?;
        let size = usize::from_str_radix(&line, 16).expect("a size of a chunk");
        if size == 0 {
            break;
        }
        let end = bytes.get(at + size..at + size + 2)?;
        assert_eq!(end, b"\r\n", "the end of a chunk");
        at += size + 2;
    }
    loop {
        let line = line(bytes, &mut at)?;
        if line.is_empty() {
            return Some(at);
        }
        let (name, _) = field(&line);
        let frames = ["content-length", "transfer-encoding", "host"];
        assert!(!frames.contains(&&*name), "a trailer that frames: {line:?}");
    }
}

fn line(bytes: &[u8], at: &mut usize) -> Option<String> {
    let end = *at + find(&bytes[*at..], b"\r\n")?;
    let line = text_of(&bytes[*at..end]);
    *at = end + 2;
    Some(line)
}

/// Bytes over 127 may be in values, in any encoding: each is one character here.
fn text_of(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|found| found == wanted)
}
