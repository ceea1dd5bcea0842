//! Holds identifiers and comments to plain words: each word below has one that says the same more plainly.
//!
//! Words are whole parts of names: `ToldVerdict` and `is_told` hold `told`, `untold` does not. The name of a test has at
//! most 60 characters. `TWINREAD_VOCABULARY=count cargo test --test it vocabulary` counts the words and the lines of
//! comments.
//!
//! It runs without the crate, too: `CARGO_MANIFEST_DIR=$PWD rustc --edition 2024 --test tests/it/vocabulary.rs`.

use std::{
    env,
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// A word in all its forms, and what to write instead.
struct Entry {
    forms: &'static [&'static str],
    instead: &'static str,
}

/// One occurrence.
struct Hit {
    file: PathBuf,
    line: usize,
    form: &'static str,
    is_comment: bool,
}

/// The names and comments of one source file, each with its line.
#[derive(Default)]
struct Words {
    identifiers: Vec<(usize, String)>,
    /// A comment of several lines is as many of these.
    comments: Vec<(usize, String)>,
}

struct Lexer<'s> {
    rest: &'s str,
    line: usize,
    found: Words,
}

const VOCABULARY: [Entry; 19] = [
    entry(&["told", "tell", "tells", "telling"], "report, show or log"),
    entry(&["hear", "hears", "heard", "hearing"], "observe or assess"),
    entry(&["beside", "besides"], "next to or with"),
    entry(&["afresh"], "again"),
    entry(&["anew"], "again or new"),
    entry(&["of late"], "recently"),
    entry(&["standing", "standings"], "state or source"),
    entry(&["seat", "seats"], "slot"),
    entry(&["pile", "piles"], "list or class"),
    entry(&["shelf", "shelves"], "retention"),
    entry(&["bench"], "context"),
    entry(&["lane", "lanes"], "client"),
    entry(&["entrance"], "connection"),
    entry(&["house"], "shared"),
    entry(&["keeper", "keepers"], "handle"),
    entry(&["mend", "mends", "mended"], "fix"),
    entry(&["passage", "passages"], "permit"),
    entry(&["switchboard"], "publisher"),
    entry(&["yardstick"], "fingerprint"),
];

/// Names of commands, whose words are not ours.
const COMMANDS: [&str; 2] = ["cargo bench", "--bench"];

const FOLDERS: [&str; 2] = ["src", "tests"];

const MODE: &str = "TWINREAD_VOCABULARY";

const fn entry(forms: &'static [&'static str], instead: &'static str) -> Entry {
    Entry { forms, instead }
}

#[test]
fn names_and_comments_hold_no_listed_word() {
    let (hits, comment_lines) = hits_of_the_tree();
    if env::var(MODE).is_ok() {
        // Not captured, whether the test passes or not.
        let table = counted(&hits, comment_lines);
        io::stdout().write_all(table.as_bytes()).unwrap();
    }
    let faults: Vec<_> = hits.iter().map(fault).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn test_names_have_at_most_60_characters() {
    let long = files_of_the_tree().into_iter().flat_map(|(name, source)| {
        let names = words_of(&source).identifiers.into_iter();
        let long = names.filter(|(_, identifier)| identifier.len() > 60);
        long.map(move |(line, long)| format!("{}:{line}: {long}", name.display()))
    });
    let long: Vec<_> = long.collect();
    assert!(long.is_empty(), "\n{}\n", long.join("\n"));
}

fn fault(hit: &Hit) -> String {
    let mut entries = VOCABULARY.iter();
    let entry = entries.find(|entry| entry.forms.contains(&hit.form));
    let instead = entry.unwrap().instead;
    let (file, line) = (hit.file.display(), hit.line);
    format!("{file}:{line}: `{}`: write {instead}", hit.form)
}

fn occurrences<'h>(hits: impl Iterator<Item = &'h Hit>, entry: &Entry) -> usize {
    hits.filter(|hit| entry.forms.contains(&hit.form)).count()
}

fn counted(hits: &[Hit], comment_lines: usize) -> String {
    let in_comments: Vec<_> = hits.iter().filter(|hit| hit.is_comment).collect();
    let mut table = format!("{comment_lines} lines of comments\nword        ");
    table.push_str("in comments  per 1000 lines  in names\n");
    for entry in &VOCABULARY {
        let all = occurrences(hits.iter(), entry);
        let count = occurrences(in_comments.iter().copied(), entry);
        let share = count as f64 * 1000.0 / comment_lines as f64;
        let (word, names) = (entry.forms[0], all - count);
        writeln!(table, "{word:12}{count:11}{share:16.1}{names:10}").unwrap();
    }
    let (count, names) = (in_comments.len(), hits.len() - in_comments.len());
    let share = count as f64 * 1000.0 / comment_lines as f64;
    writeln!(table, "{:12}{count:11}{share:16.1}{names:10}", "all").unwrap();
    table
}

/// Every hit, and how many lines of comments there are.
fn hits_of_the_tree() -> (Vec<Hit>, usize) {
    let mut hits = Vec::new();
    let mut comment_lines = 0;
    for (name, source) in files_of_the_tree() {
        let words = words_of(&source);
        comment_lines += words.comments.len();
        hits.extend(hits_in(&name, &words));
    }
    (hits, comment_lines)
}

/// Each source file with its text, but for this one, which has to name the words.
fn files_of_the_tree() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in FOLDERS {
        rust_files(&root.join(folder), &mut files);
    }
    assert!(files.len() > 10, "src/ was not found");
    files.retain(|path| !path.ends_with("tests/it/vocabulary.rs"));
    let files = files.into_iter().map(|path| {
        let name = path.strip_prefix(root).unwrap().to_owned();
        (name, fs::read_to_string(&path).unwrap())
    });
    files.collect()
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() && !path.ends_with("target") {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn hits_in(file: &Path, words: &Words) -> Vec<Hit> {
    let identifiers = words.identifiers.iter().map(|named| (named, false));
    let comments = words.comments.iter().map(|comment| (comment, true));
    let mut hits = Vec::new();
    for ((line, text), is_comment) in identifiers.chain(comments) {
        hits.extend(forms_in(text).into_iter().map(|form| Hit {
            file: file.to_owned(),
            line: *line,
            form,
            is_comment,
        }));
    }
    hits
}

/// Each form of the vocabulary in a name or a line of text, as often as it occurs.
fn forms_in(text: &str) -> Vec<&'static str> {
    let text = COMMANDS
        .iter()
        .fold(text.to_owned(), |text, command| text.replace(command, " "));
    let parts = parts_of(&text);
    let forms = VOCABULARY.iter().flat_map(|entry| entry.forms);
    let mut found = Vec::new();
    for form in forms {
        let form_parts: Vec<_> = form.split(' ').collect();
        let occurring = parts.windows(form_parts.len());
        let count = occurring.filter(|window| **window == form_parts).count();
        found.extend(std::iter::repeat_n(*form, count));
    }
    found
}

/// The parts of snake_case, CamelCase and plain text, in lower case.
fn parts_of(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut before = ' ';
    for letter in text.chars() {
        let begins = letter.is_uppercase() && !before.is_uppercase();
        if begins || !letter.is_alphabetic() {
            parts.push(String::new());
        }
        if letter.is_alphabetic() {
            parts.last_mut().unwrap().extend(letter.to_lowercase());
        }
        before = letter;
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn words_of(source: &str) -> Words {
    let mut lexer = Lexer {
        rest: source,
        line: 1,
        found: Words::default(),
    };
    while !lexer.rest.is_empty() {
        lexer.step();
    }
    lexer.found
}

// === impl Lexer ===

impl<'s> Lexer<'s> {
    fn step(&mut self) {
        let rest = self.rest;
        let first = rest.chars().next().unwrap();
        if rest.starts_with("//") {
            let length = rest.find('\n').unwrap_or(rest.len());
            self.comment(length);
        } else if rest.starts_with("/*") {
            self.comment(block_comment(rest));
        } else if let Some(length) = raw_string(rest) {
            self.take(length);
        } else if first == '"' {
            self.take(quoted(rest, '"'));
        } else if first == '\'' {
            // A lifetime is a name behind a quote.
            let is_literal = rest[1..].starts_with('\\') || rest.chars().nth(2) == Some('\'');
            self.take(if is_literal { quoted(rest, '\'') } else { 1 });
        } else if first.is_alphanumeric() || first == '_' {
            let line = self.line;
            let end = rest.find(|one: char| !one.is_alphanumeric() && one != '_');
            let name = self.take(end.unwrap_or(rest.len()));
            if !first.is_ascii_digit() {
                self.found.identifiers.push((line, name.to_owned()));
            }
        } else {
            self.take(first.len_utf8());
        }
    }

    fn take(&mut self, length: usize) -> &'s str {
        let (taken, rest) = self.rest.split_at(length);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    fn comment(&mut self, length: usize) {
        let line = self.line;
        let text = self.take(length);
        let lines = text.lines().enumerate();
        let lines = lines.map(|(below, text)| (line + below, text.to_owned()));
        self.found.comments.extend(lines);
    }
}

/// The length of a block comment with those that are in it.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().unwrap().len_utf8();
        }
    }
    text.len()
}

/// The length of a raw string, if the text begins with one.
fn raw_string(text: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"]
        .into_iter()
        .find(|prefix| text.starts_with(prefix))?;
    let behind = &text[prefix.len()..];
    let hashes = behind.len() - behind.trim_start_matches('#').len();
    if !behind[hashes..].starts_with('"') {
        return None;
    }
    let begin = prefix.len() + hashes + 1;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = text[begin..].find(&end)?;
    Some(begin + length + end.len())
}

/// The length of a string or a character, quotes included.
fn quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, one) in text.char_indices().skip(1) {
        if one == quote && !is_escaped {
            return at + 1;
        }
        is_escaped = one == '\\' && !is_escaped;
    }
    text.len()
}

#[test]
fn names_and_comments_are_read_and_strings_are_not() {
    let source = concat!(
        "//! one\n",
        "fn two_parts<'three>(x: u8) { /* four\n /* five */ six */ }\n",
        "const S: &str = \"seven \\\" eight\"; const C: char = '\"';\n",
        "const R: &str = r#\"nine \" // ten\"#; let r#eleven = b'\\''; // twelve",
    );
    let words = words_of(source);

    let names: Vec<_> = words
        .identifiers
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    let expected = "fn two_parts three x u8 const S str const C char const R str let r eleven b";
    assert_eq!(names.join(" "), expected);
    let lines: Vec<_> = words.comments.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [1, 2, 3, 5]);
    assert_eq!(words.comments[3].1, "// twelve");
}

#[test]
fn words_are_whole_parts_in_any_case() {
    for (text, expected) in [
        ("ToldVerdict", vec!["told"]),
        ("is_told_by_seat", vec!["told", "seat"]),
        ("TOLD", vec!["told"]),
        ("untold seating", vec![]),
        (
            "// Written of late, tells `Lanes` of it.",
            vec!["tells", "of late", "lanes"],
        ),
        ("// of the late, cargo bench --bench verdict", vec![]),
        ("// told and told", vec!["told", "told"]),
    ] {
        assert_eq!(forms_in(text), expected, "{text}");
    }
}
