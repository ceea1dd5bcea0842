//! Converts the grammar's tree to a query that can be evaluated.

use super::{Filter, FilterPattern, From, Operand, Operator, Path, Reach, Segment, Selector};
use jsonpath_rust::parser::model;

pub(super) fn segments(parsed: &[model::Segment]) -> Result<Vec<Segment>, String> {
    parsed.iter().map(segment).collect()
}

fn segment(parsed: &model::Segment) -> Result<Segment, String> {
    let selectors = match parsed {
        model::Segment::Descendant(inner) => {
            return Ok(Segment {
                reach: Reach::Descendants,
                ..segment(inner)?
            });
        }
        model::Segment::Selector(one) => vec![selector(one)?],
        model::Segment::Selectors(many) => many.iter().map(selector).collect::<Result<_, _>>()?,
    };
    Ok(Segment {
        reach: Reach::Children,
        selectors,
    })
}

fn selector(parsed: &model::Selector) -> Result<Selector, String> {
    Ok(match parsed {
        model::Selector::Name(name) => Selector::Name(name.clone()),
        model::Selector::Wildcard => Selector::Wildcard,
        model::Selector::Index(index) => Selector::Index(*index),
        model::Selector::Slice(start, end, step) => Selector::Slice {
            start: *start,
            end: *end,
            step: step.unwrap_or(1),
        },
        model::Selector::Filter(parsed) => Selector::Filter(filter(parsed)?),
    })
}

fn filter(parsed: &model::Filter) -> Result<Filter, String> {
    let all = |parsed: &[model::Filter]| parsed.iter().map(filter).collect::<Result<_, _>>();
    match parsed {
        model::Filter::Or(any) => Ok(Filter::Any(all(any)?)),
        model::Filter::And(every) => Ok(Filter::All(all(every)?)),
        model::Filter::Atom(parsed) => atom(parsed),
    }
}

fn atom(parsed: &model::FilterAtom) -> Result<Filter, String> {
    let (condition, not) = match parsed {
        model::FilterAtom::Filter { expr, not } => (filter(expr)?, *not),
        model::FilterAtom::Test { expr, not } => (test(expr)?, *not),
        model::FilterAtom::Comparison(parsed) => (comparison(parsed)?, false),
    };
    Ok(if not {
        Filter::Not(Box::new(condition))
    } else {
        condition
    })
}

fn test(parsed: &model::Test) -> Result<Filter, String> {
    match parsed {
        model::Test::Function(function) => match &**function {
            model::TestFunction::Match(text, regex) => matches(text, regex, FilterPattern::whole),
            model::TestFunction::Search(text, regex) => matches(text, regex, FilterPattern::part),
            model::TestFunction::Custom(name, _) => Err(format!("there is no function `{name}`")),
            other => Err(format!(
                "`{other}` is no condition: compare it with a value"
            )),
        },
        query => Ok(Filter::Exists(path(query)?)),
    }
}

fn matches(
    text: &model::FnArg,
    regex: &model::FnArg,
    ready: fn(&str) -> Option<regex::Regex>,
) -> Result<Filter, String> {
    let pattern = match argument(regex)? {
        Operand::Text(regex) => FilterPattern::Ready(ready(&regex)),
        operand => FilterPattern::At(Box::new(operand), ready),
    };
    Ok(Filter::Matches {
        text: argument(text)?,
        pattern,
    })
}

fn comparison(parsed: &model::Comparison) -> Result<Filter, String> {
    use model::Comparison::{Eq, Gt, Gte, Lt, Lte, Ne};
    let (left, operator, right) = match parsed {
        Eq(left, right) => (left, Operator::Equal, right),
        Ne(left, right) => (left, Operator::Unequal, right),
        Lt(left, right) | Gt(right, left) => (left, Operator::Less, right),
        Lte(left, right) | Gte(right, left) => (left, Operator::LessOrEqual, right),
    };
    Ok(Filter::Compare(
        comparable(left)?,
        operator,
        comparable(right)?,
    ))
}

fn comparable(parsed: &model::Comparable) -> Result<Operand, String> {
    match parsed {
        model::Comparable::Literal(parsed) => Ok(literal(parsed)),
        model::Comparable::Function(parsed) => function(parsed),
        model::Comparable::SingularQuery(query) => {
            let (from, steps) = match query {
                model::SingularQuery::Current(steps) => (From::Current, steps),
                model::SingularQuery::Root(steps) => (From::Root, steps),
            };
            let segments = steps.iter().map(singular).collect();
            Ok(Operand::Value(Path { from, segments }))
        }
    }
}

fn singular(parsed: &model::SingularQuerySegment) -> Segment {
    let selector = match parsed {
        model::SingularQuerySegment::Index(index) => Selector::Index(*index),
        model::SingularQuerySegment::Name(name) => Selector::Name(name.clone()),
    };
    Segment {
        reach: Reach::Children,
        selectors: vec![selector],
    }
}

fn literal(parsed: &model::Literal) -> Operand {
    match parsed {
        model::Literal::Int(number) => Operand::Number(number.to_string()),
        // The shortest spelling that parses to the same number.
        model::Literal::Float(number) => Operand::Number(format!("{number:e}")),
        model::Literal::String(text) => Operand::Text(text.clone()),
        model::Literal::Bool(flag) => Operand::Boolean(*flag),
        model::Literal::Null => Operand::Null,
    }
}

fn function(parsed: &model::TestFunction) -> Result<Operand, String> {
    match parsed {
        model::TestFunction::Length(of) => Ok(Operand::Length(Box::new(argument(of)?))),
        model::TestFunction::Value(of) => nodes(of).map(Operand::Value),
        model::TestFunction::Count(of) => nodes(of).map(Operand::Count),
        other => Err(format!("`{other}` has no value to compare")),
    }
}

/// An argument that is a value.
fn argument(parsed: &model::FnArg) -> Result<Operand, String> {
    match parsed {
        model::FnArg::Literal(parsed) => Ok(literal(parsed)),
        model::FnArg::Test(test) => match &**test {
            model::Test::Function(parsed) => function(parsed),
            query => {
                let path = path(query)?;
                if path.segments.iter().all(is_singular) {
                    Ok(Operand::Value(path))
                } else {
                    Err("expected a query that selects at most one node".to_owned())
                }
            }
        },
        model::FnArg::Filter(_) => Err("expected a value, found a condition".to_owned()),
    }
}

/// An argument that is a query.
fn nodes(parsed: &model::FnArg) -> Result<Path, String> {
    match parsed {
        model::FnArg::Test(test) => path(test),
        _ => Err("expected a query".to_owned()),
    }
}

fn path(parsed: &model::Test) -> Result<Path, String> {
    let (from, parsed) = match parsed {
        model::Test::RelQuery(parsed) => (From::Current, parsed),
        model::Test::AbsQuery(query) => (From::Root, &query.segments),
        model::Test::Function(function) => {
            return Err(format!("expected a query, found `{function}`"));
        }
    };
    let segments = segments(parsed)?;
    Ok(Path { from, segments })
}

fn is_singular(segment: &Segment) -> bool {
    let single = matches!(
        segment.selectors[..],
        [Selector::Name(_) | Selector::Index(_)]
    );
    single && segment.reach == Reach::Children
}
