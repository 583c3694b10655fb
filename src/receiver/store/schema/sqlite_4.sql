-- Version 4. Events that were imported from files.

alter table telemetry_event add column imported integer not null default 0;
-- Of the latest event that was imported: nobody could hear the run after it.
alter table telemetry_run add column imported_until integer;
create index telemetry_run_imported on telemetry_run (imported_until, instance_id) where imported_until is not null;
