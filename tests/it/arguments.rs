//! Holds functions of `src/` to six arguments. The members of a tuple count one by one, because a tuple would dodge the
//! limit; a struct has names for them.
//!
//! A module's ceiling says how many functions may still have more. It may only be lowered.
//! `TWINREAD_ARGUMENTS=list cargo test --test it arguments` prints these functions.

use std::{
    collections::BTreeMap,
    env, fmt, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};
use syn::{
    FnArg, Signature, Type,
    visit::{self, Visit},
};

const MAX: usize = 6;

/// Modules with functions that have more. A module without an entry has none.
const CEILINGS: [(&str, usize); 0] = [];

const MODE: &str = "TWINREAD_ARGUMENTS";

/// A function with too many arguments.
struct Over {
    file: PathBuf,
    line: usize,
    name: String,
    count: usize,
}

/// Collects the functions of one file.
#[derive(Default)]
struct Functions {
    found: Vec<Signature>,
}

#[test]
fn arguments_are_at_most_six() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    assert!(files.len() > 10, "src/ was not found");

    let mut by_module = BTreeMap::<String, Vec<Over>>::new();
    for path in files {
        let name = path.strip_prefix(&src).unwrap();
        let over = over(name, &fs::read_to_string(&path).unwrap());
        by_module.entry(module(name)).or_default().extend(over);
    }
    if env::var(MODE).is_ok() {
        let listed: String = by_module.values().flatten().map(Over::to_string).collect();
        // Not captured, whether the test passes or not.
        io::stdout().write_all(listed.as_bytes()).unwrap();
    }
    let faults: String = by_module
        .iter()
        .filter(|(module, over)| over.len() > ceiling(module))
        .flat_map(|(_, over)| over.iter().map(Over::to_string))
        .collect();
    assert!(faults.is_empty(), "\n{faults}");
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
}

fn module(file: &Path) -> String {
    let first = file.iter().next().unwrap().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

fn ceiling(module: &str) -> usize {
    let entry = CEILINGS.iter().find(|(name, _)| *name == module);
    entry.map_or(0, |(_, ceiling)| *ceiling)
}

/// The functions of a file that have too many arguments.
fn over(file: &Path, source: &str) -> Vec<Over> {
    let parsed =
        syn::parse_file(source).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut functions = Functions::default();
    functions.visit_file(&parsed);
    let over = functions.found.iter().map(|signature| Over {
        file: file.to_owned(),
        line: signature.ident.span().start().line,
        name: signature.ident.to_string(),
        count: signature.inputs.iter().map(arguments).sum(),
    });
    over.filter(|over| over.count > MAX).collect()
}

fn arguments(argument: &FnArg) -> usize {
    match argument {
        FnArg::Receiver(_) => 1,
        FnArg::Typed(typed) => members(&typed.ty),
    }
}

/// The members of a tuple, also behind a reference; 1 for every other type.
fn members(of: &Type) -> usize {
    match of {
        Type::Tuple(tuple) if !tuple.elems.is_empty() => tuple.elems.iter().map(members).sum(),
        Type::Reference(reference) => members(&reference.elem),
        Type::Paren(inner) => members(&inner.elem),
        _ => 1,
    }
}

// === impl Over ===

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            name,
            count,
        } = self;
        let file = file.display();
        writeln!(f, "src/{file}:{line}: `{name}` has {count} arguments")
    }
}

// === impl Functions ===

impl<'ast> Visit<'ast> for Functions {
    fn visit_signature(&mut self, signature: &'ast Signature) {
        self.found.push(signature.clone());
        visit::visit_signature(self, signature);
    }
}

#[test]
fn members_of_tuples_are_arguments() {
    let source = "
        fn six(a: u8, b: (u8, u8), c: &(u8, [u8; 9]), d: ()) {}
        impl X { fn seven(&self, a: (u8, (u8, u8)), b: u8, (d, e): (u8, u8)) {} }
        trait Y { fn eight(self, _: (u8, u8, u8, u8), _: &mut (u8, u8, u8)); }
    ";
    let found = over(Path::new("x/y.rs"), source);
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    let expected = [
        "src/x/y.rs:3: `seven` has 7 arguments\n",
        "src/x/y.rs:4: `eight` has 8 arguments\n",
    ];
    assert_eq!(found, expected);
}
