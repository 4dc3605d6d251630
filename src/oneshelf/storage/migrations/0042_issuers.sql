-- People may log in by their account at an issuer of OpenID Connect.

-- Which account is whose. A person has one at each issuer, and an account is one person's.
create table identities (
    issuer      text collate "C" not null,
    subject     text collate "C" not null,
    user_id     uuid not null references users,
    linked_at   timestamptz not null default db_now(),
    linked_by   text not null,
    primary key (issuer, subject),
    unique (user_id, issuer)
);

-- Log-ins that were begun and are at the issuer now, each taken once. Of what the browser keeps only a hash is here.
create table sign_ins (
    browser_sha256  bytea primary key check (octet_length(browser_sha256) = 32),
    -- Where to go afterwards: a page of ours.
    following       text not null,
    began_at        timestamptz not null default db_now()
);
create index sign_ins_by_age on sign_ins (began_at);
