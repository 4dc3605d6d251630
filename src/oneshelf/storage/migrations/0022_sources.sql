-- Sources of truth: who states figures besides the channels, which rule decides, what disagreed and what was decided.

-- Systems that state figures: an ERP, a warehouse, a till without a connector. Never the name of a channel.
create table sources (
    source    text collate "C" primary key,
    title     text not null default '',
    -- By how many seconds its clock may be wrong, where a statement does not say.
    error_s   int not null default 5 check (error_s between 0 and 86400),
    added_at  timestamptz not null default db_now(),
    added_by  text not null
);

-- One rule for each scope; '' where the scope names nothing. `stated`: strategy, leader, ranks, tolerance, conservative.
create table truth_rules (
    sku_group  text collate "C" not null,
    pattern    text collate "C" not null,
    sku        text collate "C" not null,
    figure     text collate "C" not null check (figure in ('', 'on_hand', 'unshipped', 'available')),
    location   text collate "C" not null,
    stated     jsonb not null check (jsonb_typeof(stated) = 'object' and stated <> '{}'),
    set_at     timestamptz not null default db_now(),
    set_by     text not null,
    primary key (sku_group, pattern, sku, figure, location),
    check ((sku <> '')::int + (sku_group <> '')::int + (pattern <> '')::int <= 1)
);

-- Who changed which rule when and why, for ever: what held at any instant can be told.
create table truth_rule_changes (
    change_id   bigint generated always as identity primary key,
    changed_at  timestamptz not null default db_now(),
    actor       text not null,
    reason      text not null,
    sku_group   text collate "C" not null,
    pattern     text collate "C" not null,
    sku         text collate "C" not null,
    figure      text collate "C" not null,
    location    text collate "C" not null,
    before      jsonb not null,
    after       jsonb not null,
    check (before <> after)
);
create function truth_rule_changes_stay() returns trigger language plpgsql as $$
begin
    raise exception 'what was changed stays written down: truth_rule_changes takes no %', lower(tg_op);
end
$$;
create trigger truth_rule_changes_stay before update or delete on truth_rule_changes
    for each statement execute function truth_rule_changes_stay();

-- What sources stated, one row of a document each. `figure` '': a difference. The same key is the same statement.
create table statements (
    sku           text collate "C" not null references skus,
    location      text collate "C" not null references locations,
    figure        text collate "C" not null check (figure in ('', 'on_hand', 'unshipped', 'available')),
    source        text collate "C" not null references sources,
    document      text collate "C" not null,
    statement_id  uuid not null,
    fingerprint   bytea not null,
    -- The statement whole, as it was said.
    said          jsonb not null,
    -- By how much its clock may be wrong, as it or its source said then.
    error_s       int not null check (error_s >= 0),
    received_at   timestamptz not null default db_now(),
    try_count     int not null default 0,
    state         text not null default 'new' check (state in
        ('new', 'posted', 'waiting', 'echo', 'agreed', 'rules', 'beaten', 'superseded', 'dismissed')),
    -- What the ledger answered, or why it was beaten.
    words         text not null default '',
    -- A person decided for it.
    favoured_at   timestamptz,
    primary key (sku, location, figure, source, document),
    unique (sku, statement_id)
);
create index statements_to_do on statements (received_at) where state in ('new', 'waiting');
create index statements_by_arrival on statements (received_at);

-- Which statement the ledger follows, and which it should: the work still to do is where these differ.
create table settlements (
    sku           text collate "C" not null,
    location      text collate "C" not null,
    figure        text collate "C" not null,
    ruling        uuid,
    followed      uuid,
    try_count     int not null default 0,
    primary key (sku, location, figure)
);
create index settlements_to_follow on settlements (sku) where ruling is distinct from followed;

-- What disagreed, which rule decided, and what was beaten. Kinds: a statement that was beaten, the ledger's own figure,
-- a drift of a channel that rules, one document with two contents.
create table conflicts (
    sku          text collate "C" not null,
    conflict_id  uuid not null,
    location     text collate "C" not null,
    figure       text collate "C" not null,
    kind         text not null check (kind in ('statement', 'ledger', 'drift', 'equivocation')),
    state        text not null check (state in ('open', 'decided', 'overruled', 'ended')),
    rule         text not null,
    -- {"source": …, "document": …, "units": …, "value": …} of each side.
    winner       jsonb not null,
    beaten       jsonb not null,
    opened_at    timestamptz not null default db_now(),
    changed_at   timestamptz not null default db_now(),
    ruled_by     text not null default '',
    reason       text not null default '',
    primary key (sku, conflict_id)
);
create index conflicts_by_id on conflicts (conflict_id);
create index conflicts_by_age on conflicts (opened_at);
create index conflicts_open on conflicts (kind, opened_at) where state = 'open';

-- What a count had seen by name, and by how much the clock behind its instant may be wrong.
alter table counts
    add column documents text[] not null default '{}',
    add column error_s int not null default 5 check (error_s >= 0);
alter table ruling_counts add column documents text[] not null default '{}';
