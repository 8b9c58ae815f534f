-- at: microseconds since the epoch; detail: a JSON object
create table audit_events (
    id text primary key,
    at bigint not null,
    type text not null,
    outcome text not null,
    account_id text,
    session_id text,
    actor_kind text not null,
    actor_id text not null,
    source text not null,
    user_agent text not null,
    request_id text not null,
    detail text not null
);

create index audit_events_by_account on audit_events (account_id, at);
create index audit_events_by_time on audit_events (at);
