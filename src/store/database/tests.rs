use super::*;
use crate::ledger::Gauges;
use rusqlite::ErrorCode;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(20);

fn scratch() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evidence.db");
    (folder, path)
}

fn open(path: &Path) -> (Database, Gauges) {
    let gauges = Gauges::default();
    (Database::open(Some(path), gauges.clone()).unwrap(), gauges)
}

fn put(database: &Database, kind: &'static str) {
    let sql = "INSERT INTO journal VALUES (?1, 1, 0, '0')";
    let write = move |to: &Connection| to.execute(sql, [kind]).map(|_| ());
    database.write(100, write).unwrap();
}

fn kinds(database: &Database) -> Vec<String> {
    let read = |from: &Connection| {
        let mut found = from.prepare("SELECT kind FROM journal ORDER BY kind")?;
        found.query_map([], |row| row.get(0))?.collect()
    };
    database.read(read).unwrap()
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        thread::yield_now();
    }
}

fn files(folder: &TempDir, part: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.path()).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.to_str().unwrap().contains(part));
    paths.sort();
    paths
}

#[test]
fn stored_data_survives_the_end_and_is_private() {
    let (folder, path) = scratch();
    let (database, _) = open(&path);
    put(&database, "one");
    database.close();
    assert_eq!(database.write(1, |_| Ok(())), Err(Behind));
    drop(database);
    assert_eq!(files(&folder, "-wal"), [] as [PathBuf; 0]);
    for file in files(&folder, "evidence") {
        let mode = fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let (database, _) = open(&path);
    assert_eq!(kinds(&database), ["one"]);
    assert_eq!(database.impairments(), [] as [String; 0]);
}

#[test]
fn without_a_path_everything_is_in_memory_and_says_so() {
    let database = Database::open(None, Gauges::default()).unwrap();
    put(&database, "one");
    assert!(database.settle(DEADLINE));
    assert_eq!(kinds(&database), ["one"]);
    let note = "no store.path is set: evidence is kept in memory and will not survive a restart";
    assert_eq!(database.notes(), [note]);
    assert_eq!(database.impairments(), [""; 0], "as it was configured");
}

#[test]
fn a_second_opener_is_refused_while_the_first_lives() {
    let (_folder, path) = scratch();
    let (first, _) = open(&path);
    let refused = Database::open(Some(&path), Gauges::default()).unwrap_err();
    assert!(matches!(refused, OpenError::InUse(_)), "{refused}");
    drop(first);
    open(&path);
}

#[test]
fn a_write_that_panics_is_lost_alone() {
    let (_folder, path) = scratch();
    let (database, gauges) = open(&path);
    database.write(1, |_| panic!("as the test wants")).unwrap();
    put(&database, "one");
    assert!(database.settle(DEADLINE));
    assert_eq!(gauges.exports_dropped(Signal::Store), 1);
    assert_eq!(kinds(&database), ["one"]);
}

#[test]
fn a_file_of_several_names_is_one_file() {
    let (folder, path) = scratch();
    let (link, other) = (folder.path().join("link"), folder.path().join("other"));
    // The link has no target yet.
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let (_first, _) = open(&link);
    fs::hard_link(&path, &other).unwrap();
    for name in [&path, &link, &other] {
        let refused = Database::open(Some(name), Gauges::default()).unwrap_err();
        assert!(matches!(refused, OpenError::InUse(_)), "{refused}");
    }
}

#[test]
fn no_folder_and_no_file_are_refused_by_name() {
    let (folder, path) = scratch();
    for (path, expected) in [
        (path.join("x"), "evidence.db does not exist"),
        (folder.path().to_owned(), "is no file"),
    ] {
        let refused = Database::open(Some(&path), Gauges::default()).unwrap_err();
        assert!(refused.to_string().ends_with(expected), "{refused}");
    }
}

#[test]
fn a_file_of_a_newer_version_is_refused_and_stays_as_it_is() {
    let (_folder, path) = scratch();
    drop(open(&path));
    let newer = schema::known() + 1;
    let raw = Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", newer).unwrap();
    let refused = Database::open(Some(&path), Gauges::default()).unwrap_err();
    let expected = format!("is of version {newer}, written by a newer twinread");
    assert!(refused.to_string().contains(&expected), "{refused}");
    assert_eq!(schema::version(&raw).unwrap(), newer);
}

#[test]
fn migrations_keep_what_earlier_versions_stored() {
    let all = schema::STEPS.len();
    for reached in 1..=all {
        let mut raw = Connection::open_in_memory().unwrap();
        schema::migrate(&mut raw, &schema::STEPS[..reached]).unwrap();
        raw.execute("INSERT INTO journal VALUES ('kept', 1, 0, '0')", [])
            .unwrap();
        schema::migrate(&mut raw, &schema::STEPS).unwrap();
        assert_eq!(schema::version(&raw).unwrap(), schema::known());
        let kept: String = raw
            .query_row("SELECT kind FROM journal", [], |row| row.get(0))
            .unwrap();
        assert_eq!(kept, "kept");
    }
}

/// Two classes of mismatches that share an example, a mismatch past the limit on classes, and two checks that were noise.
const EXAMPLES_OF_VERSION_5: &str = "
    INSERT INTO mismatch_routes VALUES (1, 'get-item');
    INSERT INTO mismatch_classes VALUES (17, 1, '$.a', 'value', 9, 0, 0, 2), (18, 1, '$.b', 'value', 9, 0, 0, 1);
    INSERT INTO mismatches VALUES
      (1, 101, 1, 0, 5, 5, x'00000000000000110000000000000012', x'00'),
      (2, 102, 1, 0, 5, 5, x'0000000000000011', x'0000'),
      (3, 103, 1, 1, 5, 5, x'', x'00'),
      (4, 104, 1, 3, 5, 5, x'0000000000000011', x'00'),
      (5, 105, 1, 3, 5, 5, x'', x'00');
    INSERT INTO mismatch_shown VALUES (17, 0, 1), (18, 0, 1), (17, 0, 2), (17, 3, 4);
    INSERT INTO mismatch_piles VALUES (1, 0, 2, 443), (1, 1, 1, 161), (1, 3, 2, 362);";

#[test]
fn examples_of_an_earlier_version_are_retained_as_new_ones() {
    let (_folder, path) = scratch();
    let mut raw = Connection::open(&path).unwrap();
    schema::migrate(&mut raw, &schema::STEPS[..5]).unwrap();
    raw.execute_batch(EXAMPLES_OF_VERSION_5).unwrap();
    drop(raw);
    let (database, gauges) = open(&path);
    let numbers = |database: &Database| {
        let read = |from: &Connection| {
            let mut found = from.prepare("SELECT number FROM mismatches ORDER BY number")?;
            found.query_map([], |row| row.get(0))?.collect()
        };
        database.read::<Vec<i64>>(read).unwrap()
    };
    assert_eq!(numbers(&database), [1, 2, 3, 4, 5]);
    let config = |keep_per_class| crate::store::Config {
        keep_per_class,
        keep: Duration::from_secs(1 << 40),
        ..Default::default()
    };
    let store = crate::store::Store::new(database.clone(), config(2), gauges.clone());
    assert!(database.settle(DEADLINE));
    let class = store.class("0000000000000011").unwrap().unwrap();
    assert_eq!(class.kept, 2);
    assert_eq!(class.examples, ["0000000000000066", "0000000000000065"]);
    let of_all_epochs = crate::store::ClassFilter {
        limit: 9,
        ..Default::default()
    };
    assert_eq!(store.classes(&of_all_epochs).unwrap().total, 2);
    assert_eq!(store.selection(None).unwrap().stored, 5);
    assert_eq!(numbers(&database), [1, 2, 3, 4, 5]);
    drop((store, database));

    let (database, gauges) = open(&path);
    let _store = crate::store::Store::new(database.clone(), config(1), gauges.clone());
    assert!(database.settle(DEADLINE));
    assert_eq!(numbers(&database), [1, 2, 3, 5], "class 18 holds 1");
    let totals = "SELECT kept, bytes FROM mismatch_totals";
    let totals =
        database.read(|from| from.query_row(totals, [], |row| Ok((row.get(0)?, row.get(1)?))));
    assert_eq!(totals.unwrap(), (4, 4 * 161 + 1 + 4 * 60));
}

#[test]
fn a_step_that_fails_leaves_the_version_before_it() {
    let mut raw = Connection::open_in_memory().unwrap();
    let steps = [
        "CREATE TABLE one (x)",
        "CREATE TABLE other (x); CREATE TABLE one (x)",
    ];
    schema::migrate(&mut raw, &steps).unwrap_err();
    assert_eq!(schema::version(&raw).unwrap(), 1);
    let other = raw.query_row("SELECT x FROM other", [], |_| Ok(()));
    assert!(other.unwrap_err().to_string().contains("no such table"));
}

#[test]
fn a_damaged_or_foreign_file_is_set_aside_and_a_new_one_begun() {
    type Damage = fn(&Path);
    let damage: [(_, Damage); 3] = [
        ("no database", |path| {
            fs::write(path, "nonsense ".repeat(999)).unwrap()
        }),
        ("a hole in a table", |path| {
            drop(open(path));
            let mut bytes = fs::read(path).unwrap();
            bytes[4_096..].fill(0xa5);
            fs::write(path, bytes).unwrap();
        }),
        ("of another program", |path| {
            let raw = Connection::open(path).unwrap();
            raw.execute_batch("CREATE TABLE theirs (x); PRAGMA application_id = 7")
                .unwrap();
        }),
    ];
    for (what, damage) in damage {
        let (folder, path) = scratch();
        damage(&path);
        let before = fs::read(&path).unwrap();
        let (database, gauges) = open(&path);
        put(&database, "new");
        assert!(database.settle(DEADLINE), "{what}");
        let aside = files(&folder, ".corrupt-");
        assert!(fs::read(&aside[0]).unwrap() == before, "{what}");
        assert_eq!(gauges.stores_set_aside.get(), 1, "{what}");
        let shown = database.impairments().join(" ");
        assert!(shown.contains(aside[0].to_str().unwrap()), "{shown}");
    }
}

#[test]
fn file_damaged_while_open_is_set_aside_until_the_next_start() {
    let (folder, path) = scratch();
    let (database, gauges) = open(&path);
    put(&database, "one");
    assert!(database.settle(DEADLINE));
    let write = |_: &Connection| Err(failure(rusqlite::ffi::SQLITE_CORRUPT));
    database.write(1, write).unwrap();
    eventually("set aside", || gauges.stores_set_aside.get() == 1);
    assert!(!database.settle(DEADLINE));
    assert_eq!(
        (gauges.stores_set_aside.get(), gauges.store_failing.get()),
        (1, 1)
    );
    let aside = files(&folder, ".corrupt-").remove(0);
    let shown = database.impairments().join(" ");
    assert!(shown.contains(aside.to_str().unwrap()), "{shown}");
    assert!(shown.contains("disk image is malformed"), "{shown}");
    assert!(!shown.contains("was removed or replaced"), "{shown}");
    drop(database);
    assert_eq!(gauges.exports_dropped(Signal::Store), 1);
    let (database, _) = open(&path);
    put(&database, "two");
    assert!(database.settle(DEADLINE));
    assert_eq!(kinds(&database), ["two"]);
    let aside = Connection::open(aside).unwrap();
    let kept = aside.query_row("SELECT kind FROM journal", [], |row| {
        row.get::<_, String>(0)
    });
    assert_eq!(kept.unwrap(), "one");
}

#[test]
fn file_removed_or_replaced_while_open_is_only_an_error() {
    let other = |path: &Path| fs::write(path, "of somebody else").unwrap();
    let none = |_: &Path| {};
    for replace in [none as fn(&Path), other] {
        let (folder, path) = scratch();
        let (database, gauges) = open(&path);
        put(&database, "one");
        assert!(database.settle(DEADLINE));
        let away = folder.path().join("away");
        fs::rename(&path, &away).unwrap();
        replace(&path);
        let found = fs::read(&path).ok();
        eventually("it is an error", || gauges.store_failing.get() == 1);
        put(&database, "two");
        assert!(!database.settle(DEADLINE));
        let shown = database.impairments().join(" ");
        let expected = "evidence.db was removed or replaced while it was in use";
        assert!(shown.contains(expected), "{shown}");
        assert_eq!(fs::read(&path).ok(), found);

        // Nothing is lost if the file comes back.
        fs::rename(&away, &path).unwrap();
        eventually("it works", || gauges.store_failing.get() == 0);
        assert_eq!(kinds(&database), ["one", "two"]);
        assert_eq!(gauges.exports_dropped(Signal::Store), 0);
    }
}

fn failure(code: i32) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)
}

#[test]
fn full_disk_is_shown_and_pending_writes_follow_later() {
    let (_folder, path) = scratch();
    let (database, gauges) = open(&path);
    let room = Arc::new(AtomicU64::new(1));
    let pages = room.clone();
    let big = move |to: &Connection| {
        let pages = pages.load(Ordering::Relaxed) as u32;
        to.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
        let sql = "INSERT INTO journal VALUES ('big', 1, 0, hex(zeroblob(100000)))";
        to.execute(sql, []).map(|_| ())
    };
    database.write(1, big).unwrap();
    eventually("it fails", || gauges.store_failing.get() == 1);
    put(&database, "after");
    assert!(!database.settle(DEADLINE));
    let shown = database.impairments().join(" ");
    assert!(shown.contains("database or disk is full"), "{shown}");
    assert!(gauges.store_failures.get() > 0);
    assert_eq!(kinds(&database), [] as [String; 0]);

    room.store(1_000, Ordering::Relaxed);
    eventually("all is written", || kinds(&database) == ["after", "big"]);
    eventually("and well", || database.impairments().is_empty());
    assert_eq!(gauges.exports_dropped(Signal::Store), 0);
}

#[test]
fn a_disk_that_takes_no_file_leaves_a_database_in_memory() {
    let gauges = Gauges::default();
    let path = Path::new("/proc/evidence.db");
    let database = Database::open(Some(path), gauges.clone()).unwrap();
    put(&database, "one");
    assert!(database.settle(DEADLINE));
    assert_eq!(kinds(&database), ["one"]);
    assert_eq!(database.path(), None);
    let shown = database.impairments().join(" ");
    assert!(
        shown.contains("/proc/evidence.db cannot be opened"),
        "{shown}"
    );
    assert_eq!(
        (gauges.store_failing.get(), gauges.store_failures.get()),
        (1, 1)
    );
}

#[test]
fn unopenable_file_is_read_with_or_without_its_log() {
    let (folder, path) = scratch();
    let (database, _) = open(&path);
    put(&database, "in the log");
    assert!(database.settle(DEADLINE));
    let count = |from: &Connection| {
        from.query_row("SELECT count(*) FROM journal", [], |row| {
            row.get::<_, u32>(0)
        })
    };
    assert_eq!(peek(&path, count).unwrap(), 1);
    drop(database);
    // SQLite cannot create shared memory next to the file.
    fs::create_dir(folder.path().join("evidence.db-shm")).unwrap();
    assert_eq!(peek(&path, count).unwrap(), 1);
    fs::write(&path, "nonsense").unwrap();
    peek(&path, count).unwrap_err();
}

#[test]
fn a_write_that_can_never_succeed_takes_no_other_along() {
    let (_folder, path) = scratch();
    let (database, gauges) = open(&path);
    put(&database, "one");
    put(&database, "one");
    put(&database, "other");
    assert!(database.settle(DEADLINE));
    assert_eq!(kinds(&database), ["one", "other"]);
    assert_eq!(gauges.exports_dropped(Signal::Store), 1);
    assert_eq!(gauges.store_failing.get(), 0);
}

#[test]
fn refused_source_is_shown_as_a_failing_disk_until_accepted() {
    struct Refused(Arc<AtomicU64>);
    impl Source for Refused {
        fn write(&mut self, to: &Connection) -> rusqlite::Result<()> {
            match self.0.load(Ordering::Relaxed) {
                0 => to.execute_batch("INSERT INTO tallies (epoch) VALUES (1)"),
                _ => Ok(()),
            }
        }
    }
    let (_folder, path) = scratch();
    let (database, gauges) = open(&path);
    let is_better = Arc::new(AtomicU64::new(0));
    database.add_source(Refused(is_better.clone()));
    eventually("it is shown", || gauges.store_failing.get() == 1);
    put(&database, "other");
    eventually("the other is written", || kinds(&database) == ["other"]);
    assert!(gauges.store_failures.get() >= 1);
    let shown = database.impairments().join(" ");
    assert!(shown.contains("constraint failed"), "{shown}");
    assert_eq!(gauges.exports_dropped(Signal::Store), 0);

    is_better.store(1, Ordering::Relaxed);
    eventually("it is well", || database.impairments().is_empty());
    assert_eq!(gauges.store_failing.get(), 0);
}

#[test]
fn a_write_that_failed_runs_again_and_what_it_left_is_undone() {
    let (_folder, path) = scratch();
    let (database, gauges) = open(&path);
    let mut attempts = 0;
    let write = move |to: &Connection| {
        attempts += 1;
        to.execute(
            "INSERT INTO journal VALUES (?1, 1, 0, '0')",
            [attempts.to_string()],
        )?;
        match attempts {
            1 => Err(failure(rusqlite::ffi::SQLITE_IOERR)),
            _ => Ok(()),
        }
    };
    database.write(1, write).unwrap();
    eventually("written", || kinds(&database) == ["2"]);
    eventually("shown", || gauges.store_failing.get() == 0);
    assert_eq!(gauges.store_failures.get(), 1);
}

#[test]
fn what_waits_is_bounded_and_what_is_refused_counted() {
    let (_folder, path) = scratch();
    let (database, gauges) = open(&path);
    let is_better = Arc::new(AtomicU64::new(0));
    let better = is_better.clone();
    let fails = move |_: &Connection| match better.load(Ordering::Relaxed) {
        0 => Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error {
                code: ErrorCode::ReadOnly,
                extended_code: rusqlite::ffi::SQLITE_READONLY,
            },
            None,
        )),
        _ => Ok(()),
    };
    database.write(1, fails).unwrap();
    eventually("it fails", || gauges.store_failing.get() == 1);
    let mut taken = 0;
    while database.write(1 << 20, |_| Ok(())).is_ok() {
        taken += 1;
    }
    assert_eq!(taken, 31);
    assert_eq!(gauges.exports_dropped(Signal::Store), 1);
    is_better.store(1, Ordering::Relaxed);
    eventually("it works", || database.settle(DEADLINE));
    assert!(database.write(1 << 20, |_| Ok(())).is_ok());
}

#[test]
fn an_end_while_the_disk_fails_comes_all_the_same() {
    let (_folder, path) = scratch();
    let (database, gauges) = open(&path);
    let fails = |_: &Connection| Err(failure(rusqlite::ffi::SQLITE_FULL));
    database.write(1, fails).unwrap();
    database.close();
    assert_eq!(gauges.exports_dropped(Signal::Store), 1);
}

#[test]
fn a_write_that_hangs_is_reported_and_keeps_no_end_waiting() {
    let (_folder, path) = scratch();
    let (database, gauges) = open(&path);
    let (begun, hangs) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let write = move |_: &Connection| {
        begun.send(()).unwrap();
        let _ = released.recv();
        Ok(())
    };
    database.write(100, write).unwrap();
    hangs.recv_timeout(DEADLINE).unwrap();
    database.look_for_a_hanging_write();
    assert_eq!(gauges.store_failing.get(), 0);
    database.0.health.look(Duration::ZERO);
    assert_eq!(gauges.store_failing.get(), 1);
    let shown = database.impairments().join(" ");
    assert!(shown.contains("a write has not ended"), "{shown}");

    let began = Instant::now();
    database.0.close(Duration::from_millis(1));
    assert!(began.elapsed() < CLOSING);
    drop(release);
    eventually("it works again", || gauges.store_failing.get() == 0);
}
