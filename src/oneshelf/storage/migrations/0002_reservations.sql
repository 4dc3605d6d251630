-- Reservations, transfers, returns and kits: the rest of what can happen to a unit.

-- Units set aside, one row for each SKU and location of a reservation. `units_short`: of them, lost to a count since.
create table reservations (
    sku             text collate "C" not null,
    reservation_id  uuid not null,
    location        text collate "C" not null,
    kind            text not null check (kind in ('hold', 'lock', 'allocation', 'pending')),
    units           bigint not null check (units > 0),
    units_short     bigint not null default 0 check (units_short between 0 and units),
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

-- Units on their way between two locations, one row for each SKU of a transfer. It ends when none is under way.
create table transfers (
    sku            text collate "C" not null references skus,
    transfer_id    text collate "C" not null,
    origin         text collate "C" not null references locations,
    target         text collate "C" not null references locations,
    units_sent     bigint not null check (units_sent > 0),
    units_arrived  bigint not null default 0 check (units_arrived >= 0),
    -- More than were sent.
    units_over     bigint not null default 0 check (units_over >= 0),
    units_lost     bigint not null default 0 check (units_lost >= 0),
    created_at     timestamptz not null,
    primary key (sku, transfer_id),
    check (origin <> target),
    check (units_arrived + units_lost <= units_sent)
) with (fillfactor = 80);
create index transfers_under_way on transfers (sku) where units_arrived + units_lost < units_sent;

-- Each shipped unit comes back once.
alter table order_lines add column units_returned bigint not null default 0,
    add check (units_returned between 0 and units_shipped);
-- Those whose units a count may find missing.
create index order_lines_holding on order_lines (sku, location, placed_at) where units_committed + units_pending > 0;

-- Kits are made at `assembly`. Units lost on their way, or written off when they come back, touch no location.
alter table movements drop constraint movements_check, drop constraint movements_check1,
    drop constraint movements_check2;
alter table movements
    add constraint movements_origin check ((from_location is null)
        = (from_account in ('supplier', 'customer', 'shrinkage', 'found', 'in_transit', 'assembly'))),
    add constraint movements_target check ((to_location is null)
        = (to_account in ('supplier', 'customer', 'shrinkage', 'found', 'in_transit', 'assembly'))),
    add constraint movements_inside check (from_location is not null or to_location is not null
        or (from_account in ('in_transit', 'customer') and to_account = 'shrinkage'));
