-- Version 3. States by evidence; keys that own their instances; what is needed to count releases.

-- Whose event it was, and of which product. Nil and empty: from before version 3.
alter table telemetry_event
    add column key_id uuid not null default '00000000-0000-0000-0000-000000000000',
    add column product text not null default '';

-- What a run says is that of its latest event, and of the highest number within an hour only: after a snapshot was
-- restored, the numbers begin again. Losses and forks are evidence of their own.
alter table telemetry_run
    add column key_id uuid not null default '00000000-0000-0000-0000-000000000000',
    add column product text not null default '',
    -- Of the event with the highest number.
    add column last_sequence_at timestamptz,
    add column facts_sequence bigint not null default 0,
    add column frequency_at timestamptz,
    add column lost_at timestamptz,
    add column forked_at timestamptz;
update telemetry_run set
    last_sequence_at = facts_at,
    facts_sequence = last_sequence,
    frequency_at = case when frequency is not null then facts_at end;
alter table telemetry_run
    alter column last_sequence_at set not null,
    drop column frequency_sequence;
-- The run that another instance had before its id was changed.
create index telemetry_run_of_id on telemetry_run (run_id);

alter table telemetry_instance
    add column key_id uuid not null default '00000000-0000-0000-0000-000000000000',
    add column product text not null default '',
    -- The key that reported it first; nil where nobody owns it yet.
    add column owner_id uuid not null default '00000000-0000-0000-0000-000000000000',
    add column release text not null default '',
    -- Orders releases as text, byte by byte.
    add column release_key text collate "C" not null default '',
    add column cloned boolean not null default false,
    add column losses integer not null default 0,
    add column last_loss_at timestamptz,
    add column begins_since timestamptz,
    -- It is down, and nobody was told, because it was muted.
    add column untold boolean not null default false;
create index telemetry_instance_of_owner on telemetry_instance (owner_id, first_seen_at);
create index telemetry_instance_untold on telemetry_instance (instance_id) where untold;
create index telemetry_instance_of_release on telemetry_instance (release_key, instance_id);
-- Every instance is judged again, by the evidence.
update telemetry_instance set check_at = first_seen_at;

alter table telemetry_key
    -- The secret of the URL before the last rotation, and until when it is valid.
    add column old_hash bytea,
    add column old_hash_until timestamptz,
    -- Whether `telemetry-frequency` may be less than an hour, or more than two days.
    add column any_frequency boolean not null default false,
    -- New instances an hour; null: any number.
    add column new_per_hour integer default 1000,
    -- When new instances were last refused for the first time in an hour.
    add column flooded_at timestamptz,
    -- Hours after which its instances that are down or have ended are forgotten; null: as all others.
    add column forget_after integer;

-- Those of whose changes nobody is told: one instance, or all that match the filter, as the API has it.
create table telemetry_mute (
    id uuid primary key,
    instance_id uuid,
    key_id uuid,
    filter text,
    reason text not null,
    until timestamptz not null,
    created_at timestamptz not null
);

-- Active instances of each UTC day, kept for years.
create table telemetry_census (
    day date not null,
    key_id uuid not null,
    product text not null,
    build_version text not null,
    release text not null,
    release_key text collate "C" not null,
    build_time text not null,
    build_os text not null,
    build_arch text not null,
    license_valid boolean not null,
    count integer not null,
    primary key (day, key_id, product, build_version, build_time, build_os, build_arch, license_valid)
);
create index telemetry_census_of_key on telemetry_census (key_id, day);

-- The same summed up over all keys and systems, for charts over years.
create table telemetry_census_version (
    day date not null,
    product text not null,
    build_version text not null,
    release text not null,
    count integer not null,
    primary key (day, product, build_version)
);
-- The first day of a release.
create index telemetry_census_of_release on telemetry_census_version (release, day);

-- Upgrades of each UTC day. The row of the nil key and no product is there for each day of which there is a census.
create table telemetry_census_upgrade (
    day date not null,
    key_id uuid not null,
    product text not null,
    count integer not null,
    primary key (day, key_id, product)
);
-- Upgrades that a census counts.
create index telemetry_transition_of_version on telemetry_transition (at) where change = 'version';
