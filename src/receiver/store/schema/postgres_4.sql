-- Version 4. What the pages count and list.

-- The latest changes of the fleet, and of these the licenses that were lost.
create index telemetry_transition_latest on telemetry_transition (at);
create index telemetry_transition_of_license on telemetry_transition (at) where change = 'license';

-- The servers of one license key.
create index telemetry_instance_of_license on telemetry_instance (license_key_hash, state_rank)
    where license_key_hash is not null;

-- Why an alert was not delivered, the last time.
alter table telemetry_alert add column failed_at timestamptz, add column failure text;
create index telemetry_alert_delivered on telemetry_alert (delivered_at) where delivered_at is not null;

-- Those without any license key were among the invalid ones.
update telemetry_mute set filter = replace(filter, 'license=invalid', 'license=invalid%2Cnone')
    where filter like '%license=invalid%';
