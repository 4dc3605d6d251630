-- Rights: how many units each listing may still sell as far as anyone can know, and SKUs whose rights are bounded.

alter table skus
    -- pooled: every listing shows what is available. guarded: what the listings may sell adds up to what is available.
    -- auto: guarded while scarce. frozen: nothing is sold anywhere.
    add column mode text not null default 'pooled' check (mode in ('pooled', 'guarded', 'auto', 'frozen')),
    -- Of mode auto: guarded at this many available units or fewer; null: as measured.
    add column guard_at_units bigint check (guard_at_units >= 0),
    -- Kept from the listings of a guarded SKU, for tills and for reservations by the API.
    add column allowance_units bigint not null default 0 check (allowance_units >= 0),
    -- What planning made of the mode: no write may let the listings sell more than there is.
    add column is_guarded boolean not null default false;
create index skus_guarded on skus (sku) where is_guarded;

alter table listings
    -- Of the write in flight: the most that can be sold off the listing once it is applied.
    add column op_rights bigint,
    -- Only a reading that every order is known of settles it.
    add column op_is_strict boolean not null default false,
    -- What orders took off the figure and gave back, all added up: whether any was posted between two moments.
    add column turnover_units bigint not null default 0,
    add column turnover_at timestamptz,
    add column suspect_turnover bigint;
update listings set suspect_turnover = turnover_units where suspect_at is not null;

-- Until now: a compared write sets what it says, a blind one may bury what was sold meanwhile.
update listings l set op_rights = case when c.kind = 'shopify' then op_units else op_units + greatest(op_expected, 0) end
from channels c where c.channel = l.channel and op_id is not null;

-- The belief; or what the write in flight may have made of it; or a reading that is higher than both. And what was sold
-- off it and is not known as an order yet. Null: never read.
alter table listings add column rights_units bigint generated always as (
    case when base_units is not null then
        greatest(0, base_units - (net_units - base_net),
                 case when op_id is not null then op_rights - (net_units - op_net) end, suspect_units) + suspense_units
    end
) stored;

-- SKU and location -> units that its listings may sell, directly or in bundles, and whether one was never read. A listing
-- with a note is not ours to write.
create view granted as
select sku, location, sum(units)::bigint as units, bool_or(is_unread) as has_unread
from (
    select l.sku, c.location, l.rights_units * l.pack_units as units, l.rights_units is null as is_unread
    from listings l join channels c using (channel)
    where l.note = '' and not exists (select from bundle_components b where b.sku = l.sku)
    union all
    select b.component, c.location, l.rights_units * l.pack_units * b.units, l.rights_units is null
    from listings l join channels c using (channel) join bundle_components b on b.sku = l.sku
    where l.note = ''
) as each where sku is not null group by sku, location;

-- What the code believes, once more: no write is decided that lets the listings of a guarded SKU sell more than there is.
create function refuse_rights_beyond_stock() returns trigger language plpgsql as $$
declare
    beyond record;
begin
    select g.sku, g.location, g.units, coalesce(b.available, 0) as available into beyond
    from (select new.sku as sku where not exists (select from bundle_components c where c.sku = new.sku)
          union all select c.component from bundle_components c where c.sku = new.sku) as counted
    join skus s on s.sku = counted.sku and s.is_guarded
    join channels c on c.channel = new.channel
    join granted g on g.sku = counted.sku and g.location = c.location
    left join balances b on b.sku = g.sku and b.location = g.location
    where g.units > coalesce(b.available, 0);
    if found then
        raise exception 'a write to % % would let listings sell % units of % at %, where % are available',
            new.channel, new.channel_sku, beyond.units, beyond.sku, beyond.location, beyond.available
            using errcode = 'check_violation', constraint = 'rights_within_stock';
    end if;
    return null;
end $$;
create trigger rights_within_stock after update of op_id on listings for each row
    when (new.op_id is distinct from old.op_id and new.op_id is not null and new.rights_units > old.rights_units)
    execute function refuse_rights_beyond_stock();
