-- profile: the application's own fields, a JSON object.
create table account_profiles (
    account_id text primary key references accounts (id) on delete cascade,
    profile text not null
);

alter table registrations add column profile text;

-- version: counts the changes of roles, state and profile, so that two changes at once can be told apart.
alter table accounts add column version bigint not null default 1;
