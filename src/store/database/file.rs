//! Opens the file: locks it for one process, sets damage aside, migrates the schema.

use super::{
    OpenError, SharedConnection,
    lock::{Lock, Standing, private},
    schema,
};
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::{
    ffi::OsString,
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

/// An intact file that this process owns.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) lock: Arc<Lock>,
    pub(super) writer: Connection,
    pub(super) reader: SharedConnection,
    /// Where a damaged predecessor was moved to.
    pub(super) set_aside: Option<PathBuf>,
}

/// Why a file cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Refused(OpenError),
    #[error("the disk fails")]
    Disk(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The state of a file.
enum Found {
    InOrder(Connection),
    /// With the evidence of damage.
    Damaged(String),
}

/// Waits for somebody who inspects the file with another tool.
const PATIENCE: Duration = Duration::from_secs(5);

/// Up to this size, the start checks the whole file for damage. Of a larger file it checks only what it reads, so that
/// its duration does not grow with the data.
const LOOKED_THROUGH: u64 = 64 << 20;

/// SQLite truncates the write-ahead log to this size after a checkpoint.
const MAX_LOG: i64 = 16 << 20;

pub(super) fn open_locked(path: &Path) -> Result<Opened, Trouble> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(Trouble::Refused(OpenError::NoFolder(folder.to_owned())));
    }
    if path.is_dir() {
        return Err(Trouble::Refused(OpenError::NoFile(path.to_owned())));
    }
    // Created first, because `canonicalize` fails for a link to a missing file.
    let file = private(path)?;
    let path = path.canonicalize()?;
    let lock = Arc::new(Lock::take(&path, file)?);
    let (writer, set_aside) = open(&path, &lock)?;
    let reader = Arc::new(Mutex::new(read_only(&path)?));
    Ok(Opened {
        path,
        lock,
        writer,
        reader,
        set_aside,
    })
}

/// Returns the writing connection, and where a damaged predecessor was moved to.
fn open(path: &Path, lock: &Lock) -> Result<(Connection, Option<PathBuf>), Trouble> {
    match look(path)? {
        Found::InOrder(connection) => Ok((connection, None)),
        Found::Damaged(why) => {
            tracing::error!(path = %path.display(), why, "the store's file is damaged or not ours");
            let set_aside = set_aside(path)?;
            Ok((begin(path, lock)?, Some(set_aside)))
        }
    }
}

/// Creates a new file if there is none, or if that failed before.
pub(super) fn begin(path: &Path, lock: &Lock) -> Result<Connection, Trouble> {
    if lock.standing(path) == Standing::Gone {
        lock.take_new(path)?;
    }
    Ok(prepare(connect(path)?)?)
}

/// A reading connection in addition to the writer's.
pub(super) fn read_only(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Reads a file that cannot be written.
pub(super) fn peek<T>(
    path: &Path,
    read: impl Fn(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let found = Connection::open_with_flags(path, flags).and_then(|from| read(&from));
    let has_log = fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0);
    if found.is_ok() || has_log {
        return found;
    }
    // If SQLite cannot create shared memory next to the file, it only reads the file as immutable.
    let name = percent_encode(path.as_os_str().as_bytes(), NON_ALPHANUMERIC);
    let name = format!("file:{name}?immutable=1");
    let from = Connection::open_with_flags(name, flags | OpenFlags::SQLITE_OPEN_URI)?;
    read(&from)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    Ok(connection)
}

pub(super) fn in_memory() -> rusqlite::Result<Connection> {
    prepare(Connection::open_in_memory()?)
}

/// Renames the file and its log files, and returns the new name.
pub(super) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let stamp = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let names = (0..).map(|more: u32| match more {
        0 => format!(".corrupt-{stamp}"),
        more => format!(".corrupt-{stamp}-{more}"),
    });
    let mut names = names.map(|name| beside(path, &name));
    let aside = names
        .find(|name| !name.exists())
        .expect("there is always another number");
    fs::rename(path, &aside)?;
    for part in ["-wal", "-shm"] {
        match fs::rename(beside(path, part), beside(&aside, part)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}

/// Whether the file itself is unusable, whatever the disk does.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(
        code,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

fn look(path: &Path) -> Result<Found, Trouble> {
    match examine(path) {
        Err(Trouble::Disk(error)) => match error.downcast_ref() {
            Some(error) if is_damage(error) => Ok(Found::Damaged(error.to_string())),
            _ => Err(Trouble::Disk(error)),
        },
        examined => examined,
    }
}

fn examine(path: &Path) -> Result<Found, Trouble> {
    let connection = connect(path)?;
    let version = schema::version(&connection)?;
    let owner: u32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let count = "SELECT count(*) FROM sqlite_schema";
    let is_empty = connection.query_row(count, [], |row| row.get::<_, u32>(0))? == 0;
    if owner != schema::APPLICATION_ID && !(owner == 0 && version == 0 && is_empty) {
        let why = format!("its application_id is {owner:#x}");
        return Ok(Found::Damaged(why));
    }
    let known = schema::known();
    if version > known {
        return Err(Trouble::Refused(OpenError::Newer {
            path: path.to_owned(),
            found: version,
            known,
        }));
    }
    // Checked before anything is written, so that a file set aside is unchanged.
    match damage(&connection, path)? {
        Some(why) => Ok(Found::Damaged(why)),
        None => Ok(Found::InOrder(prepare(connection)?)),
    }
}

fn damage(connection: &Connection, path: &Path) -> Result<Option<String>, Trouble> {
    let check = |of: String| -> rusqlite::Result<Option<String>> {
        let found = connection.query_row(&of, [], |row| row.get::<_, String>(0))?;
        Ok((found != "ok").then_some(found))
    };
    if fs::metadata(path)?.len() <= LOOKED_THROUGH {
        return Ok(check("PRAGMA quick_check(1)".to_owned())?);
    }
    for table in schema::READ_AT_START {
        // A table that an older version lacks is intact.
        if let Some(found) = check(format!("PRAGMA quick_check({table})"))? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn prepare(mut connection: Connection) -> rusqlite::Result<Connection> {
    // Only affects an empty file, before its first page.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    // In memory, or without shared memory, SQLite returns another mode, which also works.
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update_and_check(None, "journal_size_limit", MAX_LOG, |_| Ok(()))?;
    connection.pragma_update(None, "foreign_keys", true)?;
    schema::migrate(&mut connection, &schema::STEPS)?;
    Ok(connection)
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

// === impl Trouble ===

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Disk(error.into())
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Disk(error.into())
    }
}
