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

-- The same rule as before. Where none of the SKUs is guarded it holds, and what all listings may sell is not added up for
-- it: with a thousand writes in one transaction that took minutes.
create or replace function refuse_rights_beyond_stock() returns trigger language plpgsql as $$
declare
    beyond record;
begin
    if not exists (select from skus s where s.is_guarded and (
        s.sku = new.sku or s.sku in (select b.component from bundle_components b where b.sku = new.sku))) then
        return null;
    end if;
    select g.sku, g.location, g.units, coalesce(b.available, 0) as available into beyond
    from (select new.sku as sku where not exists (select from bundle_components c where c.sku = new.sku)
          union all select c.component from bundle_components c where c.sku = new.sku) as counted
    join skus s on s.sku = counted.sku and s.is_guarded
    join channels c on c.channel = new.channel
    join granted g on g.sku = counted.sku and g.location = c.location
    left join balances b on b.sku = g.sku and b.location = g.location
    where g.units > coalesce(b.available, 0);
    if found then
        raise exception 'a write to % % would let listings sell % units of % at %, where % are available',
            new.channel, new.channel_sku, beyond.units, beyond.sku, beyond.location, beyond.available
            using errcode = 'check_violation', constraint = 'rights_within_stock';
    end if;
    return null;
end $$;
