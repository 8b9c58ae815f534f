-- A sign-in with several steps, between them. Times are in microseconds since the epoch.
-- epoch: the account's when it began; amr: what was proved, texts separated by spaces; source: of the first step.
create table sign_in_attempts (
    token_hash bytea primary key,
    account_id text not null references accounts (id) on delete cascade,
    epoch bigint not null,
    amr text not null,
    transport text not null,
    device_name text,
    source text not null,
    tries bigint not null,
    expires_at bigint not null
);

create index sign_in_attempts_by_account on sign_in_attempts (account_id);
create index sign_in_attempts_by_expiry on sign_in_attempts (expires_at);
