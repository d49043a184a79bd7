//! Opening the file, for its one writer and for those that only read.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::schema;
use super::sql::{self, LeftOut};

/// How long one process waits for another's write: a graceful restart has two of them for a while.
const BUSY: Duration = Duration::from_secs(5);
/// Prepared statements kept: every one there is.
const STATEMENTS: usize = 128;

/// Why a store was not opened.
#[derive(Debug)]
pub enum OpenError {
    /// There is no such file.
    Missing(PathBuf),
    /// It is no store, or broken.
    NotAStore(PathBuf, String),
    /// It is another program's.
    Foreign(PathBuf),
    /// A newer plugway wrote it.
    Newer(PathBuf, i64),
    /// The machine refused it.
    Failed(PathBuf, String),
}

impl OpenError {
    pub(super) fn of(file: &Path, error: &rusqlite::Error) -> Self {
        match is_broken(error) {
            true => Self::NotAStore(file.to_owned(), error.to_string()),
            false => Self::Failed(file.to_owned(), error.to_string()),
        }
    }
}

/// Whether the file is no database any more, or a part of it is none.
pub(super) fn is_broken(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(file) => write!(f, "there is no monitoring store at {}: a gateway makes it when it first runs", file.display()),
            Self::NotAStore(file, error) => write!(f, "{} is no monitoring store: {error}", file.display()),
            Self::Foreign(file) => write!(f, "{} is another program's database: name another `file` in [store]", file.display()),
            Self::Newer(file, version) => {
                let ours = schema::VERSION;
                write!(f, "{} was written by a newer plugway (format {version}, this one knows {ours}); use that one", file.display())
            }
            Self::Failed(file, error) => write!(f, "the monitoring store {} cannot be opened: {error}", file.display()),
        }
    }
}

impl std::error::Error for OpenError {}

/// Opens the file to write it; makes it where there is none.
pub(super) fn write(file: &Path, left_out: &LeftOut) -> Result<Connection, OpenError> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(|error| OpenError::Failed(file.to_owned(), error.to_string()))?;
    }
    let failed = |error| OpenError::of(file, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(file, flags).map_err(failed)?;
    let version = prepare(&connection, file, left_out)?;
    // Only a file without tables takes it. What is deleted goes back to the file system.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(failed)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
    // A crash of the machine may cost the last commits, never the file.
    connection.pragma_update(None, "synchronous", "NORMAL").map_err(failed)?;
    connection.pragma_update(None, "journal_size_limit", 16 << 20).map_err(failed)?;
    if version < schema::VERSION {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive).map_err(failed)?;
        // Another process may have been faster.
        let from = schema::version(&transaction).map_err(failed)?;
        schema::migrate(&transaction, from).map_err(failed)?;
        transaction.pragma_update(None, "application_id", schema::APPLICATION).map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
    Ok(connection)
}

/// Sets a connection up, and says what it is connected to.
fn prepare(connection: &Connection, file: &Path, left_out: &LeftOut) -> Result<i64, OpenError> {
    let failed = |error| OpenError::of(file, &error);
    connection.busy_timeout(BUSY).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    sql::teach(connection, left_out).map_err(failed)?;
    let version = schema::version(connection).map_err(failed)?;
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(failed)?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    match version {
        _ if tables > 0 && application != schema::APPLICATION => Err(OpenError::Foreign(file.to_owned())),
        newer if newer > schema::VERSION => Err(OpenError::Newer(file.to_owned(), newer)),
        version => Ok(version),
    }
}

/// A store that is only read, by whoever likes; a gateway may be writing it.
#[derive(Debug)]
pub struct Reader {
    pub(super) connection: Connection,
    left_out: LeftOut,
}

impl Reader {
    /// Opens a store.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn open(file: &Path) -> Result<Self, OpenError> {
        if !file.exists() {
            return Err(OpenError::Missing(file.to_owned()));
        }
        let failed = |error| OpenError::of(file, &error);
        // Reading what another process writes takes its index in shared memory, which has to be writable; where it is not, a file
        // that nobody writes can still be read.
        let open = |flags| Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(failed);
        let connection = open(OpenFlags::SQLITE_OPEN_READ_WRITE).or_else(|_| open(OpenFlags::SQLITE_OPEN_READ_ONLY))?;
        let left_out = LeftOut::default();
        if prepare(&connection, file, &left_out)? < schema::VERSION {
            return Err(OpenError::NotAStore(file.to_owned(), "it is empty, or an older plugway's; run the gateway once".to_owned()));
        }
        connection.pragma_update(None, "query_only", true).map_err(failed)?;
        Ok(Self { connection, left_out })
    }

    /// For queries of one's own. The functions of SQL that know sketches are there: `latency_sum`, `latency_merge`, `latency_quantile`.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// How often these functions met a distribution that could not be read, and left it out, since this was last asked.
    pub fn take_left_out(&self) -> u64 {
        self.left_out.take()
    }
}
