-- Drifts keep why they are thought to be what they are, and wait for a person where writing again did not help.
alter table drifts
    add column evidence      jsonb not null default '{}',
    -- The orders that came late and explain it: "channel/order id", a comma between two.
    add column explained_by  text not null default '',
    add column attributed_at timestamptz,
    -- How often its listing was written again since it opened.
    add column heal_count    int not null default 0 check (heal_count >= 0),
    -- Why the engine does nothing more by itself; empty: it goes on.
    add column waiting_for   text not null default '',
    -- A person said: decide later.
    add column wait_until    timestamptz;
create index drifts_of_listing on drifts (channel, channel_sku, opened_at);

alter table listings
    -- When the channel last announced by itself that this figure may have changed.
    add column hinted_at timestamptz;

-- Edits made on purpose, to measure how long a drift stays hidden.
create table canaries (
    canary_id      uuid primary key,
    channel        text collate "C" not null references channels on delete cascade,
    channel_sku    text collate "C" not null,
    units_before   bigint not null,
    units_injected bigint not null,
    injected_at    timestamptz not null,
    detected_at    timestamptz check (detected_at >= injected_at),
    -- Whoever asked waited so long and saw no drift.
    given_up_at    timestamptz
);
create index canaries_by_channel on canaries (channel, injected_at);

alter table channels
    -- What one cancelled order costs here, compared with other channels; null: as is usual for its kind.
    add column cancellation_cost double precision check (cancellation_cost >= 0);
create index orders_by_placed on orders (channel, placed_at);

-- How much of what a channel allows of cancellations is used up, measured every minute. Channel SKU '': all of it.
create table cancellation_budgets (
    channel         text collate "C" not null references channels on delete cascade,
    channel_sku     text collate "C" not null default '',
    order_count     bigint not null,
    cancelled_count bigint not null,
    -- The newest orders that were cancelled one after the other, without one that was not in between.
    run_count       bigint not null,
    budget_left     bigint not null,
    is_tight        boolean not null,
    measured_at     timestamptz not null,
    primary key (channel, channel_sku)
);
create index cancellation_budgets_tight on cancellation_budgets (channel) where is_tight;
