-- A command and its answer are one insert. The answer may be forgotten after a while; that it was given never is.
alter table commands add column kind text, add column figures json;
update commands set kind = outcome ->> 'kind', figures = outcome -> 'figures';
alter table commands alter column kind set not null, drop column outcome;
-- Finds the answers to be forgotten. Rows lie in the order of their time.
create index commands_by_time on commands using brin (posted_at);

-- How far the housekeeping has got, so that it never looks at a row twice.
create table housekeeping (
    task        text collate "C" primary key,
    done_until  timestamptz not null default '-infinity'
);

-- Whoever writes a reservation holds the lock of its balance, and the auditor compares the two. Asking PostgreSQL to
-- look the balance up again for each row costs a sixth of a reservation.
alter table reservations drop constraint reservations_sku_location_fkey;
