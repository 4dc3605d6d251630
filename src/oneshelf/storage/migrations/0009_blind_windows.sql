-- What is measured: how long each part of the way from a sale to its proof takes, and what sells how fast.

alter table channels add column live_since timestamptz;
update channels set live_since = db_now() where mode = 'live';

-- Orders that a poll brought, and not a webhook. Null: from before this was noted.
alter table inbox add column is_polled boolean;
create index inbox_by_time on inbox using brin (received_at) with (pages_per_range = 32, autosummarize = on);

-- When the ledger first took an order up. Null: from before this was noted.
alter table orders add column posted_at timestamptz;
alter table orders alter column posted_at set default db_now();
create index orders_by_posting on orders (posted_at);
create index publications_by_time on publications using brin (planned_at)
    with (pages_per_range = 16, autosummarize = on);

-- Samples of each part, counted by their size: `bin` n holds what took more than 1.1^(n-1) s and at most 1.1^n s. A slot
-- of ten minutes is counted again from the rows until it is an hour old.
create table blind_window_bins (
    channel       text collate "C" not null references channels on delete cascade,
    part          text collate "C" not null,
    slot_at       timestamptz not null,
    bin           int not null,
    sample_count  bigint not null check (sample_count > 0),
    primary key (channel, part, slot_at, bin)
);
create index blind_window_bins_by_time on blind_window_bins (slot_at);

create table blind_windows (
    channel       text collate "C" not null references channels on delete cascade,
    part          text collate "C" not null,
    window_s      int not null,
    sample_count  bigint not null,
    p50_s         double precision not null,
    p95_s         double precision not null,
    p99_s         double precision not null,
    primary key (channel, part, window_s)
);

-- The blind window of each channel as the engine reckons with it: tau in, tau out, one call; and the objective.
create table channel_windows (
    channel           text collate "C" primary key references channels on delete cascade,
    tau_in_s          double precision not null,
    is_in_measured    boolean not null,
    tau_out_s         double precision not null,
    is_out_measured   boolean not null,
    round_s           double precision not null,
    -- A write there may bury a sale of the channel itself.
    is_blind          boolean not null,
    -- What the objective is where nobody has set one, and how far it is met.
    seen_s            double precision not null,
    detect_s          double precision not null,
    share             double precision not null,
    sale_count        bigint not null,
    seen_count        bigint not null,
    listing_count     bigint not null,
    fresh_count       bigint not null,
    measured_at       timestamptz not null default db_now()
);

-- What a person wants of a channel instead.
create table objectives (
    channel   text collate "C" primary key references channels on delete cascade,
    share     double precision check (share > 0 and share < 1),
    seen_s    double precision check (seen_s > 0),
    detect_s  double precision check (detect_s > 0)
);

-- What was sold of each SKU in base units, in slots of ten minutes of the last week.
create table sku_sales (
    sku         text collate "C" not null,
    channel     text collate "C" not null,
    slot_at     timestamptz not null,
    units       bigint not null,
    line_count  bigint not null,
    primary key (sku, channel, slot_at)
);
create index sku_sales_by_time on sku_sales (slot_at);

-- What follows from it. `channel` is '' for all together, and there alone is a threshold; a buffer is a channel's.
create table sku_demand (
    sku              text collate "C" not null,
    channel          text collate "C" not null,
    rate_per_s       double precision not null,
    variance_factor  double precision not null,
    buffer_units     bigint,
    threshold_units  bigint,
    inputs           jsonb not null,
    measured_at      timestamptz not null default db_now(),
    primary key (sku, channel)
);
create index sku_demand_oldest on sku_demand (measured_at) where channel = '';
