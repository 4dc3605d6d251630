-- What events are signed with is sealed as what channels let us in with.
alter table endpoint_secrets
    -- Counts the secrets of an endpoint; the highest is the newest.
    add column number int,
    add column sealed jsonb not null default '{}' check (jsonb_typeof(sealed) = 'object');
update endpoint_secrets s set number = n.number, sealed = jsonb_build_object('signing', s.secret)
from (
    select endpoint, secret, row_number() over (partition by endpoint order by created_at, secret) as number
    from endpoint_secrets
) n
where n.endpoint = s.endpoint and n.secret = s.secret;
alter table endpoint_secrets
    drop column secret,
    add primary key (endpoint, number),
    -- Whose it is, as `secret_keys` names it: a value that is moved to another endpoint does not open.
    add column owner text collate "C" not null generated always as (endpoint || ' ' || number) stored unique;
