-- What channels let us in with is sealed; who may ask is a row.

-- A value of channels.secrets or kept_secrets.kept that begins with `sealed:` is sealed by the key that it names. The
-- keys are on the machines, never here: this says which of them seals from now on, the same on all nodes.
create table secret_keys (
    key_id       text collate "C" primary key,
    is_current   boolean not null,
    first_at     timestamptz not null default db_now()
);
create unique index secret_keys_current on secret_keys (is_current) where is_current;

-- Programs that may ask. Of the token only a hash is kept; a row stays when the token is revoked.
create table api_tokens (
    token_id      text collate "C" primary key,
    name          text not null unique,
    secret_sha256 bytea not null check (octet_length(secret_sha256) = 32),
    scopes        text[] not null check (cardinality(scopes) > 0),
    rate_per_s    double precision not null check (rate_per_s > 0),
    created_at    timestamptz not null default db_now(),
    created_by    text not null,
    expires_at    timestamptz,
    last_used_at  timestamptz,
    revoked_at    timestamptz
);

-- Buckets of whoever asks us (GCRA, as `rate_limits`): of a token, and of tries to log in by account and by address.
create table access_limits (
    key         text collate "C" primary key,
    tat         timestamptz not null
);
create index access_limits_spent on access_limits (tat);
