-- What was tried at a channel and seen, and which declared abilities it was shown to lack.

create table probes (
    probe_id     uuid primary key,
    channel      text collate "C" not null references channels on delete cascade,
    -- The listing that was tried; empty: none.
    channel_sku  text collate "C" not null default '',
    -- Whether anything was sent that could change a figure.
    has_written  boolean not null,
    -- What, tried, seen, verdict, took_ms and ability of each check, in the order in which they were made.
    checks       jsonb not null,
    probed_at    timestamptz not null default db_now()
);
create index probes_by_channel on probes (channel, probed_at);

alter table channels
    -- ability -> {reason, since}: it is declared, a probe has shown that it does not hold, and none since that it does.
    add column fallbacks jsonb not null default '{}' check (jsonb_typeof(fallbacks) = 'object');
