-- The auditor's memory: it adds up what is new since its position, and compares.

-- The transaction that wrote the movement. A transaction that commits late has an early number, so "all movements of
-- transactions below n" is exact once no transaction below n is under way; no sequence and no clock can say that.
-- Rows that are there already get the number of this migration: they are all older than whatever comes.
alter table movements add column xid bigint not null default (pg_current_xact_id()::text::bigint);
-- A few kilobytes, and next to nothing for an insert: rows are appended in about this order.
create index movements_by_xid on movements using brin (xid) with (pages_per_range = 32, autosummarize = on);

-- The sum of all movements of transactions below the position, by account. Outside accounts are at no location: ''.
create table audited_accounts (
    sku       text collate "C" not null,
    location  text collate "C" not null,
    account   text not null,
    units     bigint not null,
    primary key (sku, location, account)
) with (fillfactor = 80);

-- How far the auditor is. One row, or none before its first run.
create table audit_position (
    is_only         boolean primary key default true check (is_only),
    xid             bigint not null,
    -- Transaction numbers mean nothing in another cluster: a restored database is audited from its beginning.
    cluster         bigint not null,
    -- Every run also looks at the next SKUs after this one, whether they moved or not.
    patrolled_sku   text collate "C" not null default '',
    movement_count  bigint not null,
    audited_at      timestamptz not null
);

-- What the auditor found and has not found mended since.
create table audit_violations (
    sku       text collate "C" not null,
    rule      text not null,
    place     text not null,
    figures   text not null,
    found_at  timestamptz not null default db_now(),
    primary key (sku, rule, place)
);
