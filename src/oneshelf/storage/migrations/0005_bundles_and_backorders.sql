-- Bundles: sold as one, counted as their components. A SKU with a row here has no balance, and no movement.
create table bundle_components (
    sku        text collate "C" not null references skus,
    component  text collate "C" not null references skus,
    units      int not null check (units > 0),
    primary key (sku, component),
    check (sku <> component)
);
create index bundle_components_by_component on bundle_components (component);

-- How far units may be promised beyond those that are there: until `cap_units` of the balance are short in all.
create table backorders (
    sku        text collate "C" not null references skus,
    location   text collate "C" not null references locations,
    kind       text not null check (kind in ('backorder', 'preorder')),
    cap_units  bigint not null check (cap_units > 0),
    set_at     timestamptz not null default db_now(),
    primary key (sku, location)
);

-- A reservation may wait for units, from the first or since a count, and is given those that come in. What counts have
-- taken from it in all is kept, so that all that ever went in can be told from what is there.
alter table reservations add column units_lost bigint not null default 0 check (units_lost >= 0);
update reservations set units_lost = units_short where units_short > 0;
create index reservations_short on reservations (sku, location, created_at) where state = 'held' and units_short > 0;
