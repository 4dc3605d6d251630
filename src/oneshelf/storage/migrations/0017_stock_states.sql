-- What else a channel shows of a listing beside the units on sale: units that lie there and are not sold. Written where a
-- reading differs from the last one, which is rare.
create table stock_states (
    channel      text collate "C" not null,
    channel_sku  text collate "C" not null,
    -- State -> units, as the newest reading shows them. States with none are left out.
    shown        jsonb not null,
    -- When the channel was asked that first showed it.
    shown_at     timestamptz not null,
    -- The same as our ledger has taken it into account, and when the channel was asked that first showed it.
    accounted    jsonb not null,
    accounted_at timestamptz not null,
    primary key (channel, channel_sku),
    foreign key (channel, channel_sku) references listings on delete cascade
);
create index stock_states_open on stock_states (channel) where shown <> accounted;

alter table channels
    -- What becomes of units that somebody moved there from sale to another state, and back: the ledger follows, a person
    -- is asked, or our figure is written over it.
    add column state_changes text not null default 'book' check (state_changes in ('book', 'ask', 'ignore'));

alter table drifts
    -- How often units were moved in the ledger for it, and when the last decision to do so was carried out.
    add column booking_count int not null default 0 check (booking_count >= 0),
    add column booked_at     timestamptz;
create index drifts_to_book on drifts (opened_at) where resolution = 'booked' and booked_at is null;

alter table canaries
    -- What was done: the figure was edited, or a unit was moved to another state.
    add column act          text not null default 'edit' check (act in ('edit', 'move')),
    -- When every other listing of the SKU was proved to show the corrected figure.
    add column corrected_at timestamptz check (corrected_at >= injected_at);

-- How long the canaries of a channel stayed hidden within 90 days, and until every other listing followed what they moved.
create function canary_p95(of_channel text, out detection_p95_s float8, out corrected_p95_s float8)
language sql stable as $$
    select extract(epoch from percentile_disc(0.95) within group (order by detected_at - injected_at)),
           extract(epoch from percentile_disc(0.95) within group (order by corrected_at - injected_at))
    from canaries where channel = of_channel and injected_at > db_now() - interval '90 days'
$$;
