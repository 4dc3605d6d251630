-- That a channel is away is told once it has lasted, and is over once it has held. Guards wait for neither.
alter table schedules
    add column begun_at timestamptz not null default db_now(),
    -- Since when it is done in time again, after it was late, until that has held.
    add column back_at timestamptz;
alter table channels
    -- Of the failed calls in a row, the first.
    add column failing_since timestamptz;
update channels set failing_since = db_now() where fail_streak > 0;
