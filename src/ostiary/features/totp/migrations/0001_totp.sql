-- Times are in microseconds since the epoch.
-- sealed_secret: bound to its row by the account's id. confirmed_at: null while the enrolment is under way, which it is
-- until expires_at. last_step: the time step (30 seconds) of the last accepted code; only later ones are accepted.
create table totp_secrets (
    account_id text primary key references accounts (id) on delete cascade,
    sealed_secret bytea not null,
    confirmed_at bigint,
    expires_at bigint not null,
    last_step bigint not null
);

create index totp_secrets_unconfirmed on totp_secrets (expires_at) where confirmed_at is null;

-- They go with the secret that they stand in for. A code that was used is deleted.
create table totp_recovery_codes (
    account_id text not null references totp_secrets (account_id) on delete cascade,
    code_hash bytea not null,
    primary key (account_id, code_hash)
);
