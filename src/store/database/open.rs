//! Opens the database: locks the file for one process, sets damage aside, migrates the schema.

use super::{OpenError, SharedConnection, health::Health, schema};
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

/// An intact database that this process owns.
pub(super) struct Opened {
    pub(super) writer: SharedConnection,
    /// In memory, this is the writer's connection.
    pub(super) reader: SharedConnection,
    /// `None` in memory.
    pub(super) file: Option<Arc<StoreFile>>,
}

/// Excludes other processes from the file until dropped, or until the process ends in any way. SQLite's own POSIX locks
/// end when this is closed, so that no connection may outlive it.
#[derive(Debug)]
pub(super) struct StoreFile {
    pub(super) path: PathBuf,
    /// Locks the file's name while a damaged file is replaced.
    _name: File,
    /// Locks the file itself, which may have several names.
    file: File,
}

/// Why a file cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Refused(OpenError),
    /// No later attempt can succeed.
    #[error("{0}")]
    Damaged(String),
    #[error("its file {} was removed or replaced while it was in use: restart twinread", .0.display())]
    Displaced(PathBuf),
    #[error(transparent)]
    Database(rusqlite::Error),
    #[error(transparent)]
    Disk(#[from] io::Error),
}

/// Waits for somebody who inspects the file with another tool.
const PATIENCE: Duration = Duration::from_secs(5);

/// Up to this size, the start checks the whole file for damage. Of a larger file it checks only what it reads, so that
/// its duration does not grow with the data.
const CHECKED_WHOLE: u64 = 64 << 20;

/// SQLite truncates the write-ahead log to this size after a checkpoint.
const MAX_LOG: i64 = 16 << 20;

pub(super) fn file(path: &Path, health: &Health) -> Result<Opened, Trouble> {
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
    let name = lock(private(&with_suffix(&path, ".lock"))?, &path)?;
    let mut file = lock(file, &path)?;
    let writer = match intact(&path) {
        Err(Trouble::Damaged(why)) => {
            tracing::error!(path = %path.display(), why, "the store's file is damaged or not ours");
            let aside = set_aside(&path)?;
            file = lock(private(&path)?, &path)?;
            let writer = prepare(connect(&path)?)?;
            health.set_aside(&aside, "and a new one begun");
            writer
        }
        opened => opened?,
    };
    let reader = connect(&path)?;
    reader.pragma_update(None, "query_only", true)?;
    Ok(Opened {
        writer: Arc::new(Mutex::new(writer)),
        reader: Arc::new(Mutex::new(reader)),
        file: Some(Arc::new(StoreFile {
            path,
            _name: name,
            file,
        })),
    })
}

pub(super) fn in_memory() -> Result<Opened, OpenError> {
    let opened = Connection::open_in_memory().and_then(prepare);
    let connection = opened.map_err(|error| OpenError::Failed(error.into()))?;
    let shared = Arc::new(Mutex::new(connection));
    Ok(Opened {
        writer: shared.clone(),
        reader: shared,
        file: None,
    })
}

/// Reads a file that cannot be written.
pub(crate) fn peek<T>(
    path: &Path,
    read: impl Fn(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let found = Connection::open_with_flags(path, flags).and_then(|from| read(&from));
    let has_log = fs::metadata(with_suffix(path, "-wal")).is_ok_and(|log| log.len() > 0);
    if found.is_ok() || has_log {
        return found;
    }
    // If SQLite cannot create shared memory next to the file, it only reads the file as immutable.
    let name = percent_encode(path.as_os_str().as_bytes(), NON_ALPHANUMERIC);
    let name = format!("file:{name}?immutable=1");
    let from = Connection::open_with_flags(name, flags | OpenFlags::SQLITE_OPEN_URI)?;
    read(&from)
}

/// Renames the file and its log files, and returns the new name.
pub(super) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let stamp = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let names = (0..).map(|more: u32| match more {
        0 => format!(".corrupt-{stamp}"),
        more => format!(".corrupt-{stamp}-{more}"),
    });
    let mut names = names.map(|name| with_suffix(path, &name));
    let aside = names
        .find(|name| !name.exists())
        .expect("there is always another number");
    fs::rename(path, &aside)?;
    for part in ["-wal", "-shm"] {
        match fs::rename(with_suffix(path, part), with_suffix(&aside, part)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}

/// Opens a file of ours, checks it, and migrates it.
fn intact(path: &Path) -> Result<Connection, Trouble> {
    let connection = connect(path)?;
    let version = schema::version(&connection)?;
    let owner: u32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let count = "SELECT count(*) FROM sqlite_schema";
    let is_empty = connection.query_row(count, [], |row| row.get::<_, u32>(0))? == 0;
    if owner != schema::APPLICATION_ID && !(owner == 0 && version == 0 && is_empty) {
        let why = format!("its application_id is {owner:#x}");
        return Err(Trouble::Damaged(why));
    }
    let known = schema::known();
    if version > known {
        return Err(Trouble::Refused(OpenError::Newer {
            path: path.to_owned(),
            found: version,
            known,
        }));
    }
    // Before anything is written, so that a file set aside is unchanged.
    let mut checks = vec!["PRAGMA quick_check(1)".to_owned()];
    if fs::metadata(path)?.len() > CHECKED_WHOLE {
        // A table that an older version lacks is intact.
        let tables = schema::READ_AT_START.iter();
        checks = tables.map(|t| format!("PRAGMA quick_check({t})")).collect();
    }
    for check in checks {
        let found: String = connection.query_row(&check, [], |row| row.get(0))?;
        if found != "ok" {
            return Err(Trouble::Damaged(found));
        }
    }
    Ok(prepare(connection)?)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    // An empty image has no folder for temporary files.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
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

fn lock(file: File, path: &Path) -> Result<File, Trouble> {
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Trouble::Refused(OpenError::InUse(path.to_owned()))),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Opens or creates a file that only its owner can access.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.mode(0o600).open(path)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

// === impl StoreFile ===

impl StoreFile {
    /// Checks that it is still at its path.
    ///
    /// # Errors
    /// [`Trouble::Displaced`].
    pub(super) fn check(&self) -> Result<(), Trouble> {
        let identity = |found: fs::Metadata| (found.dev(), found.ino());
        let found = match fs::metadata(&self.path) {
            Ok(found) => Some(identity(found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            // The write reports what is wrong.
            Err(_) => return Ok(()),
        };
        if found == Some(identity(self.file.metadata()?)) {
            Ok(())
        } else {
            Err(Trouble::Displaced(self.path.clone()))
        }
    }
}

// === impl Trouble ===

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged(error.to_string())
            }
            _ => Self::Database(error),
        }
    }
}
