-- Many writes in one file, which a channel takes and works through by itself.

create table feeds (
    feed_id      uuid primary key,
    channel      text collate "C" not null references channels on delete cascade,
    -- The channel's own names of what may be it; empty: nobody knows yet whether it was begun.
    names        text[] not null default '{}',
    -- Whether the channel answered that it took it. False: any of the names may be it, or none.
    is_answered  boolean not null default false,
    write_count  int not null default 0,
    begun_at     timestamptz not null default db_now(),
    -- Since when it takes longer than the channel says.
    stuck_at     timestamptz,
    lease        uuid not null,
    lease_until  timestamptz not null,
    look_at      timestamptz not null default db_now(),
    ended_at     timestamptz,
    words        text not null default ''
);
-- One at a time: what two of them do to one listing is not said by anybody.
create unique index feeds_under_way on feeds (channel) where ended_at is null;
create index feeds_by_channel on feeds (channel, begun_at);

alter table listings
    -- Which feed carries the write that is being sent.
    add column feed_id uuid references feeds;
create index listings_in_feed on listings (feed_id, channel_sku) where feed_id is not null;
drop index listings_to_push;
create index listings_to_push on listings (channel, is_raise, desired_units, channel_sku)
    where desired_version > sent_version or (phase = 'sending' and feed_id is null);
