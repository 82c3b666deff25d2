-- Creates the store. These statements run on SQLite and PostgreSQL.
CREATE TABLE meta (
    program TEXT NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL,
    secret_check TEXT,
    changes BIGINT NOT NULL
);
CREATE TABLE accounts (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    balance BIGINT,
    created BIGINT NOT NULL
);
CREATE TABLE credits (
    id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id),
    amount BIGINT NOT NULL,
    note TEXT NOT NULL,
    created BIGINT NOT NULL
);
CREATE TABLE keys (
    id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    hint TEXT NOT NULL,
    scopes TEXT NOT NULL,
    models TEXT,
    tiers TEXT,
    created BIGINT NOT NULL,
    expires BIGINT,
    revoked BIGINT,
    day_limit BIGINT,
    month_limit BIGINT,
    requests_per_minute BIGINT,
    tokens_per_minute BIGINT,
    concurrent_requests BIGINT,
    requests_due BIGINT NOT NULL,
    tokens_due BIGINT NOT NULL
);
CREATE TABLE spending (
    key TEXT NOT NULL REFERENCES keys (id),
    period TEXT NOT NULL,
    spent BIGINT NOT NULL,
    PRIMARY KEY (key, period)
);
CREATE TABLE instances (
    id TEXT NOT NULL PRIMARY KEY,
    host TEXT NOT NULL,
    pid BIGINT NOT NULL,
    started TEXT NOT NULL,
    lease BIGINT NOT NULL
);
CREATE TABLE requests (
    id TEXT NOT NULL PRIMARY KEY,
    request_id TEXT NOT NULL,
    instance TEXT NOT NULL,
    account TEXT REFERENCES accounts (id),
    key TEXT REFERENCES keys (id),
    model TEXT NOT NULL,
    tier TEXT NOT NULL,
    deployment TEXT,
    created BIGINT NOT NULL,
    day TEXT NOT NULL,
    status TEXT,
    finish TEXT,
    error TEXT,
    reserved BIGINT NOT NULL,
    reserved_tokens BIGINT NOT NULL,
    prompt_tokens BIGINT NOT NULL,
    cached_tokens BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    estimated BOOLEAN NOT NULL,
    price BIGINT NOT NULL,
    cost BIGINT NOT NULL,
    queued_ms DOUBLE PRECISION,
    first_token_ms DOUBLE PRECISION,
    total_ms DOUBLE PRECISION
);
CREATE INDEX requests_open ON requests (account, key) WHERE status IS NULL;
CREATE INDEX requests_of_account ON requests (account, day);
CREATE INDEX requests_of_day ON requests (day);
CREATE TABLE idempotency (
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    request TEXT NOT NULL,
    answer TEXT,
    media_type TEXT,
    created BIGINT NOT NULL,
    PRIMARY KEY (owner, key)
);
CREATE INDEX idempotency_created ON idempotency (created);
