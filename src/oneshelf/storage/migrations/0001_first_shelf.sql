-- The first shelf: catalogue, ledger, listings, and the rows that are the queues between the steps.
-- Text keys compare by bytes (COLLATE "C"): cheaper, and the same order in Python and in PostgreSQL.

-- One clock for due times and leases, shared by all nodes. A test or the simulation may set another one.
create function db_now() returns timestamptz language sql volatile parallel safe as $$
    select coalesce(nullif(current_setting('oneshelf.now', true), '')::timestamptz, clock_timestamp())
$$;

-- Catalogue ----------------------------------------------------------------------------------------------------

create table skus (
    sku         text collate "C" primary key,
    title       text not null default '',
    created_at  timestamptz not null default db_now()
);

create table locations (
    location    text collate "C" primary key,
    title       text not null default '',
    created_at  timestamptz not null default db_now()
);

create table channels (
    channel       text collate "C" primary key,
    kind          text not null,
    mode          text not null default 'watch' check (mode in ('watch', 'live', 'paused')),
    location      text collate "C" not null references locations,
    settings      jsonb not null default '{}',
    secrets       jsonb not null default '{}',
    -- Seconds that overrule the declared ones of the kind: poll_orders_s, sweep_stock_s, apply_s,
    -- suspense_s.
    timing        jsonb not null default '{}',
    -- Failing calls pause the whole channel for a while: the circuit breaker, shared by all nodes.
    paused_until  timestamptz,
    fail_streak   int not null default 0,
    last_fault    text not null default '',
    created_at    timestamptz not null default db_now()
);

-- Token buckets of the channels (GCRA): `tat` is the instant at which the bucket would be full again.
create table rate_limits (
    channel     text collate "C" not null references channels on delete cascade,
    operation   text collate "C" not null,
    rate_per_s  double precision not null check (rate_per_s > 0),
    burst       int not null check (burst > 0),
    tat         timestamptz not null default '-infinity',
    primary key (channel, operation)
);

-- Recurring work of a channel: order polls and stock sweeps. A row past `next_at` is due; a lease says who does it.
create table schedules (
    channel        text collate "C" not null references channels on delete cascade,
    task           text collate "C" not null check (task in ('orders', 'stock')),
    every_s        double precision not null check (every_s > 0),
    next_at        timestamptz not null default db_now(),
    cursor         text,
    -- orders: every order placed before this instant is in the inbox; stock: the last whole sweep began then.
    covered_until  timestamptz,
    last_done_at   timestamptz,
    last_fault     text not null default '',
    lease          uuid,
    lease_until    timestamptz,
    primary key (channel, task)
);

-- The ledger. Every key begins with the SKU. ---------------------------------------------------------------------

-- Where each unit is. `version` counts the changes of this row; the sum over a SKU's rows is the SKU's version.
create table balances (
    sku              text collate "C" not null references skus,
    location         text collate "C" not null references locations,
    available        bigint not null default 0 check (available >= 0),
    committed        bigint not null default 0 check (committed >= 0),
    reserved         bigint not null default 0 check (reserved >= 0),
    damaged          bigint not null default 0 check (damaged >= 0),
    quality_control  bigint not null default 0 check (quality_control >= 0),
    safety_stock     bigint not null default 0 check (safety_stock >= 0),
    incoming         bigint not null default 0 check (incoming >= 0),
    version          bigint not null default 0,
    primary key (sku, location)
) with (fillfactor = 50);

-- What happened to units, for ever. Both legs of the double entry are in the one row; an account is a stock state
-- at a location, or one of the outside accounts, which have no location.
create table movements (
    sku            text collate "C" not null,
    movement_id    uuid not null,
    posted_at      timestamptz not null default db_now(),
    units          bigint not null check (units > 0),
    from_location  text collate "C",
    from_account   text not null,
    to_location    text collate "C",
    to_account     text not null,
    reason         text not null,
    -- The order or command that moved the units.
    source         text collate "C" not null,
    -- Version of the balance of the inside account after this movement.
    version        bigint not null,
    primary key (sku, movement_id),
    check ((from_location is null) = (from_account in ('supplier', 'customer', 'shrinkage', 'found', 'in_transit'))),
    check ((to_location is null) = (to_account in ('supplier', 'customer', 'shrinkage', 'found', 'in_transit'))),
    check (from_location is not null or to_location is not null)
);

-- What each order line holds of the ledger now. `units_short`: sold, and no unit is there for it.
create table order_lines (
    sku              text collate "C" not null,
    channel          text collate "C" not null,
    order_id         text collate "C" not null,
    line_id          text collate "C" not null,
    location         text collate "C" not null,
    channel_sku      text collate "C" not null,
    placed_at        timestamptz not null,
    units_pending    bigint not null check (units_pending >= 0),
    units_committed  bigint not null check (units_committed >= 0),
    units_shipped    bigint not null check (units_shipped >= 0),
    units_short      bigint not null check (units_short >= 0),
    is_pending       boolean not null,
    pack_units       int not null check (pack_units > 0),
    -- By how many listing units this line has lowered the channel's own figure.
    units_off_listing bigint not null check (units_off_listing >= 0),
    primary key (sku, channel, order_id, line_id),
    foreign key (sku, location) references balances
) with (fillfactor = 80);
create index order_lines_by_order on order_lines (channel, order_id);
create index order_lines_short on order_lines (sku, location, placed_at) where units_short > 0;

-- Commands from people and programs, each applied once. The answer is kept and given again.
create table commands (
    scope        text collate "C" not null,
    key          text collate "C" not null,
    fingerprint  bytea not null,
    outcome      jsonb not null,
    posted_at    timestamptz not null default db_now(),
    primary key (scope, key)
);

-- SKUs whose figures moved and whose listings have not been planned since. Insert only, so that posting never
-- waits for planning; planning deletes what it has read.
create table touched (
    touch_id  bigint generated always as identity primary key,
    sku       text collate "C" not null
);

-- From the channels ------------------------------------------------------------------------------------------------

-- Deliveries as received: webhooks and polled orders. Unposted rows are the queue of `interpret`.
create table inbox (
    inbox_id       bigint generated always as identity primary key,
    channel        text collate "C" not null references channels,
    delivery_key   text collate "C" not null,
    topic          text not null,
    body           bytea not null,
    received_at    timestamptz not null default db_now(),
    state          text not null default 'new' check (state in ('new', 'done', 'parked', 'dismissed')),
    reason         text not null default '',
    unique (channel, delivery_key)
);
create index inbox_new on inbox (inbox_id) where state = 'new';
create index inbox_parked on inbox (inbox_id) where state = 'parked';

-- Order snapshots in our words, read from the inbox and not yet, or not wholly, posted.
create table facts (
    fact_id      bigint generated always as identity primary key,
    channel      text collate "C" not null references channels,
    order_id     text collate "C" not null,
    snapshot     jsonb not null,
    received_at  timestamptz not null,
    state        text not null default 'new' check (state in ('new', 'posted', 'parked', 'dismissed')),
    reason       text not null default ''
);
create index facts_new on facts (fact_id) where state = 'new';
create index facts_parked on facts (channel, order_id) where state = 'parked';

-- The newest snapshot of each order that the ledger has taken.
create table orders (
    channel    text collate "C" not null references channels,
    order_id   text collate "C" not null,
    placed_at  timestamptz not null,
    seen_at    timestamptz not null,
    snapshot   jsonb,
    primary key (channel, order_id)
) with (fillfactor = 80);

-- Listings -------------------------------------------------------------------------------------------------------

-- One sellable entry on one channel. The row is the queue of push and confirm: a desired version ahead of the
-- verified one is work to do.
create table listings (
    channel           text collate "C" not null references channels,
    channel_sku       text collate "C" not null,
    alias             text collate "C" not null default '',
    merchant_sku      text not null default '',
    title             text not null default '',
    sku               text collate "C" references skus,
    pack_units        int not null default 1 check (pack_units > 0),
    note              text not null default '',

    phase             text not null default 'idle' check (phase in ('idle', 'sending', 'unknown', 'accepted', 'parked')),
    parked_reason     text not null default '',

    desired_units     bigint check (desired_units >= 0),
    desired_version   bigint not null default 0,
    desired_at        timestamptz,
    sent_units        bigint,
    sent_version      bigint not null default 0,
    sent_at           timestamptz,
    accepted_version  bigint not null default 0,
    accepted_at       timestamptz,
    verified_units    bigint,
    verified_version  bigint not null default 0,
    verified_at       timestamptz,

    -- Belief: base_units, less what orders have taken off the listing since: net_units - base_net.
    net_units         bigint not null default 0,
    base_units        bigint,
    base_net          bigint not null default 0,
    -- Units that the channel no longer shows and that no order explains yet. They are not offered anywhere.
    suspense_units    bigint not null default 0 check (suspense_units >= 0),
    suspense_version  bigint not null default 0,

    -- The write in flight, or the last one.
    op_id             uuid,
    op_units          bigint,
    op_expected       bigint,
    op_net            bigint,
    op_tries          int not null default 0,

    -- An observation that the belief does not explain, until orders explain it or it becomes a drift.
    suspect_units     bigint,
    suspect_belief    bigint,
    suspect_net       bigint,
    suspect_at        timestamptz,
    -- Whether the next reading may anchor the belief: every order from before the first reading has been posted.
    may_anchor        boolean not null default false,

    look_at           timestamptz,
    next_at           timestamptz not null default db_now(),
    lease             uuid,
    lease_until       timestamptz,
    primary key (channel, channel_sku)
) with (fillfactor = 60);
create index listings_by_sku on listings (sku);
create index listings_by_alias on listings (channel, alias) where alias <> '';
create index listings_to_push on listings (channel, next_at)
    where desired_version > sent_version or phase = 'unknown' or phase = 'sending';
create index listings_to_look on listings (channel, look_at) where look_at is not null;
create index listings_suspect on listings (channel, suspect_at) where suspect_at is not null;

-- Every figure that was ever desired for a listing, what it was derived from, and how far it got.
create table publications (
    channel      text collate "C" not null,
    channel_sku  text collate "C" not null,
    version      bigint not null,
    sku          text collate "C" not null,
    units        bigint not null,
    derivation   jsonb not null,
    planned_at   timestamptz not null,
    sent_at      timestamptz,
    accepted_at  timestamptz,
    verified_at  timestamptz,
    primary key (channel, channel_sku, sku, version)
) with (fillfactor = 80);
create index publications_by_sku on publications (sku, version);

-- Readings of the channel's figure, kept where they taught us something.
create table observations (
    channel      text collate "C" not null,
    channel_sku  text collate "C" not null,
    observed_at  timestamptz not null,
    units        bigint not null,
    believed     bigint,
    source       text not null check (source in ('push', 'confirm', 'reconcile')),
    primary key (channel, channel_sku, observed_at, source)
);

-- Observations that nothing in flight explains. At most one open drift per listing.
create table drifts (
    drift_id        uuid primary key,
    channel         text collate "C" not null,
    channel_sku     text collate "C" not null,
    sku             text collate "C" not null,
    cause           text not null,
    expected_units  bigint not null,
    observed_units  bigint not null,
    opened_at       timestamptz not null default db_now(),
    resolved_at     timestamptz,
    resolution      text not null default ''
);
create unique index drifts_open on drifts (channel, channel_sku) where resolved_at is null;
create index drifts_by_time on drifts (opened_at);
