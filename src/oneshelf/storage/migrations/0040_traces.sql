-- What a trace of an order needs and no row tells: when its delivery was read, and which traces were given away.
-- Null: from before this was noted, or of an order that no delivery told of.
alter table facts add column read_at timestamptz;
alter table facts alter column read_at set default db_now();
alter table orders add column read_at timestamptz;

-- Written only where somebody takes traces. A node holds what it gives away until `held_until`.
create table traces (
    channel      text collate "C" not null,
    order_id     text collate "C" not null,
    held_until   timestamptz not null,
    given_at     timestamptz,
    primary key (channel, order_id),
    foreign key (channel, order_id) references orders on delete cascade
);
create index traces_by_time on traces (given_at);
