-- Credentials of a channel that end on a known day: a list of `what`, `ends_on` and `way_out`, as its settings tell.
alter table channels add column access_ends jsonb not null default '[]';
