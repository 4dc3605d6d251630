-- Counts that know what they had seen, and movements that are told late.

-- Where a balance stood when somebody began to count there. One token names one location. Changes of a balance commit
-- one after the other under its row lock, so its units at the token, and not a time or an id, say what came after.
create table counts (
    sku              text collate "C" not null references skus,
    token            uuid not null,
    location         text collate "C" not null references locations,
    begun_at         timestamptz not null default db_now(),
    version          bigint not null,
    available        bigint not null,
    committed        bigint not null,
    reserved         bigint not null,
    damaged          bigint not null,
    quality_control  bigint not null,
    safety_stock     bigint not null,
    incoming         bigint not null,
    primary key (sku, token)
);

-- The last count of each balance: what is told late is judged by it. It had seen what happened before `counted_at`.
create table ruling_counts (
    sku         text collate "C" not null,
    location    text collate "C" not null,
    figure      text not null check (figure in ('on_hand', 'unshipped', 'available')),
    units       bigint not null check (units >= 0),
    counted_at  timestamptz not null,
    error_s     int not null check (error_s >= 0),
    source      text collate "C" not null,
    primary key (sku, location),
    foreign key (sku, location) references balances
) with (fillfactor = 80);

-- When it happened, where that is not the instant of posting. The reversal of what a count had seen has it too.
alter table movements add column happened_at timestamptz;
-- Each movement changes one balance, whose version it made. Between two locations, units are in transit.
alter table movements add constraint movements_one_place
    check (from_location is null or to_location is null or from_location = to_location);
-- What is no news to a count that has begun, although it was posted since.
create index movements_beside_counts on movements (sku, version)
    where reason in ('counted', 'seen_by_count') or happened_at is not null;
