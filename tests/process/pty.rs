//! A terminal for commands, and what it shows.

use crate::support::eventually;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Termios, Winsize, tcgetattr, tcsetwinsize},
};
use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    num::NonZeroU16,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// A terminal that runs a command.
pub(crate) struct Terminal {
    keys: File,
    /// Set when nobody reads it any more.
    is_closed: Arc<AtomicBool>,
    /// Its other end, as the command sees it.
    slave: File,
    screen: Arc<Mutex<vt100::Parser>>,
    child: Child,
    /// Modes before the command began.
    modes: Termios,
}

// === impl Terminal ===

impl Terminal {
    /// Runs it in 200 columns and 50 lines.
    pub(crate) fn run(command: &Command) -> Self {
        Self::sized(command, (200, 50))
    }

    /// Runs it in so many columns and lines.
    pub(crate) fn sized(command: &Command, (columns, rows): (u16, u16)) -> Self {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        tcsetwinsize(&master, size).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = OpenOptions::new()
            .read(true)
            .write(true)
            .open(name)
            .unwrap();
        let modes = tcgetattr(&slave).unwrap();
        let end = || Stdio::from(slave.try_clone().unwrap());
        // Its own session, so that it uses this terminal and not the one that runs the test.
        // A test runner under `nohup` would pass on that it ignores hang-ups.
        let child = Command::new("env")
            .args(["--default-signal=HUP", "setsid", "--ctty", "--wait"])
            .arg(command.get_program())
            .args(command.get_args())
            .env("TERM", "xterm-256color")
            .env_remove("COLUMNS")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let [rows, columns] = [rows, columns].map(|size| NonZeroU16::new(size).unwrap());
        let screen = vt100::Parser::new(rows, columns, 0);
        let screen = Arc::new(Mutex::new(screen));
        let keys = File::from(master);
        let is_closed = Arc::default();
        watch(keys.try_clone().unwrap(), (&screen, &is_closed));
        Self {
            keys,
            is_closed,
            slave,
            screen,
            child,
            modes,
        }
    }

    pub(crate) fn contents(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    pub(crate) fn is_alternate(&self) -> bool {
        self.screen.lock().unwrap().screen().alternate_screen()
    }

    pub(crate) fn shows(&self, text: &str) {
        eventually(text, || self.contents().contains(text).then_some(()));
    }

    pub(crate) fn press(&mut self, keys: &[u8]) {
        self.keys.write_all(keys).unwrap();
    }

    /// Presses a key that ends the command, and asserts that the terminal is restored.
    pub(crate) fn ends_with(mut self, key: &[u8]) {
        self.keys.write_all(key).unwrap();
        self.ends();
    }

    /// Closes the window, and asserts that the command ends.
    pub(crate) fn ends_when_closed(mut self) {
        self.is_closed.store(true, Ordering::Relaxed);
        // The other owners are the reading thread, and this one.
        self.keys = File::open("/dev/null").unwrap();
        eventually("it ends", || self.child.try_wait().unwrap());
    }

    pub(crate) fn ends_by(self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        self.ends();
    }

    fn ends(mut self) {
        let status = eventually("it ends", || self.child.try_wait().unwrap());
        assert!(status.success(), "{status}");
        eventually("the screen is given back", || {
            (!self.is_alternate()).then_some(())
        });
        let now = tcgetattr(&self.slave).unwrap();
        assert_eq!(now.local_modes, self.modes.local_modes);
        assert_eq!(now.input_modes, self.modes.input_modes);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn watch(mut shown: File, (screen, is_closed): (&Arc<Mutex<vt100::Parser>>, &Arc<AtomicBool>)) {
    let (screen, is_closed) = (screen.clone(), is_closed.clone());
    let tick = Timespec {
        tv_sec: 0,
        tv_nsec: 20_000_000,
    };
    thread::spawn(move || {
        let mut bytes = [0; 4_096];
        while !is_closed.load(Ordering::Relaxed) {
            let mut readable = [PollFd::new(&shown, PollFlags::IN)];
            if poll(&mut readable, Some(&tick)).unwrap_or(0) == 0 {
                continue;
            }
            let Ok(count) = shown.read(&mut bytes) else {
                break;
            };
            screen.lock().unwrap().process(&bytes[..count]);
        }
    });
}
