-- An allocation plan may be for all SKUs that a pattern fits.

alter table allocation_plans
    add column pattern text collate "C" not null default '',
    drop constraint allocation_plans_pkey,
    drop constraint allocation_plans_check,
    add primary key (pattern, sku_group, sku),
    add check ((pattern <> '')::int + (sku_group <> '')::int + (sku <> '')::int <= 1);
alter table pools add column plan_pattern text collate "C" not null default '';
alter table policy_changes add column pattern text collate "C" not null default '';
