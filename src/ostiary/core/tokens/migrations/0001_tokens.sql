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

-- state: next, current, retired or revoked; since: when it was seen committed in that state, null until then.
-- activate_at: a next key does not sign before. sealed_jwk: the private JWK while it may sign, the public one of a retired
-- key, null for a revoked one; always sealed.
create table signing_keys (
    kid text primary key,
    alg text not null,
    state text not null,
    created_at bigint not null,
    since bigint,
    activate_at bigint not null,
    sealed_jwk bytea
);

create unique index signing_keys_one_current on signing_keys (state) where state = 'current';
create unique index signing_keys_one_next on signing_keys (state) where state = 'next';
