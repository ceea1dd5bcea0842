//! Holds what a page quotes of an output to the output itself.

use regex::Regex;

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
