//! Listener, admin API, stacks and commands over unix sockets.

use crate::support::{DEADLINE, Stack, run_in, start_app, until};
use std::{
    io::{Read, Write},
    net::SocketAddr,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpStream, UnixListener},
    task::{JoinHandle, JoinSet},
};

/// Passes connections of a unix socket on to a stack.
struct Bridge(JoinHandle<()>);

impl Bridge {
    fn new(path: &Path, stack: SocketAddr) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        Self(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut caller, _)) = listener.accept().await {
                connections.spawn(async move {
                    let mut stack = TcpStream::connect(stack).await.unwrap();
                    let _ = copy_bidirectional(&mut caller, &mut stack).await;
                });
            }
        }))
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn ask(socket: &Path, path: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn configuration(folder: &Path) -> (String, [PathBuf; 4]) {
    let paths = ["listen", "admin", "old", "new"].map(|name| folder.join(format!("{name}.sock")));
    let [listen, admin, old, new] = paths.each_ref().map(|path| path.display());
    let text = format!(
        "listen: unix:{listen}\nadmin: unix:{admin}\nold: {{url: 'unix:{old}'}}\nnew: {{url: 'unix:{new}'}}\n\
         sample: {{rate: 1}}\nforwarded: append\nstore: {{path: {}/evidence.db}}\n",
        folder.display()
    );
    (text, paths)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_checks_and_commands_pass_over_unix_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (text, [listen, admin, old_path, new_path]) = configuration(folder);
    let old = Stack::json(r#"{"a":1}"#);
    let new = Stack::json(r#"{"a":1}"#);
    let _bridges = [
        Bridge::new(&old_path, old.addr),
        Bridge::new(&new_path, new.addr),
    ];
    // A file that a dead process left.
    drop(std::os::unix::net::UnixListener::bind(&listen).unwrap());
    let app = start_app(folder, &text).unwrap();

    let answer = ask(&listen, "/a");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with(r#"{"a":1}"#), "{answer}");
    until("the check", || {
        ask(&admin, "/metrics").contains("outcome=\"match\"")
    })
    .await;
    assert_eq!((old.request_count(), new.request_count()), (1, 1));
    assert!(
        !old.requests()[0].contains("x-forwarded-for"),
        "a caller without an address"
    );
    let metrics = ask(&admin, "/readyz");
    let url = format!("unix:{}", new_path.display());
    assert!(metrics.contains(&url), "{metrics}");

    let admin_url = format!("unix:{}", admin.display());
    let set = run_in(folder, &["set", "--admin", &admin_url, "paused=true"]);
    assert_eq!(
        String::from_utf8_lossy(&set.stdout),
        "paused = true (api)\n"
    );
    let asked = run_in(folder, &["status", "--admin", &admin_url, "--json"]);
    assert!(asked.status.success(), "{asked:?}");
    let history = ask(&admin, "/v1/settings/history");
    assert!(history.contains(r#""caller":"a unix socket""#), "{history}");

    let other = text.replace("evidence.db", "other.db");
    let twice = start_app(folder, &other).unwrap_err();
    assert_eq!(
        twice.to_string(),
        format!("cannot listen on unix:{}", listen.display())
    );
    let source = std::error::Error::source(&twice).unwrap().to_string();
    assert_eq!(source, "a running process listens on this socket");
    assert!(listen.exists(), "the socket of the running process stays");

    app.stop();
    assert!(!listen.exists() && !admin.exists(), "removed at the end");
    let gone = run_in(folder, &["set", "--admin", &admin_url, "paused=true"]);
    let said = String::from_utf8(gone.stderr).unwrap();
    assert!(
        said.contains(&format!("{admin_url} cannot be reached")),
        "{said}"
    );
    assert_eq!(gone.status.code(), Some(69));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_whose_socket_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (text, [listen, admin, old_path, _]) = configuration(folder.path());
    let app = start_app(folder.path(), &text).unwrap();
    let answer = ask(&listen, "/a");
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    let ready = ask(&admin, "/readyz");
    assert!(ready.contains(&old_path.display().to_string()), "{ready}");
    app.stop();
}
