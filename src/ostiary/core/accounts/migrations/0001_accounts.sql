-- Every time is in microseconds since the epoch.
-- email: as it is shown and mailed to; email_key: as it is looked up.
-- epoch: access tokens with a lower `ver` are refused.
create table accounts (
    id text primary key,
    email text not null,
    email_key text not null unique,
    password_hash text,
    epoch bigint not null,
    disabled_at bigint,
    verified_at bigint,
    created_at bigint not null
);

-- permissions: a JSON array of texts
create table roles (
    name text primary key,
    permissions text not null
);

insert into roles (name, permissions) values ('user', '[]');
insert into roles (name, permissions) values ('moderator', '["users:read"]');
insert into roles (name, permissions) values ('admin', '["audit:read","keys:write","users:read","users:write"]');

create table account_roles (
    account_id text not null references accounts (id) on delete cascade,
    role text not null references roles (name),
    primary key (account_id, role)
);

create index account_roles_by_role on account_roles (role);

-- A registration whose mail link was not used yet. Several may wait for one address: whoever uses a link gets that one.
create table registrations (
    token_hash bytea primary key,
    email text not null,
    email_key text not null,
    password_hash text not null,
    created_at bigint not null,
    expires_at bigint not null
);

create index registrations_by_email on registrations (email_key);
create index registrations_by_expiry on registrations (expires_at);
