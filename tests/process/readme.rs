//! Runs README.md from top to bottom in an empty folder: files are written and commands are run in the order in which
//! they stand, and what is shown of their output is printed.
//!
//! Needs `sh`, `curl` and `python3`, as the page itself does.

use super::quoted::{assert_printed, blocks, page};
use crate::support::eventually;
use regex::Regex;
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    os::unix::{fs::symlink, process::CommandExt},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};
use tempfile::TempDir;

/// The only texts of the page that a test replaces. Everything else runs as it stands.
fn exceptions(ports: &Ports) -> Vec<(String, String)> {
    let Ports {
        live,
        admin,
        old,
        new,
    } = ports;
    let exceptions = [
        // The binary is built already.
        (
            "cargo run --release -- demo",
            "twinread demo --seconds 2".to_owned(),
        ),
        ("PATH=$PWD/target/release:$PATH", "true".to_owned()),
        // Ports that others may have.
        (
            "twinread demo --keep",
            format!("twinread demo --admin 127.0.0.1:{admin} --seconds 2 --keep"),
        ),
        (
            "twinread run --old",
            format!("twinread run --listen 127.0.0.1:{live} --admin 127.0.0.1:{admin} --old"),
        ),
        (":8080", format!(":{live}")),
        (":9900", format!(":{admin}")),
        ("9001", old.to_string()),
        ("9002", new.to_string()),
    ];
    exceptions.map(|(found, by)| (found.to_owned(), by)).into()
}

struct Ports {
    live: u16,
    admin: u16,
    old: u16,
    new: u16,
}

/// Does what the page says.
struct Reader {
    /// Texts of the page, and what stands for each here.
    replacements: Vec<(String, String)>,
    shell: Shell,
    ports: Ports,
}

/// A shell that keeps its state from block to block.
struct Shell {
    child: Child,
    stdin: ChildStdin,
    codes: mpsc::Receiver<String>,
    /// Where the reader works: empty at first.
    folder: TempDir,
    /// The program, each step and its output.
    aside: TempDir,
    steps: usize,
}

/// Longer than any block may take on a loaded machine.
const WITHIN: Duration = Duration::from_secs(180);

#[test]
fn the_readme_runs_from_top_to_bottom() {
    let ports = Ports::free();
    let mut reader = Reader {
        replacements: exceptions(&ports),
        shell: Shell::start(&ports),
        ports,
    };
    let (mut printed, mut run) = (String::new(), 0);
    for (language, text) in blocks(&page("README.md")) {
        match &*language {
            "sh" => printed = text.lines().map(|line| reader.run(line)).collect(),
            "console" => reader.run_shown(&text),
            "text" => text.lines().for_each(|line| assert_printed(line, &printed)),
            _ => reader.write(&text),
        }
        run += usize::from(["sh", "console"].contains(&&*language));
    }
    assert!(run >= 10, "{run} blocks were run");
}

// === impl Reader ===

impl Reader {
    fn replaced(&self, text: &str) -> String {
        let replacements = self.replacements.iter();
        replacements.fold(text.to_owned(), |text, (found, by)| text.replace(found, by))
    }

    /// Writes the file that the first line of a block names.
    fn write(&self, text: &str) {
        let name = text.lines().next().unwrap().trim_start_matches("# ");
        let is_name = !name.contains(' ') && Path::new(name).extension().is_some();
        assert!(is_name, "the first line names no file: {name}");
        fs::write(self.shell.folder.path().join(name), self.replaced(text)).unwrap();
    }

    /// Runs a command, and waits for what it starts in the background. Returns its output.
    fn run(&mut self, command: &str) -> String {
        let command = self.replaced(command);
        let printed = self.shell.run(&command);
        if command.ends_with(" &") {
            self.ports.wait_for(&command);
        }
        printed
    }

    /// Runs the commands of a block and holds their output to what is shown below each.
    fn run_shown(&mut self, text: &str) {
        let id = Regex::new(r"\b[0-9a-f]{16}\b").unwrap();
        for command in text
            .split("\n$ ")
            .map(|command| command.trim_start_matches("$ "))
        {
            let (command, shown) = command.split_once('\n').unwrap_or((command, ""));
            let printed = self.run(command);
            shown
                .lines()
                .for_each(|line| assert_printed(&self.replaced(line), &printed));
            // Readers copy ids from what they see.
            let own = id.find_iter(&printed).map(|id| id.as_str().to_owned());
            let ids = id
                .find_iter(shown)
                .map(|id| id.as_str().to_owned())
                .zip(own);
            self.replacements.extend(ids);
        }
    }
}

// === impl Ports ===

impl Ports {
    /// Below those that the system hands out, so that no other test is given one meanwhile.
    fn free() -> Self {
        let first = 10_000 + u16::try_from(std::process::id() % 2_000).unwrap() * 10;
        let mut free =
            (first..30_000).filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
        let mut next = || free.next().expect("a free port");
        Self {
            live: next(),
            admin: next(),
            old: next(),
            new: next(),
        }
    }

    /// Waits until what a line starts in the background listens.
    fn wait_for(&self, line: &str) {
        for port in [self.live, self.admin, self.old, self.new] {
            let is_of_sidecar = port == self.live || port == self.admin;
            if line.contains(&port.to_string()) || is_of_sidecar && line.contains("twinread run") {
                eventually("what runs in the background listens", || {
                    TcpStream::connect(("127.0.0.1", port)).ok()
                });
            }
        }
    }
}

// === impl Shell ===

impl Shell {
    fn start(ports: &Ports) -> Self {
        let (folder, aside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let binary = std::env::var("TWINREAD_UNDER_TEST");
        let binary = binary.unwrap_or_else(|_| env!("CARGO_BIN_EXE_twinread").to_owned());
        symlink(binary, aside.path().join("twinread")).unwrap();
        let path = std::env::var("PATH").unwrap();
        let mut child = Command::new("sh")
            .env("PATH", format!("{}:{path}", aside.path().display()))
            .env(
                "TWINREAD_ADMIN",
                format!("http://127.0.0.1:{}", ports.admin),
            )
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let codes = lines(BufReader::new(child.stdout.take().unwrap()));
        Self {
            child,
            stdin,
            codes,
            folder,
            aside,
            steps: 0,
        }
    }

    /// Runs a block. Returns its output.
    fn run(&mut self, script: &str) -> String {
        self.steps += 1;
        let step = self.aside.path().join(self.steps.to_string());
        let output = step.with_extension("out");
        fs::write(&step, script).unwrap();
        let (step, to) = (step.display(), output.display());
        writeln!(self.stdin, ". {step} </dev/null >{to} 2>&1; echo $?").unwrap();
        let code = self.codes.recv_timeout(WITHIN);
        let printed = fs::read_to_string(&output).unwrap();
        // What these say by their code is a result.
        let results = ["gate", "compare", "recheck"];
        let is_result = results
            .iter()
            .any(|name| script.contains(&format!("twinread {name}")));
        let is_fine = code.as_ref().is_ok_and(|code| code == "0" || is_result);
        assert!(is_fine, "{script}\nended with {code:?}:\n{printed}");
        printed
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Everything that was started in the background has its group.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

fn lines(output: impl BufRead + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let read = output.lines().map_while(Result::ok);
        read.map(|line| sender.send(line))
            .take_while(Result::is_ok)
            .for_each(drop);
    });
    lines
}
