-- Files that were brought in: what a file said was posted under keys that follow from its contents, so the same file
-- again changes nothing. A row is written when a file begins to be applied; one that was refused leaves none.

create table imports (
    -- Follows from the bytes of the file and from what was said about it.
    import_id      text collate "C" primary key,
    kind           text not null,
    -- Who sends such files, such as erp; empty: a person.
    source         text collate "C" not null default '',
    file_name      text not null,
    row_count      int not null check (row_count >= 0),
    applied_count  int not null default 0 check (applied_count >= 0),
    problem_count  int not null default 0 check (problem_count >= 0),
    -- The first of them: line, column, value and reason.
    problems       jsonb not null default '[]',
    began_at       timestamptz not null default db_now(),
    -- Null while it is under way, or whoever did it has died.
    ended_at       timestamptz
);
-- How many rows the file before had.
create index imports_by_source on imports (source, kind, began_at) where source <> '';
