//! The view on a terminal, refreshed every second until a key, a signal or the end of the terminal ends it.
//!
//! A separate thread queries the admin API, so that keys work while it is slow or unreachable. The last data stays on
//! the screen, with the error.

use super::{look::Look, view::view};
use crate::{
    cli::{
        chain,
        client::{Client, Error},
    },
    verdict::Decision,
};
use ratatui::{
    Frame, Terminal,
    backend::Backend,
    crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
    layout::{Constraint, Layout},
    style::{Color, Style},
    text::{Line, Span},
    widgets::Paragraph,
};
use rustix::event::{PollFd, PollFlags, poll};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};
use std::{
    io,
    process::exit,
    sync::mpsc::{self, Receiver, TryRecvError},
    thread,
    time::{Duration, Instant},
};

/// What the terminal shows.
#[derive(Debug)]
struct Screen {
    /// The older one gives the rates.
    looks: [Option<Look>; 2],
    /// Why there is no newer data.
    trouble: Option<String>,
    /// Scroll offset in lines and columns.
    scrolled: (u16, u16),
}

/// Interval between two queries.
const PAUSE: Duration = Duration::from_secs(1);

/// How long to wait for a key before checking for new data.
const TICK: Duration = Duration::from_millis(100);

/// Time limit for restoring an unresponsive terminal when a signal ends the view.
const RESTORE_WITHIN: Duration = Duration::from_millis(500);

/// Columns that an arrow key scrolls.
const SIDEWAYS: u16 = 8;

/// Shows `first`, then the current state every second. Restores the terminal however that ends.
///
/// # Errors
/// The terminal is gone.
pub(super) fn show(client: Client, first: Look) -> io::Result<()> {
    let looks = look_on(client);
    end_from_outside()?;
    let mut terminal = ratatui::try_init()?;
    let ended = follow(&mut terminal, &looks, Screen::new(first));
    ratatui::restore();
    ended
}

/// Queries the admin API until the receiver is dropped.
fn look_on(client: Client) -> Receiver<Result<Look, Error>> {
    let (tx, rx) = mpsc::sync_channel(1);
    thread::spawn(move || {
        loop {
            client.wait(PAUSE);
            if tx.send(Look::take(&client)).is_err() {
                break;
            }
        }
    });
    rx
}

/// Ends the process at a signal, and when the terminal is gone. The view itself cannot: on a closed terminal, waiting
/// for a key never ends.
fn end_from_outside() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            end();
        }
    });
    thread::spawn(|| {
        let stdout = io::stdout();
        // No event is requested, so only a hang-up is reported.
        let mut hangup = [PollFd::new(&stdout, PollFlags::empty())];
        while poll(&mut hangup, None).is_err() {}
        end();
    });
    Ok(())
}

/// Restores the terminal if it can still be reached, and ends the process.
fn end() -> ! {
    let (tx, rx) = mpsc::channel();
    thread::spawn(move || tx.send(ratatui::try_restore()));
    let _ = rx.recv_timeout(RESTORE_WITHIN);
    exit(0)
}

fn follow<B: Backend<Error = io::Error>>(
    terminal: &mut Terminal<B>,
    looks: &Receiver<Result<Look, Error>>,
    mut screen: Screen,
) -> io::Result<()> {
    loop {
        screen.take_all(looks)?;
        terminal.draw(|frame| screen.draw(frame))?;
        if event::poll(TICK)?
            && let Event::Key(key) = event::read()?
            && screen.press(key)
        {
            return Ok(());
        }
    }
}

// === impl Screen ===

impl Screen {
    fn new(first: Look) -> Self {
        Self {
            looks: [None, Some(first)],
            trouble: None,
            scrolled: (0, 0),
        }
    }

    fn take_all(&mut self, looks: &Receiver<Result<Look, Error>>) -> io::Result<()> {
        loop {
            match looks.try_recv() {
                Ok(look) => self.take(look),
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => {
                    return Err(io::Error::other("nobody looks any more"));
                }
            }
        }
    }

    fn take(&mut self, look: Result<Look, Error>) {
        match look {
            Ok(look) => {
                self.looks = [self.looks[1].take(), Some(look)];
                self.trouble = None;
            }
            Err(error) => self.trouble = Some(chain(&error)),
        }
    }

    /// Returns whether the key ends the view.
    fn press(&mut self, key: KeyEvent) -> bool {
        if key.kind == KeyEventKind::Release {
            return false;
        }
        let is_interrupt = key.modifiers.contains(KeyModifiers::CONTROL);
        let (down, right) = &mut self.scrolled;
        match key.code {
            KeyCode::Char('c' | 'd') if is_interrupt => return true,
            KeyCode::Char('q') | KeyCode::Esc => return true,
            KeyCode::Up => *down = down.saturating_sub(1),
            KeyCode::Down => *down = down.saturating_add(1),
            KeyCode::PageUp => *down = down.saturating_sub(10),
            KeyCode::PageDown => *down = down.saturating_add(10),
            KeyCode::Left => *right = right.saturating_sub(SIDEWAYS),
            KeyCode::Right => *right = right.saturating_add(SIDEWAYS),
            KeyCode::Home => self.scrolled = (0, 0),
            _ => {}
        }
        false
    }

    fn draw(&mut self, frame: &mut Frame<'_>) {
        let [body, footer] =
            Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(frame.area());
        let lines = self.lines();
        // Keeps the last line visible.
        let last = u16::try_from(lines.len().saturating_sub(1)).unwrap_or(u16::MAX);
        self.scrolled.0 = self.scrolled.0.min(last);
        frame.render_widget(Paragraph::new(lines).scroll(self.scrolled), body);
        frame.render_widget(self.footer(Instant::now()), footer);
    }

    fn lines(&self) -> Vec<Line<'static>> {
        let [before, Some(look)] = &self.looks else {
            return Vec::new();
        };
        let mut lines = view(look, before.as_ref()).into_iter();
        let verdict = lines.next().unwrap_or_default();
        let name = look.verdict.verdict.name();
        let rest = verdict.strip_prefix(name).unwrap_or(&verdict).to_owned();
        let verdict = Line::from(vec![
            Span::styled(name, style(look.verdict.verdict)),
            Span::raw(rest),
        ]);
        let others = lines.map(|line| {
            if line.starts_with("not ready:") || line.starts_with("impaired:") {
                Line::styled(line, Color::Yellow)
            } else {
                Line::raw(line)
            }
        });
        std::iter::once(verdict).chain(others).collect()
    }

    fn footer(&self, now: Instant) -> Line<'static> {
        let seen = self.looks[1].as_ref().map_or(now, |look| look.at);
        match &self.trouble {
            Some(trouble) => {
                let ago = now.saturating_duration_since(seen).as_secs();
                let text = format!("{trouble}; what is shown was seen {ago} s ago (q quits)");
                Line::styled(text, Style::new().fg(Color::Red).bold())
            }
            None => Line::styled("q quits, arrows scroll", Color::DarkGray),
        }
    }
}

fn style(decision: Decision) -> Style {
    let colour = match decision {
        Decision::Safe => Color::Green,
        Decision::Unsafe => Color::Red,
        Decision::Undecided => Color::Yellow,
    };
    Style::new().fg(colour).bold()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::status::look::tests::look;
    use ratatui::backend::TestBackend;

    fn shown(screen: &mut Screen) -> String {
        let mut terminal = Terminal::new(TestBackend::new(60, 8)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        terminal.backend().to_string()
    }

    fn press(screen: &mut Screen, code: KeyCode) -> bool {
        screen.press(KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn what_was_seen_last_stays_while_the_admin_is_away() {
        let mut screen = Screen::new(look(100));
        assert!(shown(&mut screen).contains("undecided  epoch 812 (e1)"));

        let url = "http://127.0.0.1:9".to_owned();
        let within = Duration::from_secs(10);
        screen.take(Err(Error::TimedOut { url, within }));
        let away = shown(&mut screen);
        assert!(away.contains("undecided  epoch 812"), "{away}");
        assert!(away.contains("http://127.0.0.1:9 did not answer"), "{away}");

        screen.take(Ok(look(150)));
        let back = shown(&mut screen);
        assert!(back.contains("live 150 ("), "{back}");
        assert!(!back.contains("did not answer"), "{back}");
    }

    #[test]
    fn arrows_scroll_within_what_there_is() {
        let mut screen = Screen::new(look(100));
        press(&mut screen, KeyCode::Up);
        assert!(shown(&mut screen).contains("undecided"));
        press(&mut screen, KeyCode::Down);
        assert!(!shown(&mut screen).contains("undecided"));
        for _ in 0..100 {
            press(&mut screen, KeyCode::PageDown);
            shown(&mut screen);
        }
        press(&mut screen, KeyCode::PageUp);
        assert!(
            shown(&mut screen).contains("$.price"),
            "the end was in sight"
        );
        press(&mut screen, KeyCode::Home);
        press(&mut screen, KeyCode::Right);
        assert!(
            shown(&mut screen).contains("d  epoch"),
            "eight columns are away"
        );
    }

    #[test]
    fn only_its_keys_end_it() {
        let mut screen = Screen::new(look(1));
        assert!(!press(&mut screen, KeyCode::Char('c')));
        assert!(press(&mut screen, KeyCode::Char('q')));
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert!(screen.press(interrupt));
    }
}
