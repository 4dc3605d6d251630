-- What kits are made of. A kit is counted itself, so it is no bundle, and neither is what it is made of.
create table kit_components (
    sku        text collate "C" not null references skus,
    component  text collate "C" not null references skus,
    units      int not null check (units > 0),
    primary key (sku, component),
    check (sku <> component)
);
create index kit_components_by_component on kit_components (component);
