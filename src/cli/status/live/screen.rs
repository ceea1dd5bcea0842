//! What the terminal shows, and what the keys do to it.

use crate::cli::{
    chain,
    client::Error,
    print::fit,
    show::Example,
    status::{
        look::Look,
        view::{Kind, Line, Opens, Showing, View, view},
    },
    verdict::REASONS,
};
use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
    layout::{Constraint, Layout},
    style::{Color, Modifier, Style},
    text::{Line as Painted, Span},
    widgets::Paragraph,
};
use std::{sync::mpsc::Receiver, time::Instant};

/// What the terminal shows.
#[derive(Debug)]
pub(super) struct Screen {
    /// The older one gives the rates.
    looks: [Option<Look>; 2],
    /// Why there is no newer data.
    trouble: Option<String>,
    /// The row that is marked.
    marked: Option<Opens>,
    /// The first line shown.
    top: usize,
    /// Columns that are scrolled away.
    skipped: usize,
    filter: String,
    is_typing: bool,
    pub(super) opened: Option<Opened>,
    /// Columns and lines for the data.
    size: (usize, usize),
}

/// An example in place of the data.
#[derive(Debug)]
pub(super) enum Opened {
    Awaited(Receiver<Result<Example, String>>),
    Missing(String),
    Shown {
        example: Box<Example>,
        /// The lines for a width, because to lay them out compares the answers.
        laid_out: (usize, Vec<String>),
        top: usize,
    },
}

/// What a key asks of the caller.
#[derive(Debug, PartialEq)]
pub(super) enum Pressed {
    Nothing,
    End,
    Open(Opens),
}

/// A move up or down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Up(usize),
    Down(usize),
    Start,
    End,
}

// === impl Screen ===

impl Screen {
    pub(super) fn new(first: Look) -> Self {
        Self {
            looks: [None, Some(first)],
            trouble: None,
            marked: None,
            top: 0,
            skipped: 0,
            filter: String::new(),
            is_typing: false,
            opened: None,
            size: (80, 24),
        }
    }

    pub(super) fn take(&mut self, look: Result<Look, Error>) {
        match look {
            Ok(look) => {
                self.looks = [self.looks[1].take(), Some(look)];
                self.trouble = None;
            }
            Err(error) => self.trouble = Some(chain(&error)),
        }
    }

    pub(super) fn press(&mut self, key: KeyEvent) -> Pressed {
        if key.kind == KeyEventKind::Release {
            return Pressed::Nothing;
        }
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        if is_control && matches!(key.code, KeyCode::Char('c' | 'd')) {
            return Pressed::End;
        }
        if self.is_typing {
            self.type_into_filter(key.code);
        } else if let Some(moved) = self.move_of(key.code) {
            match &mut self.opened {
                Some(Opened::Shown { top, .. }) => moved.scroll(top),
                Some(_) => {}
                None => self.go(moved),
            }
        } else if self.opened.is_some() {
            if matches!(
                key.code,
                KeyCode::Esc | KeyCode::Enter | KeyCode::Backspace | KeyCode::Char('q')
            ) {
                self.opened = None;
            }
        } else {
            return self.command(key.code);
        }
        Pressed::Nothing
    }

    fn command(&mut self, key: KeyCode) -> Pressed {
        match key {
            KeyCode::Esc if !self.filter.is_empty() => self.filter.clear(),
            KeyCode::Char('q') | KeyCode::Esc => return Pressed::End,
            KeyCode::Char('/') => self.is_typing = true,
            KeyCode::Left => self.skipped = self.skipped.saturating_sub(1),
            KeyCode::Right if self.view().left_out > 0 => self.skipped += 1,
            KeyCode::Enter => {
                if let Some(marked) = &self.marked {
                    return Pressed::Open(marked.clone());
                }
            }
            _ => {}
        }
        Pressed::Nothing
    }

    fn type_into_filter(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => self.is_typing = false,
            KeyCode::Esc => {
                self.is_typing = false;
                self.filter.clear();
            }
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(letter) => self.filter.push(letter),
            _ => {}
        }
    }

    fn move_of(&self, key: KeyCode) -> Option<Move> {
        let page = self.size.1.saturating_sub(2).max(1);
        Some(match key {
            KeyCode::Up | KeyCode::Char('k') => Move::Up(1),
            KeyCode::Down | KeyCode::Char('j') => Move::Down(1),
            KeyCode::PageUp => Move::Up(page),
            KeyCode::PageDown => Move::Down(page),
            KeyCode::Home | KeyCode::Char('g') => Move::Start,
            KeyCode::End | KeyCode::Char('G') => Move::End,
            _ => return None,
        })
    }

    /// Moves the mark from row to row. Without a row in sight, the lines scroll.
    fn go(&mut self, moved: Move) {
        let lines = self.view().lines;
        let rows = lines.iter().enumerate();
        let rows: Vec<usize> = rows
            .filter(|(_, line)| matches!(line.kind, Kind::Row(_)))
            .map(|(index, _)| index)
            .collect();
        let marked = self.marked_in(&lines);
        let marked = marked.and_then(|at| rows.iter().position(|row| *row == at));
        let height = self.size.1;
        let in_sight = |row: &&usize| (self.top..self.top + height).contains(*row);
        let target = match (moved, marked) {
            (Move::Start, _) => {
                (self.top, self.skipped) = (0, 0);
                None
            }
            (Move::End, _) => {
                self.top = lines.len().saturating_sub(height);
                rows.last()
            }
            (Move::Down(by), Some(at)) => rows.get((at + by).min(rows.len() - 1)),
            (Move::Up(by), Some(at)) if at > 0 => rows.get(at.saturating_sub(by)),
            (Move::Down(by), None) => rows.iter().find(in_sight).or_else(|| {
                self.top = (self.top + by).min(lines.len().saturating_sub(height));
                None
            }),
            (Move::Up(by), _) => {
                self.top = self.top.saturating_sub(by);
                None
            }
        };
        self.marked = target.and_then(|row| match &lines[*row].kind {
            Kind::Row(opens) => Some(opens.clone()),
            _ => None,
        });
    }

    fn marked_in(&self, lines: &[Line]) -> Option<usize> {
        let marked = self.marked.as_ref()?;
        let is_marked = |line: &Line| matches!(&line.kind, Kind::Row(opens) if opens == marked);
        lines.iter().position(is_marked)
    }

    fn view(&self) -> View {
        let [before, Some(look)] = &self.looks else {
            return View::default();
        };
        let (width, height) = self.size;
        let showing = Showing {
            width,
            // Leaves room for the routes.
            reasons: (height.saturating_sub(9) / 5).clamp(2, REASONS),
            skipped: self.skipped,
            filter: self.filter.clone(),
            way: "with →",
        };
        view(look, before.as_ref(), &showing)
    }

    pub(super) fn draw(&mut self, frame: &mut Frame<'_>) {
        let [body, footer] =
            Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(frame.area());
        self.size = (body.width.into(), body.height.into());
        self.receive();
        let lines = match &mut self.opened {
            None => self.table(),
            Some(opened) => opened.lines(self.size),
        };
        frame.render_widget(Paragraph::new(lines), body);
        frame.render_widget(self.footer(Instant::now()), footer);
    }

    /// Takes an example that has arrived.
    fn receive(&mut self) {
        if let Some(Opened::Awaited(awaited)) = &self.opened
            && let Ok(found) = awaited.try_recv()
        {
            self.opened = Some(match found {
                Ok(example) => Opened::Shown {
                    laid_out: (self.size.0, example.lines(self.size.0)),
                    example: Box::new(example),
                    top: 0,
                },
                Err(missing) => Opened::Missing(missing),
            });
        }
    }

    /// The lines in sight. The names of the columns stay above the rows that are scrolled.
    fn table(&mut self) -> Vec<Painted<'static>> {
        let lines = self.view().lines;
        let height = self.size.1;
        let marked = self.marked_in(&lines);
        if let Some(at) = marked {
            let lowest = at.saturating_sub(1);
            self.top = self
                .top
                .clamp((at + 1).saturating_sub(height).min(lowest), lowest);
        }
        // Keeps the last line visible.
        self.top = self.top.min(lines.len().saturating_sub(1));
        let in_sight = lines.iter().enumerate().skip(self.top).take(height);
        let mut shown: Vec<_> = in_sight
            .map(|(index, line)| paint(line, marked == Some(index), self.decision()))
            .collect();
        let above = &lines[..self.top.min(lines.len())];
        let columns = above.iter().rfind(|line| line.kind == Kind::Columns);
        if let (Some(first), Some(columns)) = (shown.first_mut(), columns)
            && matches!(lines[self.top].kind, Kind::Row(_))
        {
            *first = paint(columns, false, self.decision());
        }
        shown
    }

    /// The verdict's name and colour.
    fn decision(&self) -> (&'static str, Color) {
        use crate::verdict::Decision::{Safe, Undecided, Unsafe};
        let look = self.looks[1].as_ref();
        let decision = look.map_or(Undecided, |look| look.verdict.verdict);
        let colour = match decision {
            Safe => Color::Green,
            Unsafe => Color::Red,
            Undecided => Color::Yellow,
        };
        (decision.name(), colour)
    }

    fn footer(&self, now: Instant) -> Painted<'static> {
        let width = self.size.0;
        if let Some(trouble) = &self.trouble {
            let seen = self.looks[1].as_ref().map_or(now, |look| look.at);
            let ago = now.saturating_duration_since(seen).as_secs();
            let text = fit(&format!("{ago} s old, q quits: {trouble}"), width);
            return Painted::styled(text, Style::new().fg(Color::Red).bold());
        }
        let text = if self.is_typing {
            format!("/{}_  Enter keeps the filter, Esc drops it", self.filter)
        } else if self.opened.is_some() {
            "Esc goes back, arrows scroll, Home End".to_owned()
        } else if !self.filter.is_empty() {
            "Esc drops the filter, q quits, arrows move, Enter opens an example".to_owned()
        } else {
            "q quits, arrows Home End G move, / filters, Enter opens an example".to_owned()
        };
        Painted::styled(fit(&text, width), Color::DarkGray)
    }
}

// === impl Opened ===

impl Opened {
    fn lines(&mut self, (width, height): (usize, usize)) -> Vec<Painted<'static>> {
        match self {
            Self::Awaited(_) => vec![Painted::raw("asking for the newest example")],
            Self::Missing(missing) => vec![Painted::styled(missing.clone(), Color::Yellow)],
            Self::Shown {
                example,
                laid_out,
                top,
            } => {
                if laid_out.0 != width {
                    *laid_out = (width, example.lines(width));
                }
                let lines = &laid_out.1;
                *top = (*top).min(lines.len().saturating_sub(height));
                let lines = lines.iter().skip(*top).take(height);
                lines.cloned().map(paint_example).collect()
            }
        }
    }
}

// === impl Move ===

impl Move {
    /// Scrolls text; what is too far is corrected when it is drawn.
    fn scroll(self, top: &mut usize) {
        *top = match self {
            Self::Up(by) => top.saturating_sub(by),
            Self::Down(by) => top.saturating_add(by),
            Self::Start => 0,
            Self::End => usize::MAX,
        };
    }
}

fn paint(line: &Line, is_marked: bool, (name, colour): (&'static str, Color)) -> Painted<'static> {
    let text = line.text.clone();
    match &line.kind {
        Kind::Verdict => {
            let rest = text.strip_prefix(name).unwrap_or(&text).to_owned();
            let style = Style::new().fg(colour).bold();
            Painted::from(vec![Span::styled(name, style), Span::raw(rest)])
        }
        Kind::Warning => Painted::styled(text, Color::Yellow),
        Kind::Columns => Painted::styled(text, Modifier::BOLD),
        Kind::Row(_) if is_marked => Painted::styled(text, Modifier::REVERSED),
        Kind::Text | Kind::Row(_) => Painted::raw(text),
    }
}

/// Colours what differs as `twinread show` does.
fn paint_example(line: String) -> Painted<'static> {
    if line.starts_with("  - ") {
        Painted::styled(line, Color::Red)
    } else if line.starts_with("  + ") {
        Painted::styled(line, Color::Green)
    } else {
        Painted::raw(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::status::look::tests::look;
    use ratatui::{Terminal, backend::TestBackend};
    use std::time::Duration;

    fn drawn(screen: &mut Screen, columns: u16, lines: u16) -> TestBackend {
        let mut terminal = Terminal::new(TestBackend::new(columns, lines)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        terminal.backend().clone()
    }

    fn shown(screen: &mut Screen, columns: u16, lines: u16) -> String {
        drawn(screen, columns, lines).to_string()
    }

    fn press(screen: &mut Screen, code: KeyCode) -> Pressed {
        screen.press(KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn what_was_seen_last_stays_while_the_admin_is_away() {
        let mut screen = Screen::new(look(100));
        assert!(shown(&mut screen, 80, 20).contains("undecided  epoch 812 (e1)"));

        let url = "http://127.0.0.1:9".to_owned();
        let within = Duration::from_secs(10);
        screen.take(Err(Error::TimedOut { url, within }));
        let away = shown(&mut screen, 80, 20);
        assert!(away.contains("undecided  epoch 812"), "{away}");
        assert!(away.contains("http://127.0.0.1:9 did not answer"), "{away}");

        screen.take(Ok(look(150)));
        let back = shown(&mut screen, 80, 20);
        assert!(back.contains("live 150 ("), "{back}");
        assert!(!back.contains("did not answer"), "{back}");
    }

    #[test]
    fn the_names_of_columns_stay_above_what_is_scrolled() {
        let mut screen = Screen::new(look(100));
        shown(&mut screen, 60, 8);
        press(&mut screen, KeyCode::Up);
        assert!(shown(&mut screen, 60, 8).contains("undecided"));
        press(&mut screen, KeyCode::End);
        let end = shown(&mut screen, 60, 8);
        assert!(end.contains("class  checks  kind"), "{end}");
        assert_eq!(end.matches("$.price").count(), 6, "{end}");
        assert!(!end.contains("undecided"), "{end}");
        for _ in 0..100 {
            press(&mut screen, KeyCode::PageUp);
            shown(&mut screen, 60, 8);
        }
        assert!(shown(&mut screen, 60, 8).contains("undecided"));
        press(&mut screen, KeyCode::Char('G'));
        press(&mut screen, KeyCode::Home);
        assert!(shown(&mut screen, 60, 8).contains("undecided"));
    }

    #[test]
    fn the_route_stays_when_columns_are_scrolled_away() {
        let mut screen = Screen::new(look(100));
        let first = shown(&mut screen, 60, 30);
        assert!(first.contains("mismatch  match"), "{first}");
        for _ in 0..30 {
            press(&mut screen, KeyCode::Right);
        }
        let last = shown(&mut screen, 60, 30);
        assert!(last.contains("by rules  delayed"), "{last}");
        assert!(last.contains("get-user"), "{last}");
        for _ in 0..30 {
            press(&mut screen, KeyCode::Left);
        }
        assert_eq!(shown(&mut screen, 60, 30), first);
    }

    #[test]
    fn a_filter_leaves_the_rows_that_contain_it() {
        let mut screen = Screen::new(look(100));
        shown(&mut screen, 80, 30);
        for key in "/PRICE".chars() {
            assert_eq!(press(&mut screen, KeyCode::Char(key)), Pressed::Nothing);
        }
        let filtered = shown(&mut screen, 80, 30);
        assert!(filtered.contains("0 of 1 route with `PRICE`"), "{filtered}");
        assert!(filtered.contains("10 mismatch classes with"), "{filtered}");
        press(&mut screen, KeyCode::Enter);
        press(&mut screen, KeyCode::Esc);
        assert!(shown(&mut screen, 80, 30).contains("1 route, the worst"));
        assert_eq!(press(&mut screen, KeyCode::Esc), Pressed::End);
    }

    #[test]
    fn enter_opens_what_is_marked() {
        let mut screen = Screen::new(look(100));
        shown(&mut screen, 80, 30);
        assert_eq!(press(&mut screen, KeyCode::Enter), Pressed::Nothing);
        press(&mut screen, KeyCode::Down);
        let route = Pressed::Open(Opens::Route("get-user".to_owned()));
        assert_eq!(press(&mut screen, KeyCode::Enter), route);
        press(&mut screen, KeyCode::Down);
        let class = Pressed::Open(Opens::Class("c0".to_owned()));
        assert_eq!(press(&mut screen, KeyCode::Enter), class);

        let (tx, rx) = std::sync::mpsc::sync_channel(1);
        screen.opened = Some(Opened::Awaited(rx));
        assert!(shown(&mut screen, 80, 30).contains("asking for"));
        tx.send(Err("no example is stored".to_owned())).unwrap();
        assert!(shown(&mut screen, 80, 30).contains("no example is stored"));
        assert_eq!(press(&mut screen, KeyCode::Esc), Pressed::Nothing);
        assert!(shown(&mut screen, 80, 30).contains("undecided"));
    }

    #[test]
    fn no_terminal_is_too_small() {
        let mut screen = Screen::new(look(100));
        let keys = [
            KeyCode::Down,
            KeyCode::Right,
            KeyCode::PageDown,
            KeyCode::End,
            KeyCode::Up,
            KeyCode::Home,
        ];
        for columns in [0, 1, 2, 5, 17, 40] {
            for lines in [0, 1, 2, 3, 9] {
                for key in keys {
                    press(&mut screen, key);
                    drawn(&mut screen, columns, lines);
                }
            }
        }
    }

    #[test]
    fn only_its_keys_end_it() {
        let mut screen = Screen::new(look(1));
        assert_eq!(press(&mut screen, KeyCode::Char('c')), Pressed::Nothing);
        assert_eq!(press(&mut screen, KeyCode::Char('q')), Pressed::End);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(screen.press(interrupt), Pressed::End);
    }
}
