-- auth_time: seconds since the epoch, as in tokens; every other time: microseconds.
-- expires_at: the absolute end; ended_at: ended before that, for end_reason. amr: texts separated by spaces.
create table sessions (
    id text primary key,
    account_id text not null references accounts (id) on delete cascade,
    client_id text not null,
    created_at bigint not null,
    last_seen_at bigint not null,
    expires_at bigint not null,
    ended_at bigint,
    end_reason text,
    auth_time bigint not null,
    acr text not null,
    amr text not null,
    device_name text,
    user_agent text not null,
    source text not null
);

create index sessions_by_account on sessions (account_id);
create index sessions_by_expiry on sessions (expires_at);
