-- Allocation plans: which part of a SKU's units each channel may sell; and the pools that follow from them.

-- One plan for each scope; '' where the scope names nothing, so that the key finds it.
create table allocation_plans (
    sku_group  text collate "C" not null,
    sku        text collate "C" not null,
    stated     jsonb not null check (jsonb_typeof(stated -> 'pools') = 'array'),
    set_at     timestamptz not null default db_now(),
    set_by     text not null,
    primary key (sku_group, sku),
    check (sku = '' or sku_group = '')
);

-- What the pools of a SKU at a location hold, as of one version of its balance. Planning brings them up to date.
create table pools (
    sku                text collate "C" not null,
    location           text collate "C" not null,
    -- The plan by which they were carved, and what for; `pools`: a list of channel, percent, carved, sold, left.
    plan_group         text collate "C" not null,
    plan_sku           text collate "C" not null,
    stated             jsonb not null,
    pools              jsonb not null check (jsonb_typeof(pools) = 'array'),
    rest_units         bigint not null check (rest_units >= 0),
    rest_carved_units  bigint not null check (rest_carved_units >= 0),
    version            bigint not null,
    followed_at        timestamptz not null,
    carved_at          timestamptz not null,
    why                text not null,
    -- When all that is available is shared anew; null: when something comes in, or somebody says so.
    refill_at          timestamptz,
    primary key (sku, location),
    foreign key (sku, location) references balances (sku, location) on delete cascade,
    check (not jsonb_path_exists(pools, '$[*].left ? (@ < 0)'))
);
create index pools_to_refill on pools (refill_at) where refill_at is not null;

-- Each time that all which was available was shared anew: by which percentages, and what for.
create table pool_carvings (
    sku        text collate "C" not null,
    location   text collate "C" not null,
    carved_at  timestamptz not null,
    why        text not null,
    available  bigint not null,
    pools      jsonb not null,
    primary key (sku, location, carved_at)
);
