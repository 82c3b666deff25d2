"""The tables of the store. Money is in units of 10⁻¹² USD (money.py), times are in microseconds since the epoch.

The files in migrations/ create these tables; a test compares the two.
"""

from sqlalchemy import BigInteger, Boolean, Column, Double, ForeignKey, Integer, MetaData, Table, Text

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("program", Text, primary_key=True),  # "oruel": marks the store as ours
    Column("version", Integer, nullable=False),  # the number of the last migration
    Column("secret_check", Text),  # digest of a constant, to recognise the secret of the keys' digests
    Column("changes", BigInteger, nullable=False),  # increases with every change of an account or key
)
"""A table of one row."""

accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("balance", BigInteger),  # NULL: not prepaid
    Column("created", BigInteger, nullable=False),
)

credits = Table(
    "credits",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account", Text, ForeignKey("accounts.id"), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
)
"""What was paid in: a balance is the sum of its credits minus the prices of its requests."""

keys = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account", Text, ForeignKey("accounts.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False, unique=True),  # keyed hash, hexadecimal
    Column("hint", Text, nullable=False),  # the last four digits of the key
    Column("scopes", Text, nullable=False),  # separated by spaces
    Column("models", Text),  # a JSON array; NULL: all
    Column("tiers", Text),  # separated by spaces; NULL: all
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger),
    Column("revoked", BigInteger),
    Column("day_limit", BigInteger),
    Column("month_limit", BigInteger),
    Column("requests_per_minute", BigInteger),
    Column("tokens_per_minute", BigInteger),
    Column("concurrent_requests", BigInteger),
    Column("requests_due", BigInteger, nullable=False),  # limits.Bucket.due, in nanoseconds
    Column("tokens_due", BigInteger, nullable=False),
)

spending = Table(
    "spending",
    metadata,
    Column("key", Text, ForeignKey("keys.id"), primary_key=True),
    Column("period", Text, primary_key=True),  # a day, 2026-11-28, or a month, 2026-11, in UTC
    Column("spent", BigInteger, nullable=False),
)

instances = Table(
    "instances",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),  # identifies the machine since it booted, and the namespace of its processes
    Column("pid", BigInteger, nullable=False),
    Column("started", Text, nullable=False),  # tells two processes with the same pid apart
    Column("lease", BigInteger, nullable=False),  # until when the instance counts as alive
)
"""The running server processes."""

requests = Table(
    "requests",
    metadata,
    Column("id", Text, primary_key=True),  # the id of the completion
    Column("request_id", Text, nullable=False),  # the header x-request-id
    Column("instance", Text, nullable=False),
    Column("account", Text, ForeignKey("accounts.id")),  # NULL: without a key of the store
    Column("key", Text, ForeignKey("keys.id")),
    Column("model", Text, nullable=False),
    Column("tier", Text, nullable=False),
    Column("deployment", Text),
    Column("created", BigInteger, nullable=False),
    Column("day", Text, nullable=False),  # of `created`, in UTC
    Column("status", Text),  # NULL while open; finished, error, disconnect or crashed
    Column("finish", Text),  # the finish_reason of the first choice
    Column("error", Text),  # the error's code
    Column("reserved", BigInteger, nullable=False),  # the highest possible price; 0 once settled
    Column("reserved_tokens", BigInteger, nullable=False),  # prompt and completion
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("estimated", Boolean, nullable=False),  # an upstream server's answer ended before it reported its usage
    Column("price", BigInteger, nullable=False),  # what the user pays
    Column("cost", BigInteger, nullable=False),  # what the operator pays
    Column("queued_ms", Double),
    Column("first_token_ms", Double),
    Column("total_ms", Double),
)
"""The ledger: one row for each request, open until it is settled."""

idempotency = Table(
    "idempotency",
    metadata,
    Column("owner", Text, primary_key=True),  # the account, or "" without one
    Column("key", Text, primary_key=True),  # the header Idempotency-Key
    Column("fingerprint", Text, nullable=False),  # digest of path and body
    Column("request", Text, nullable=False),  # the id in `requests`
    Column("answer", Text),  # NULL while the request is running
    Column("media_type", Text),
    Column("created", BigInteger, nullable=False),
)
