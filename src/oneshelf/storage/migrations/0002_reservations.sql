-- Reservations, transfers, returns and kits: the rest of what can happen to a unit.

-- Units set aside, one row for each SKU and location of a reservation. `units_short`: of them, lost to a count since.
create table reservations (
    sku             text collate "C" not null,
    reservation_id  uuid not null,
    location        text collate "C" not null,
    kind            text not null check (kind in ('hold', 'lock', 'allocation', 'pending')),
    units           int not null check (units > 0),
    units_short     int not null default 0 check (units_short between 0 and units),
    state           text not null check (state in ('held', 'claimed', 'released', 'expired')),
    holder          text not null default '',
    expires_at      timestamptz,
    created_at      timestamptz not null,
    primary key (sku, reservation_id, location),
    foreign key (sku, location) references balances,
    -- A hold ends by itself, and nothing else does. One that became a lock is a lock.
    check ((kind = 'hold') = (expires_at is not null))
) with (fillfactor = 70);
create index reservations_by_id on reservations (reservation_id);
create index reservations_held on reservations (sku, location, expires_at) where state = 'held';
-- The queue of the sweep.
create index reservations_due on reservations (expires_at) where state = 'held' and expires_at is not null;

-- An order may be claimed before its channel tells of it, and may come from a shop that is no connected channel.
alter table orders drop constraint orders_channel_fkey;
