-- Version 3. What the pages count and list.

-- 0: valid, 1: invalid, 2: no license key.
alter table telemetry_instance add column license integer not null default 2;
update telemetry_instance set license = case when license_valid then 0 when license_key_hash is not null then 1 else 2 end;

-- With what is filtered and counted by now.
drop index telemetry_instance_worst;
create index telemetry_instance_worst on telemetry_instance (state_rank, state_since desc, instance_id, license, crashed,
    several_runs, cloned, restarting, build_version, build_os, build_arch, release, release_key, key_id, product,
    first_seen_at, searched);
drop index telemetry_instance_groups;
create index telemetry_instance_groups on telemetry_instance (state_rank, license, crashed, several_runs, cloned, restarting,
    build_version, first_seen_at);

-- The servers of one license key.
create index telemetry_instance_of_license on telemetry_instance (license_key_hash, state_rank)
    where license_key_hash is not null;

-- The licenses that were lost.
create index telemetry_transition_of_license on telemetry_transition (at) where change = 'license';

-- Why an alert was not delivered, the last time.
alter table telemetry_alert add column failed_at integer;
alter table telemetry_alert add column failure text;

-- Those without any license key were among the invalid ones.
update telemetry_mute set filter = replace(filter, 'license=invalid', 'license=invalid%2Cnone')
    where filter like '%license=invalid%';
