-- What a parcel proved to have been there is no news to a count either.
drop index movements_beside_counts;
create index movements_beside_counts on movements (sku, version)
    where reason in ('counted', 'seen_by_count', 'shipped_uncounted') or happened_at is not null;
-- What left over a counter after an instant, of a balance that is counted as it was then.
create index order_lines_handed_over on order_lines (sku, location, handed_over_at)
    where units_shipped > 0 and handed_over_at is not null;

-- A channel that shows no figure has devices, or orders from us. Who orders sells nothing unseen.
alter table channels add column takes_purchase_orders boolean not null default false
    check (not (takes_purchase_orders and shows_figures));
create or replace view till_allowances as
select location, sum(case when told ~ '^[0-9]{1,10}$' then told::bigint else 1 end)::bigint as units
from channels cross join lateral btrim(settings ->> 'allowance_units') as told
where not shows_figures and not takes_purchase_orders group by location;
