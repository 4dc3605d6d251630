-- Policies: what each listing may show of what is available to sell.

alter table skus add column sku_group text collate "C" check (sku_group <> '');
create index skus_by_group on skus (sku_group) where sku_group is not null;

-- One rule for each scope; '' where the scope names nothing, so that the key finds it. `stated`: term -> value.
create table policies (
    channel    text collate "C" not null,
    sku_group  text collate "C" not null,
    sku        text collate "C" not null,
    stated     jsonb not null check (jsonb_typeof(stated) = 'object' and stated <> '{}'),
    set_at     timestamptz not null default db_now(),
    set_by     text not null,
    primary key (channel, sku_group, sku),
    check (sku = '' or sku_group = '')
);

-- Who changed what, for ever: the rule of a scope, or the group of a SKU (`sku_group` among what is stated).
create table policy_changes (
    change_id   bigint generated always as identity primary key,
    changed_at  timestamptz not null default db_now(),
    actor       text not null,
    channel     text collate "C" not null,
    sku_group   text collate "C" not null,
    sku         text collate "C" not null,
    before      jsonb not null,
    after       jsonb not null,
    check (before <> after)
);
create function policy_changes_stay() returns trigger language plpgsql as $$
begin
    raise exception 'what was changed stays written down: policy_changes takes no %', lower(tg_op);
end
$$;
create trigger policy_changes_stay before update or delete on policy_changes
    for each statement execute function policy_changes_stay();
