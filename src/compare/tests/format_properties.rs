//! Properties over generated bodies that are not JSON.

use super::{
    properties::{mirrored, straight},
    *,
};
use crate::value::tests::generated::{distinct, documents, respelled};
use proptest::{
    collection::{btree_map, vec},
    prelude::*,
    sample::Index,
};
use std::collections::{BTreeMap, BTreeSet};

/// A unique element: the texts are numbered.
#[derive(Clone, Debug)]
struct Element {
    namespace: usize,
    attributes: BTreeMap<String, String>,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Text(String),
    Children(BTreeMap<String, Vec<Element>>),
}

/// Pseudo-random numbers, the same in every run.
struct Dice(u64);

/// The path to a list of elements of one name.
#[derive(Clone, Debug)]
struct Way(Vec<(String, usize)>);

fn elements() -> impl Strategy<Value = Element> {
    let attributes = || btree_map("[p-s]", "[a-z<&\"'é \n]{0,3}", 0..3);
    let leaf = (0..3usize, attributes(), "[a-z<>&\"'é😀 ]{0,3}").prop_map(
        |(namespace, attributes, text)| Element {
            namespace,
            attributes,
            content: Content::Text(text),
        },
    );
    let tree = leaf.prop_recursive(4, 24, 4, move |inner| {
        let children = btree_map("[a-d]", vec(inner, 1..4), 1..4);
        (0..3usize, attributes(), children).prop_map(|(namespace, attributes, children)| Element {
            namespace,
            attributes,
            content: Content::Children(children),
        })
    });
    tree.prop_map(|mut root| {
        number(&mut root, &mut 0);
        root
    })
}

fn number(element: &mut Element, next: &mut usize) {
    match &mut element.content {
        Content::Text(text) => {
            *next += 1;
            text.push_str(&format!("{next}"));
        }
        Content::Children(children) => {
            let all = children.values_mut().flatten();
            all.for_each(|child| number(child, next));
        }
    }
}

/// The path to each element; the root's is empty.
fn ways(element: &Element, at: &[(String, usize)], out: &mut Vec<Way>) {
    out.push(Way(at.to_vec()));
    if let Content::Children(children) = &element.content {
        for (name, list) in children {
            for (index, child) in list.iter().enumerate() {
                ways(child, &[at, &[(name.clone(), index)]].concat(), out);
            }
        }
    }
}

fn pick(root: &Element, index: Index) -> Way {
    let mut all = Vec::new();
    ways(root, &[], &mut all);
    index.get(&all).clone()
}

impl Way {
    fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }

    fn get<'e>(&self, root: &'e mut Element) -> &'e mut Element {
        self.0
            .iter()
            .fold(root, |element, (name, index)| match &mut element.content {
                Content::Children(children) => &mut children.get_mut(name).unwrap()[*index],
                Content::Text(_) => unreachable!("a way leads through elements"),
            })
    }

    /// The place in a document of which `root` has every name that repeats.
    fn place(&self, root: &Element) -> String {
        let mut all = Vec::new();
        ways(root, &[], &mut all);
        let second = all
            .iter()
            .filter(|way| way.0.last().is_some_and(|(_, index)| *index == 1));
        let repeated: BTreeSet<_> = second.map(Way::names).collect();
        let mut place = String::from("$.root");
        for (depth, (name, index)) in self.0.iter().enumerate() {
            place.push_str(&format!(".{name}"));
            if repeated.contains(&self.names()[..=depth]) {
                place.push_str(&format!("[{index}]"));
            }
        }
        place
    }
}

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % sides
    }
}

/// The same element in another spelling: prefixes, quotes, order of attributes and of siblings with different names,
/// white space, comments, references, CDATA.
fn spelled(name: &str, element: &Element, dice: &mut Dice) -> String {
    let uri = ["", "urn:one", "urn:two"][element.namespace];
    let prefix = ["", "p", "q"][if uri.is_empty() { 0 } else { dice.below(3) }];
    let (tag, declaration) = match prefix {
        "" => (name.to_owned(), format!("xmlns='{uri}'")),
        prefix => (
            format!("{prefix}:{name}"),
            format!("xmlns:{prefix}='{uri}'"),
        ),
    };
    let mut attributes: Vec<_> = element
        .attributes
        .iter()
        .map(|(name, value)| {
            let quote = ["'", "\""][dice.below(2)];
            let value: String = value.chars().map(|c| reference(c, dice)).collect();
            format!("{name}={quote}{value}{quote}")
        })
        .chain([declaration])
        .collect();
    let turn = dice.below(attributes.len());
    attributes.rotate_left(turn);
    let content = match &element.content {
        Content::Text(text) => text.chars().map(|c| character(c, dice)).collect(),
        Content::Children(children) => {
            let mut lists: Vec<String> = Vec::new();
            for (name, list) in children {
                let list = list
                    .iter()
                    .map(|child| spelled(name, child, dice) + white(dice));
                lists.push(list.collect());
            }
            let turn = dice.below(lists.len());
            lists.rotate_left(turn);
            format!("{}{}", white(dice), lists.concat())
        }
    };
    format!("<{tag} {}>{content}</{tag} >", attributes.join("\n"))
}

fn white(dice: &mut Dice) -> &'static str {
    ["", "\n  ", " ", "<!-- a <b> -->\n"][dice.below(4)]
}

fn reference(c: char, dice: &mut Dice) -> String {
    match dice.below(3) {
        0 => format!("&#x{:X};", u32::from(c)),
        _ if "<&'\"\n".contains(c) => format!("&#{};", u32::from(c)),
        _ => c.to_string(),
    }
}

fn character(c: char, dice: &mut Dice) -> String {
    match dice.below(5) {
        0 => format!("<![CDATA[{c}]]>"),
        1 => format!("<!-- {} -->{}", dice.below(9), reference(c, dice)),
        _ if c == '>' => "&gt;".to_owned(),
        _ => reference(c, dice),
    }
}

fn xml(root: &Element, seed: u64) -> Answer {
    answer("application/xml", spelled("root", root, &mut Dice(seed)))
}

fn ndjson(records: &[serde_json::Value], seed: u64) -> Answer {
    let mut seed = seed;
    let mut body = String::new();
    for record in records {
        body.push_str(&respelled(record, &mut seed).replace('\n', " "));
        body.push_str(["\n", "\r\n", "\n\n"][seed as usize % 3]);
    }
    answer("application/x-ndjson", body)
}

fn records() -> impl Strategy<Value = Vec<serde_json::Value>> {
    vec(documents(), 1..5).prop_map(|records| match distinct(records.into()) {
        serde_json::Value::Array(records) => records,
        other => vec![other],
    })
}

fn form(fields: &[(Vec<u8>, Vec<u8>)], seed: u64) -> Answer {
    let mut dice = Dice(seed);
    let mut fields = fields.to_vec();
    if dice.below(2) == 0 {
        // Only values of one name have an order.
        fields.sort_by(|one, other| one.0.cmp(&other.0));
    }
    let mut spell = |bytes: &[u8]| -> String {
        let bytes = bytes.iter().map(|byte| match (byte, dice.below(3)) {
            (b' ', 0) => "+".to_owned(),
            (byte, 1 | 2) if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
            (byte, 2) => format!("%{byte:02x}"),
            (byte, _) => format!("%{byte:02X}"),
        });
        bytes.collect()
    };
    let pairs = fields
        .iter()
        .map(|(name, value)| format!("{}={}", spell(name), spell(value)));
    let pairs: Vec<_> = pairs.collect();
    answer("application/x-www-form-urlencoded", pairs.join("&"))
}

fn fields() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    vec(
        (
            "[a-c ]{1,2}".prop_map(String::into_bytes),
            vec(any::<u8>(), 0..4),
        ),
        1..6,
    )
}

fn text(text: &str, charset: usize) -> Answer {
    let wide = || text.encode_utf16();
    match charset {
        0 => answer("text/plain", text.to_owned()),
        1 => answer("text/plain", format!("\u{feff}{text}")),
        2 => answer(
            "text/plain; charset=utf-16le",
            wide().flat_map(u16::to_le_bytes).collect::<Vec<_>>(),
        ),
        3 => answer(
            "text/plain; charset=UTF-16BE",
            wide().flat_map(u16::to_be_bytes).collect::<Vec<_>>(),
        ),
        _ => {
            let (bytes, _, _) = encoding_rs::GB18030.encode(text);
            answer("text/plain; charset=gb18030", bytes.into_owned())
        }
    }
}

/// The comparison of the bodies alone.
fn bodies(old: &Answer, new: &Answer) -> Comparison {
    let mut comparing = CompareConfig::default();
    comparing.options.headers = HeaderScope::None;
    compare(old, new, &context(), &comparing)
}

proptest! {
    #[test]
    fn the_spelling_of_xml_never_matters(root in elements(), seed: u64, other: u64) {
        let comparison = bodies(&xml(&root, seed), &xml(&root, other));
        prop_assert_eq!(comparison.result, Compared::Equal(Via::Exact));
    }

    #[test]
    fn swapping_documents_of_xml_mirrors_the_differences(old in elements(), new in elements(), seed: u64) {
        let (old, new) = (xml(&old, seed), xml(&new, !seed));
        prop_assert_eq!(straight(&bodies(&old, &new)), mirrored(&bodies(&new, &old)));
    }

    #[test]
    fn one_change_of_xml_is_reported_at_its_place(root in elements(), at: Index, which: Index, seed: u64) {
        let way = pick(&root, at);
        let place = way.place(&root);
        let mut changed = root.clone();
        let element = way.get(&mut changed);
        let names: Vec<_> = element.attributes.keys().cloned().collect();
        let expected = match &mut element.content {
            _ if !names.is_empty() && seed % 2 == 0 => {
                let name = which.get(&names);
                element.attributes.insert(name.clone(), "something else".to_owned());
                format!("{place}['@{name}'] value")
            }
            Content::Text(text) => {
                *text = "something else".to_owned();
                format!("{place}['#text'] value")
            }
            Content::Children(_) => {
                element.attributes.insert("z".to_owned(), String::new());
                format!("{place}['@z'] extra")
            }
        };
        let reported = reported(&bodies(&xml(&root, seed), &xml(&changed, !seed)));
        prop_assert_eq!(reported, vec![expected]);
    }

    #[test]
    fn an_element_that_goes_or_comes_is_reported_at_its_place(root in elements(), at: Index, seed: u64) {
        let way = pick(&root, at);
        let Some(((name, index), parent)) = way.0.split_last() else {
            return Ok(());
        };
        let mut without = root.clone();
        let Content::Children(children) = &mut Way(parent.to_vec()).get(&mut without).content else {
            unreachable!("a way leads through elements");
        };
        let list = children.get_mut(name).unwrap();
        list.remove(*index);
        // All elements of that name are removed with the last one.
        let place = if list.is_empty() {
            children.remove(name);
            format!("{}.{name}", Way(parent.to_vec()).place(&root))
        } else {
            way.place(&root)
        };
        // The rest must not be empty, because an empty list cannot be rotated.
        if children.is_empty() {
            return Ok(());
        }
        let (with, without) = (xml(&root, seed), xml(&without, !seed));
        prop_assert_eq!(reported(&bodies(&with, &without)), vec![format!("{place} missing")]);
        prop_assert_eq!(reported(&bodies(&without, &with)), vec![format!("{place} extra")]);
    }

    #[test]
    fn another_namespace_is_always_found(root in elements(), at: Index, seed: u64) {
        let mut changed = root.clone();
        let element = pick(&root, at).get(&mut changed);
        element.namespace = (element.namespace + 1) % 3;
        let reported = reported(&bodies(&xml(&root, seed), &xml(&changed, !seed)));
        prop_assert!(reported.iter().any(|reported| reported.contains("['@xmlns']")), "{:?}", reported);
    }

    #[test]
    fn records_are_reported_as_the_array_that_they_are(old in records(), new in records(), seed: u64) {
        let as_array = bodies(
            &json(serde_json::Value::from(old.clone()).to_string()),
            &json(serde_json::Value::from(new.clone()).to_string()),
        );
        let comparison = bodies(&ndjson(&old, seed), &ndjson(&new, !seed));
        let sorted = |comparison: &Comparison| {
            let mut reported = reported(comparison);
            reported.sort();
            reported
        };
        prop_assert_eq!(sorted(&comparison), sorted(&as_array));
        let same = bodies(&ndjson(&old, seed), &ndjson(&old, !seed));
        prop_assert_eq!(same.result, Compared::Equal(Via::Exact));
    }

    #[test]
    fn a_form_is_reported_by_its_fields(fields in fields(), other in fields(), at: Index, seed: u64) {
        let old = form(&fields, seed);
        let same = bodies(&old, &form(&fields, !seed));
        prop_assert_eq!(same.result, Compared::Equal(Via::Exact));
        let other = form(&other, seed);
        prop_assert_eq!(straight(&bodies(&old, &other)), mirrored(&bodies(&other, &old)));

        let at = at.index(fields.len());
        let name = &fields[at].0;
        let place = format!("form.{}", String::from_utf8_lossy(name));
        let mut changed = fields.clone();
        changed[at].1 = b"something else".to_vec();
        prop_assert_eq!(reported(&bodies(&old, &form(&changed, !seed))), vec![format!("{place} value")]);
        changed.remove(at);
        if !changed.is_empty() {
            let kind = if changed.iter().any(|field| field.0 == *name) { "value" } else { "missing" };
            prop_assert_eq!(reported(&bodies(&old, &form(&changed, !seed))), vec![format!("{place} {kind}")]);
        }
    }

    #[test]
    fn a_text_is_reported_by_its_lines_whatever_its_charset(
        lines in vec("[a-zé€😀]{0,4}", 1..8), at: Index, charsets in (0..5usize, 0..5usize),
    ) {
        let lines: Vec<_> = lines.iter().enumerate().map(|(at, line)| format!("{at}{line}\n")).collect();
        let old = text(&lines.concat(), charsets.0);
        let same = bodies(&old, &text(&lines.concat(), charsets.1));
        prop_assert_eq!(same.result, Compared::Equal(Via::Exact));
        let mut changed = lines.clone();
        let at = at.index(lines.len());
        changed[at] = "something else\n".to_owned();
        let new = text(&changed.concat(), charsets.1);
        prop_assert_eq!(reported(&bodies(&old, &new)), vec![format!("line {} text", at + 1)]);
        prop_assert_eq!(straight(&bodies(&old, &new)), mirrored(&bodies(&new, &old)));
    }

    #[test]
    fn no_bytes_of_any_format_make_it_panic(old in vec(any::<u8>(), 0..64), new in vec(any::<u8>(), 0..64)) {
        for content_type in [
            "application/x-ndjson",
            "application/json-seq",
            "application/xml",
            "text/xml; charset=shift_jis",
            "application/x-www-form-urlencoded",
            "text/html; charset=utf-16",
            "text/event-stream",
            "multipart/mixed",
        ] {
            let (old, new) = (answer(content_type, old.clone()), answer(content_type, new.clone()));
            compared(&old, &new, &[("$..*", "unordered"), ("form.a", "ignore")]);
        }
    }

    #[test]
    fn nothing_that_is_nearly_xml_makes_it_panic(
        old in "(<[a-c]( x='1')?>|</[a-c]>|<a/>|x|&lt;|&#9;|<!--|-->|<!\\[CDATA\\[|\\]\\]>|<\\?p|\\?>|xmlns|[ '\"=:/<>]){0,12}",
        seed: u64,
    ) {
        let old = answer("application/xml", format!("<a>{old}</a>"));
        let new = answer("application/xml", format!("<a>{}</a>", seed % 3));
        let there = compared(&old, &new, &[]);
        prop_assert_eq!(straight(&there), mirrored(&compared(&new, &old, &[])));
    }
}
