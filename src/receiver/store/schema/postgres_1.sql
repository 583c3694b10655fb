-- Version 1. Every primary key begins with what a sharded PostgreSQL distributes by, the instance; the others are small
-- tables that are the same on every shard.

create table telemetry_event (
    instance_id uuid not null,
    id uuid not null,
    -- The partition: the same for the same event, so that the primary key tells a repetition.
    day date not null,
    ts timestamptz not null,
    kind text not null default 'usr',
    type text not null default 'telemetry.custom',
    persistent boolean not null default true,
    reason text not null,
    run_id uuid not null,
    sequence bigint not null,
    frequency integer,
    -- Not jsonb, which would change the bytes that the checksum and the signature are over.
    data json not null,
    primary key (instance_id, id, day)
) partition by range (day);

create index telemetry_event_newest on telemetry_event (ts);

-- Room for updates within a page, which then touch no index.
create table telemetry_run (
    instance_id uuid not null,
    run_id uuid not null,
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    begun boolean not null,
    ended_at timestamptz,
    end_sequence bigint,
    last_sequence bigint not null,
    frequency integer,
    frequency_sequence bigint,
    updates integer not null,
    first_update_at timestamptz,
    last_update_at timestamptz,
    facts_at timestamptz not null,
    -- Judged as the latest run of an instance that is up: one more update of it that says the same is no news.
    is_steady boolean not null default false,
    -- Of what follows: an event with the same says the same.
    fingerprint bigint not null,
    build_version text not null,
    build_commit text not null,
    build_time text not null,
    build_mode text not null,
    build_os text not null,
    build_arch text not null,
    license_key_hash text,
    license_valid boolean not null,
    custom_id text,
    primary key (instance_id, run_id)
) with (fillfactor = 50);

create table telemetry_instance (
    instance_id uuid primary key,
    first_seen_at timestamptz not null,
    -- As it was last judged; the run has it to the moment.
    last_seen_at timestamptz not null,
    -- The last events said more than that the instance is still there.
    has_news boolean not null,
    -- The latest run, when it was last judged.
    run_id uuid not null,
    state_rank smallint not null,
    state_since timestamptz not null,
    crashed boolean not null default false,
    several_runs boolean not null default false,
    restarting boolean not null default false,
    frequency integer not null default 0,
    check_at timestamptz not null,
    judged_at timestamptz,
    build_version text not null,
    build_commit text not null,
    build_time text not null,
    build_mode text not null,
    build_os text not null,
    build_arch text not null,
    license_key_hash text,
    license_valid boolean not null,
    custom_id text
) with (fillfactor = 85);

create index telemetry_instance_due on telemetry_instance (check_at);
create index telemetry_instance_worst on telemetry_instance (state_rank, state_since desc, instance_id);

create table telemetry_transition (
    instance_id uuid not null,
    at timestamptz not null,
    change text not null,
    "from" text,
    "to" text not null,
    primary key (instance_id, at, change, "to")
);

create table telemetry_alert (
    instance_id uuid not null,
    id uuid not null,
    at timestamptz not null,
    change text not null,
    "from" text,
    "to" text not null,
    custom_id text,
    build_version text not null,
    digest_id uuid,
    tries integer not null default 0,
    next_try_at timestamptz,
    delivered_at timestamptz,
    primary key (instance_id, id)
);

create index telemetry_alert_waiting on telemetry_alert (digest_id, next_try_at) where delivered_at is null;

create table telemetry_key (
    id uuid primary key,
    name text not null,
    hash bytea not null,
    token_hash bytea,
    secrets text[] not null,
    rate integer,
    created_at timestamptz not null,
    last_used_at timestamptz,
    revoked_at timestamptz
);

create unique index telemetry_key_name on telemetry_key (name) where revoked_at is null;

create table telemetry_mark (
    single boolean primary key default true check (single),
    at timestamptz not null
);

create table telemetry_outage (
    began_at timestamptz primary key,
    ended_at timestamptz not null
);
