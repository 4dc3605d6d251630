-- Channels whose devices sell without us and tell of it later, by number: tills. They show no figure that we could write.

alter table channels
    -- False: it shows no figure of its own, so nothing of it is planned, read or written.
    add column shows_figures boolean not null default true;

-- A device, and how far its numbers have got. `heard_at`: when it last told anything. `clock_ahead_s`: by how much its
-- clock was ahead then (below zero: behind), where it says when it sent.
create table devices (
    channel       text collate "C" not null references channels on delete cascade,
    device        text collate "C" not null,
    highest       bigint not null default 0 check (highest >= 0),
    told_count    bigint not null default 0 check (told_count >= 0),
    heard_at      timestamptz not null default db_now(),
    clock_ahead_s double precision,
    primary key (channel, device)
);

-- Numbers that are missing between others, or before the highest that the device says to have used.
create table device_gaps (
    channel    text collate "C" not null,
    device     text collate "C" not null,
    first      bigint not null check (first > 0),
    last       bigint not null,
    noticed_at timestamptz not null default db_now(),
    primary key (channel, device, first),
    foreign key (channel, device) references devices on delete cascade,
    check (last >= first)
);

-- What a device told under each of its numbers. `told`: it is posted, or on its way; `waiting`: a void whose sale is not
-- told yet; `refused`: it moves nothing, for `reason`. `receipt_device`: the device whose receipt it names.
create table device_events (
    channel        text collate "C" not null,
    device         text collate "C" not null,
    sequence       bigint not null check (sequence > 0),
    fingerprint    bytea not null,
    kind           text not null check (kind in ('sale', 'return', 'exchange', 'void')),
    receipt_device text collate "C" not null,
    receipt        text collate "C" not null,
    placed_at      timestamptz not null,
    left_at        timestamptz not null,
    came_at        timestamptz not null,
    received_at    timestamptz not null,
    event          jsonb not null,
    state          text not null default 'told' check (state in ('told', 'waiting', 'refused')),
    reason         text not null default '',
    -- Of a sale that was taken back: since when its units are back.
    voided_at      timestamptz,
    primary key (channel, device, sequence),
    foreign key (channel, device) references devices on delete cascade,
    check ((state = 'refused') = (reason <> ''))
);
create unique index device_receipts on device_events (channel, receipt_device, receipt)
    where kind <> 'void' and state = 'told';
create index device_voids_waiting on device_events (channel, receipt_device, receipt) where state = 'waiting';
create index device_events_open on device_events (channel, device) where state <> 'told';

-- The same number told again with other content: the first is what counts, and a person has to look.
create table device_conflicts (
    channel     text collate "C" not null,
    device      text collate "C" not null,
    sequence    bigint not null,
    fingerprint bytea not null,
    event       jsonb not null,
    received_at timestamptz not null,
    primary key (channel, device, sequence, fingerprint),
    foreign key (channel, device) references devices on delete cascade
);

alter table order_lines
    -- Of what went over a counter: by when it had left. What is short of it has left all the same, and what comes in is
    -- counted as it at once.
    add column handed_over_at timestamptz,
    -- Units that a customer brought, whoever had sold them.
    add column units_brought bigint not null default 0 check (units_brought >= 0);

-- As before, without what channels that show no figure are linked to: nothing can be sold off a figure there.
create or replace view granted as
select sku, location, sum(units)::bigint as units, bool_or(is_unread) as has_unread
from (
    select l.sku, c.location, l.rights_units * l.pack_units as units, l.rights_units is null as is_unread
    from listings l join channels c using (channel)
    where c.shows_figures and (l.note = '' or l.rights_units > 0)
      and not exists (select from bundle_components b where b.sku = l.sku)
    union all
    select b.component, c.location, l.rights_units * l.pack_units * b.units, l.rights_units is null
    from listings l join channels c using (channel) join bundle_components b on b.sku = l.sku
    where c.shows_figures and (l.note = '' or l.rights_units > 0)
) as each where sku is not null group by sku, location;

-- Location -> units of each SKU that its tills may sell before we hear of it.
create view till_allowances as
select location, sum(case when told ~ '^[0-9]{1,10}$' then told::bigint else 1 end)::bigint as units
from channels cross join lateral btrim(settings ->> 'allowance_units') as told
where not shows_figures group by location;
