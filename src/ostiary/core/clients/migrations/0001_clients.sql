-- secret_hash: SHA-256 of a secret with 256 random bits. created_at: microseconds since the epoch.
create table clients (
    id text primary key,
    name text not null unique,
    secret_hash bytea not null,
    created_at bigint not null
);

-- Together the allow-list of audiences that access tokens are issued for.
create table client_resources (
    client_id text not null references clients (id) on delete cascade,
    resource text not null,
    primary key (client_id, resource)
);

create index client_resources_by_resource on client_resources (resource);
