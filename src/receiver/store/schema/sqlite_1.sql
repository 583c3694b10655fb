-- Version 1. Times are microseconds since 1970, ids their 16 bytes.

-- With a rowid, so that events are written one after another and only their ids go where chance has it.
create table telemetry_event (
    instance_id blob not null,
    id blob not null,
    ts integer not null,
    kind text not null default 'usr',
    type text not null default 'telemetry.custom',
    persistent integer not null default 1,
    reason text not null,
    run_id blob not null,
    sequence integer not null,
    frequency integer,
    data text not null,
    -- Instance and id alone are unique. With the rest, the one index by id that each event costs finds the latest of an
    -- instance too.
    primary key (instance_id, id, ts, reason)
) strict;

create index telemetry_event_newest on telemetry_event (ts, instance_id, id);
create index telemetry_event_of_reason on telemetry_event (reason, ts, instance_id, id);

create table telemetry_run (
    instance_id blob not null,
    run_id blob not null,
    first_seen_at integer not null,
    last_seen_at integer not null,
    begun integer not null,
    ended_at integer,
    end_sequence integer,
    last_sequence integer not null,
    frequency integer,
    frequency_sequence integer,
    updates integer not null,
    first_update_at integer,
    last_update_at integer,
    facts_at integer not null,
    build_version text not null,
    build_commit text not null,
    build_time text not null,
    build_mode text not null,
    build_os text not null,
    build_arch text not null,
    license_key_hash text,
    license_valid integer not null,
    custom_id text,
    -- The latest of an instance are found among all of it: an index of them would move with every event.
    primary key (instance_id, run_id)
) strict, without rowid;

create table telemetry_instance (
    instance_id blob primary key not null,
    -- Rises with every event and judgement: a judgement of an earlier revision is not written.
    revision integer not null default 0,
    first_seen_at integer not null,
    last_seen_at integer not null,
    -- The latest run, when it was last judged.
    run_id blob not null,
    state_rank integer not null,
    state_since integer not null,
    crashed integer not null default 0,
    several_runs integer not null default 0,
    restarting integer not null default 0,
    frequency integer not null default 0,
    check_at integer not null,
    judged_at integer,
    build_version text not null,
    build_commit text not null,
    build_time text not null,
    build_mode text not null,
    build_os text not null,
    build_arch text not null,
    license_key_hash text,
    license_valid integer not null,
    custom_id text,
    -- `custom_id` in lower case: SQLite knows the case of ASCII only.
    searched text
) strict, without rowid;

create index telemetry_instance_due on telemetry_instance (check_at);
-- In the order of pages, with all that is filtered by.
create index telemetry_instance_worst on telemetry_instance (state_rank, state_since desc, instance_id, license_valid,
    crashed, several_runs, restarting, build_version, first_seen_at, searched);
-- In the order of the summary.
create index telemetry_instance_groups on telemetry_instance (state_rank, license_valid, crashed, several_runs,
    restarting, build_version, first_seen_at);

create table telemetry_transition (
    instance_id blob not null,
    at integer not null,
    change text not null,
    "from" text,
    "to" text not null,
    primary key (instance_id, at, change, "to")
) strict, without rowid;

create index telemetry_transition_oldest on telemetry_transition (at);

create table telemetry_alert (
    instance_id blob not null,
    id blob not null,
    at integer not null,
    change text not null,
    "from" text,
    "to" text not null,
    custom_id text,
    build_version text not null,
    digest_id blob,
    tries integer not null default 0,
    next_try_at integer,
    delivered_at integer,
    primary key (instance_id, id)
) strict, without rowid;

create index telemetry_alert_waiting on telemetry_alert (digest_id, at, id) where delivered_at is null;
create index telemetry_alert_due on telemetry_alert (next_try_at, digest_id)
    where delivered_at is null and digest_id is not null;
create index telemetry_alert_delivered on telemetry_alert (delivered_at) where delivered_at is not null;

create table telemetry_key (
    id blob primary key not null,
    name text not null,
    hash blob not null,
    token_hash blob,
    -- A JSON list.
    secrets text not null,
    rate integer,
    created_at integer not null,
    last_used_at integer,
    revoked_at integer
) strict, without rowid;

create unique index telemetry_key_name on telemetry_key (name) where revoked_at is null;

create table telemetry_mark (
    only_one integer primary key check (only_one = 1),
    at integer not null
) strict;

create table telemetry_outage (
    began_at integer primary key,
    ended_at integer not null
) strict;
