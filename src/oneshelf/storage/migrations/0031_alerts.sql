-- Alerts: what stands wrong now, told once when it opens and once when it is over; and endpoints that are a mailbox or a
-- chat instead of a program.
create table alerts (
    alert_id   bigint generated always as identity primary key,
    -- The type of the event that tells of it, and what it is about: a channel, a SKU, or a channel's listing.
    kind       text not null,
    channel    text collate "C" not null default '',
    name       text collate "C" not null default '',
    figures    jsonb not null default '{}',
    seen_at    timestamptz not null default db_now(),
    -- Null: not seen for long enough yet; nobody was told.
    opened_at  timestamptz,
    -- Since when it is not seen any more; null: it stands.
    gone_at    timestamptz,
    closed_at  timestamptz check (closed_at is null or opened_at is not null)
);
create unique index alerts_standing on alerts (kind, channel, name) where closed_at is null;
create index alerts_closed on alerts (closed_at) where closed_at is not null;

alter table endpoints
    -- Mail and chat are told of alerts alone, in words. What they may not show is in `sealed`, and not in `url`.
    add column kind text not null default 'webhook' check (kind in ('webhook', 'chat', 'mail')),
    add column settings jsonb not null default '{}',
    add column sealed jsonb not null default '{}';
