-- A file that nobody goes on with is told from one that is under way, and equal refusals are counted.

-- When whoever brings it in was last heard of. Of one that was under way before this, now.
alter table imports add column heard_at timestamptz not null default db_now();
-- Why rows of it are refused: column, reason, how many rows, and the first of them.
alter table imports add column reasons jsonb not null default '[]';
