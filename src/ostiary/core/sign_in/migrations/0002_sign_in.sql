-- device_hash: of the device token that was shown; resource: the audience that was asked for.
alter table sign_in_attempts add column device_hash bytea;
alter table sign_in_attempts add column resource text;
