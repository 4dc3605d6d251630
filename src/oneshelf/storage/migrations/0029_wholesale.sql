-- Wholesale orders: units set aside for customers who order by the hundred and are shipped to on a day.

-- An allocation may end by itself too: on the day after which its order is not wanted any more.
alter table reservations drop constraint reservations_check1,
    add constraint reservations_end check (case kind when 'hold' then expires_at is not null
                                                     when 'allocation' then true else expires_at is null end);

-- One row for each purchase order of a customer; its lock is the lock of its lines.
create table wholesale_orders (
    -- customer/po_number
    order_id     text collate "C" primary key,
    customer     text collate "C" not null,
    po_number    text collate "C" not null,
    -- The customer's: a changed order has a higher one.
    version      bigint not null check (version >= 1),
    fingerprint  bytea not null,
    location     text collate "C" not null references locations,
    ship_by      date,
    -- After this day nothing of it is wanted; what it holds is free again.
    cancel_after date,
    expires_at   timestamptz,
    -- released: a person gave its units back, and it waits for none until somebody says so.
    state        text not null check (state in ('open', 'released', 'closed')),
    came_by      text not null,
    placed_at    timestamptz not null default db_now(),
    changed_at   timestamptz not null default db_now(),
    check ((cancel_after is null) = (expires_at is null)),
    check (cancel_after >= ship_by)
);
create index wholesale_orders_by_day on wholesale_orders (ship_by, order_id) where state <> 'closed';
create index wholesale_orders_due on wholesale_orders (expires_at) where state <> 'closed' and expires_at is not null;

-- What is ordered of one SKU. What is allocated is what its reservations hold, and what is left waits for units.
create table wholesale_lines (
    sku              text collate "C" not null references skus,
    order_id         text collate "C" not null references wholesale_orders,
    line_id          text collate "C" not null,
    location         text collate "C" not null,
    placed_at        timestamptz not null,
    units_ordered    bigint not null check (units_ordered > 0),
    units_shipped    bigint not null default 0 check (units_shipped >= 0),
    units_cancelled  bigint not null default 0 check (units_cancelled >= 0),
    reservation_ids  uuid[] not null default '{}',
    -- When to see whether there are units for it; null: it waits for none.
    look_at          timestamptz,
    primary key (sku, order_id, line_id),
    check (units_shipped + units_cancelled <= units_ordered)
);
create index wholesale_lines_of_order on wholesale_lines (order_id);
create index wholesale_lines_waiting on wholesale_lines (look_at) where look_at is not null;
create index wholesale_lines_by_place on wholesale_lines (sku, location, placed_at) where look_at is not null;

-- Customers who send purchase orders as EDI X12, and by which names they and we go there, such as ZZ:ACME.
create table x12_partners (
    customer      text collate "C" primary key,
    their_id      text collate "C" not null unique,
    our_id        text collate "C" not null,
    location      text collate "C" not null references locations,
    version       text not null check (version in ('004010', '005010')),
    -- The number of the last interchange that we wrote for them.
    last_control  bigint not null default 0 check (last_control >= 0),
    set_at        timestamptz not null default db_now()
);

-- Interchanges that were read. A number that comes again says the same, or it is refused.
create table x12_interchanges (
    their_id        text collate "C" not null,
    control_number  text collate "C" not null,
    digest          bytea not null,
    order_ids       text[] not null,
    received_at     timestamptz not null default db_now(),
    primary key (their_id, control_number)
);
