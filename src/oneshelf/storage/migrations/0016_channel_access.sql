-- What a channel hands out by itself: access tokens and refresh tokens. What a person typed in is in channels.secrets.
create table kept_secrets (
    channel        text collate "C" primary key references channels on delete cascade,
    -- Counts the replacements; 0: nothing was handed out yet.
    version        bigint not null default 0,
    -- All values of one version belong together, and are written together.
    kept           jsonb not null default '{}' check (jsonb_typeof(kept) = 'object'),
    kept_at        timestamptz not null default db_now(),
    -- The node that is asking the channel for new ones.
    claim          uuid,
    claimed_until  timestamptz,
    check ((claim is null) = (claimed_until is null))
);

-- What was last found of the channel's announcements to us, and what was lost of them.
create table subscription_checks (
    channel        text collate "C" primary key references channels on delete cascade,
    address        text not null,
    -- The channel's words for what it announces to us.
    topics         text[] not null,
    -- topic -> why it is not announced, in the channel's words.
    refused        jsonb not null default '{}' check (jsonb_typeof(refused) = 'object'),
    checked_at     timestamptz not null default db_now(),
    -- How many that were there once were found missing, in all, and which the last time.
    lost_count     bigint not null default 0,
    lost_topics    text[] not null default '{}',
    lost_at        timestamptz
);

alter table schedules drop constraint schedules_task_check;
alter table schedules add constraint schedules_task_check check (task in ('orders', 'stock', 'subscriptions'));
