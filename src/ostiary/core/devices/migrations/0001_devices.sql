-- Times are in microseconds since the epoch. A device token is stored as its SHA-256.
-- last_seen_at: the newest sign-in from it, made from source by user_agent.
-- disown_hash: of the token in the mail about a new device, which forgets it until disown_until; null once it was used.
create table devices (
    id text primary key,
    account_id text not null references accounts (id) on delete cascade,
    token_hash bytea not null unique,
    name text not null,
    user_agent text not null,
    source text not null,
    first_seen_at bigint not null,
    last_seen_at bigint not null,
    disown_hash bytea unique,
    disown_until bigint
);

create index devices_by_account on devices (account_id, last_seen_at);
create index devices_by_last_seen on devices (last_seen_at);
