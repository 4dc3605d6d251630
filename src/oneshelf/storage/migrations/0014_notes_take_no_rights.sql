-- What a channel notes of a listing (a row that could not be read once, somebody else's fulfilment) proves nothing about
-- what can still be sold off it: until now its units were given to the other listings of a guarded SKU. One with a note
-- that was never read is not ours to write, and is left out as before.
create or replace view granted as
select sku, location, sum(units)::bigint as units, bool_or(is_unread) as has_unread
from (
    select l.sku, c.location, l.rights_units * l.pack_units as units, l.rights_units is null as is_unread
    from listings l join channels c using (channel)
    where (l.note = '' or l.rights_units > 0) and not exists (select from bundle_components b where b.sku = l.sku)
    union all
    select b.component, c.location, l.rights_units * l.pack_units * b.units, l.rights_units is null
    from listings l join channels c using (channel) join bundle_components b on b.sku = l.sku
    where l.note = '' or l.rights_units > 0
) as each where sku is not null group by sku, location;
