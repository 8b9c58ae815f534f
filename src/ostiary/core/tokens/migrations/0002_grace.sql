-- sealed_successor: the token that replaced a spent one, readable only with the spent one; null when its grace is over.
alter table refresh_tokens add column sealed_successor bytea;

create index refresh_tokens_sealed on refresh_tokens (spent_at) where sealed_successor is not null;
