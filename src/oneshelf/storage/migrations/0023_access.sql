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

-- People. A row stays when somebody is disabled: who did what refers to it.
create table users (
    user_id        uuid primary key,
    -- In lower case.
    name           text not null unique,
    role           text not null check (role in ('viewer', 'warehouse', 'operator', 'admin')),
    -- Argon2id, with its parameters and salt. Null: a link was made, and not used yet.
    password_hash  text,
    created_at     timestamptz not null default db_now(),
    created_by     text not null,
    last_login_at  timestamptz,
    disabled_at    timestamptz
);

-- Links that are good once: to set a password, or, without a user, to make the first one.
create table user_links (
    link_sha256  bytea primary key check (octet_length(link_sha256) = 32),
    user_id      uuid references users,
    expires_at   timestamptz not null
);

-- Who is logged in. Of the cookie only a hash is kept.
create table sessions (
    session_sha256  bytea primary key check (octet_length(session_sha256) = 32),
    user_id         uuid not null references users,
    began_at        timestamptz not null default db_now(),
    seen_at         timestamptz not null default db_now()
);
create index sessions_of_user on sessions (user_id);
create index sessions_by_age on sessions (began_at);
create index user_links_of_user on user_links (user_id);

-- Who did what. Rows are added, and never changed or taken away.
create table audit_log (
    entry_id    bigint generated always as identity primary key,
    at          timestamptz not null default db_now(),
    -- How somebody came in: cli, session, token, setting, or form (logging in, setting a password).
    via         text not null,
    -- The user, the token, or the user of the operating system. Empty: nobody said, or it was wrong.
    who         text not null,
    -- Which token or session it was; never what opens it.
    credential  text not null default '',
    address     text not null default '',
    -- Such as `POST /v1/counts` or `channel add`, and what it was done to.
    act         text not null,
    object      text not null default '',
    -- A status of HTTP; of a command `begun`, and `failed` where it did.
    result      text not null
);
create index audit_log_by_who on audit_log (who, entry_id);

create function refuse_to_forget() returns trigger language plpgsql as $$
begin
    raise exception 'the audit log is only added to' using errcode = 'check_violation';
end $$;
create trigger audit_log_stays before update or delete on audit_log for each row execute function refuse_to_forget();
create trigger audit_log_stays_whole before truncate on audit_log execute function refuse_to_forget();
