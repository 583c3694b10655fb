-- Version 2. States by evidence; keys that own their instances; what is needed to count releases.

-- Whose event it was, and of which product. Nil and empty: from before version 2.
alter table telemetry_event add column key_id blob not null default x'00000000000000000000000000000000';
alter table telemetry_event add column product text not null default '';

-- What a run says is that of its latest event, and of the highest number within an hour only: after a snapshot was
-- restored, the numbers begin again. Losses and forks are evidence of their own.
alter table telemetry_run add column key_id blob not null default x'00000000000000000000000000000000';
alter table telemetry_run add column product text not null default '';
-- Of the event with the highest number.
alter table telemetry_run add column last_sequence_at integer not null default 0;
alter table telemetry_run add column facts_sequence integer not null default 0;
alter table telemetry_run add column frequency_at integer;
alter table telemetry_run add column lost_at integer;
alter table telemetry_run add column forked_at integer;
update telemetry_run set
    last_sequence_at = facts_at,
    facts_sequence = last_sequence,
    frequency_at = case when frequency is not null then facts_at end;
alter table telemetry_run drop column frequency_sequence;
-- The run that another instance had before its id was changed.
create index telemetry_run_of_id on telemetry_run (run_id);

alter table telemetry_instance add column key_id blob not null default x'00000000000000000000000000000000';
alter table telemetry_instance add column product text not null default '';
-- The key that reported it first; nil where nobody owns it yet.
alter table telemetry_instance add column owner_id blob not null default x'00000000000000000000000000000000';
alter table telemetry_instance add column release text not null default '';
-- Orders releases as text, byte by byte.
alter table telemetry_instance add column release_key text not null default '';
alter table telemetry_instance add column cloned integer not null default 0;
alter table telemetry_instance add column losses integer not null default 0;
alter table telemetry_instance add column last_loss_at integer;
alter table telemetry_instance add column begins_since integer;
-- It is down, and nobody was told, because it was muted.
alter table telemetry_instance add column untold integer not null default 0;
create index telemetry_instance_of_owner on telemetry_instance (owner_id, first_seen_at);
create index telemetry_instance_untold on telemetry_instance (instance_id) where untold;
-- Every instance is judged again, by the evidence.
update telemetry_instance set check_at = first_seen_at;

-- With what is filtered and counted by now.
drop index telemetry_instance_worst;
create index telemetry_instance_worst on telemetry_instance (state_rank, state_since desc, instance_id, license_valid,
    crashed, several_runs, cloned, restarting, build_version, release, release_key, key_id, product,
    first_seen_at, searched);
drop index telemetry_instance_groups;
create index telemetry_instance_groups on telemetry_instance (state_rank, license_valid, crashed, several_runs, cloned,
    restarting, build_version, first_seen_at);

-- The secret of the URL before the last rotation, and until when it is valid.
alter table telemetry_key add column old_hash blob;
alter table telemetry_key add column old_hash_until integer;
-- Whether `telemetry-frequency` may be less than an hour, or more than two days.
alter table telemetry_key add column any_frequency integer not null default 0;
-- New instances an hour; null: any number.
alter table telemetry_key add column new_per_hour integer default 1000;
-- When new instances were last refused for the first time in an hour.
alter table telemetry_key add column flooded_at integer;
-- Hours after which its instances that are down or have ended are forgotten; null: as all others.
alter table telemetry_key add column forget_after integer;

-- Those of whose changes nobody is told: one instance, or all that match the filter, as the API has it.
create table telemetry_mute (
    id blob primary key not null,
    instance_id blob,
    key_id blob,
    filter text,
    reason text not null,
    until integer not null,
    created_at integer not null
) strict, without rowid;

-- Active instances of each UTC day (days since 1970), kept for years.
create table telemetry_census (
    day integer not null,
    key_id blob not null,
    product text not null,
    build_version text not null,
    release text not null,
    release_key text not null,
    build_time text not null,
    build_os text not null,
    build_arch text not null,
    license_valid integer not null,
    count integer not null,
    primary key (day, key_id, product, build_version, build_time, build_os, build_arch, license_valid)
) strict, without rowid;
create index telemetry_census_of_key on telemetry_census (key_id, day);

-- The same summed up over all keys and systems, for charts over years.
create table telemetry_census_version (
    day integer not null,
    product text not null,
    build_version text not null,
    release text not null,
    count integer not null,
    primary key (day, product, build_version)
) strict, without rowid;
-- The first day of a release.
create index telemetry_census_of_release on telemetry_census_version (release, day);

-- Upgrades of each UTC day. The row of the nil key and no product is there for each day of which there is a census.
create table telemetry_census_upgrade (
    day integer not null,
    key_id blob not null,
    product text not null,
    count integer not null,
    primary key (day, key_id, product)
) strict, without rowid;
