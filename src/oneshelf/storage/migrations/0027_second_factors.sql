-- A second factor of people who log in: codes that follow from a secret and the time (RFC 6238).

create table second_factors (
    person        text primary key references users (name),
    -- `secret`, sealed as the secrets of channels are.
    sealed        jsonb not null check (jsonb_typeof(sealed) = 'object'),
    created_at    timestamptz not null default db_now(),
    -- Null: it was shown, and no code of it came yet.
    confirmed_at  timestamptz,
    -- The newest step of time whose code was taken: a code is good once.
    last_step     bigint not null default 0
);

-- What lets a person in who lost the second factor, each once. Only a hash is kept.
create table recovery_codes (
    person       text not null references second_factors (person) on delete cascade,
    code_sha256  bytea not null check (octet_length(code_sha256) = 32),
    used_at      timestamptz,
    primary key (person, code_sha256)
);

-- The password was right, and the second factor is still to come: nobody is let in with it.
alter table sessions add column waits_for_second boolean not null default false;
