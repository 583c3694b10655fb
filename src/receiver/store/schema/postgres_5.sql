-- Version 5. Events that were imported from files.

alter table telemetry_event add column imported boolean not null default false;
-- Of the latest event that was imported: nobody could hear the run after it.
alter table telemetry_run add column imported_until timestamptz;
create index telemetry_run_imported on telemetry_run (imported_until, instance_id) where imported_until is not null;
