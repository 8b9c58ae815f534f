-- Every time is in microseconds since the epoch.
-- A refresh token is stored as its SHA-256, and kept when it is spent, until its session is deleted: only so can a second
-- use be told from an unknown token. generation: 1 for the first of a session.
create table refresh_tokens (
    hash bytea primary key,
    session_id text not null references sessions (id) on delete cascade,
    generation bigint not null,
    issued_at bigint not null,
    spent_at bigint
);

create index refresh_tokens_by_session on refresh_tokens (session_id);

-- public_jwk: JSON; private_jwk: JSON, sealed; state: current or retired
create table signing_keys (
    kid text primary key,
    alg text not null,
    state text not null,
    public_jwk text not null,
    private_jwk bytea not null,
    created_at bigint not null
);

create unique index signing_keys_one_current on signing_keys (state) where state = 'current';
