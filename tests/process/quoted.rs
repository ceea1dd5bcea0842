//! Holds what a page quotes of an output to the output itself.

use regex::Regex;
use std::path::Path;

/// The text of a page of this repository.
pub(crate) fn page(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// What a page shows, without what changes from run to run: numbers, ids, instants and the space between words.
fn lasting(text: &str) -> String {
    let changing = Regex::new("[0-9a-f]*[0-9][0-9a-f]*").unwrap();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    changing.replace_all(&text, "#").into_owned()
}

/// Fails unless the output contains the quoted text; `…` stands for anything.
pub(crate) fn assert_printed(quoted: &str, output: &str) {
    let (expected, printed) = (lasting(quoted), lasting(output));
    let mut rest = &*printed;
    for part in expected.split('…').map(str::trim) {
        let Some(at) = rest.find(part) else {
            panic!(
                "the page quotes\n{quoted}\nand this is printed:\n{output}\n`{part}` is missing"
            );
        };
        rest = &rest[at + part.len()..];
    }
}
/// The fenced blocks of a page in their order: the language, and the text.
pub(crate) fn blocks(page: &str) -> Vec<(String, String)> {
    let fence = Regex::new(r"(?ms)^```(\w*)\n(.*?)^```").unwrap();
    let blocks = fence.captures_iter(page);
    blocks
        .map(|block| (block[1].to_owned(), block[2].to_owned()))
        .collect()
}
