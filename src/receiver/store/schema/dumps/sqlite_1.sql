-- A fleet of version 1: 4 instances, 5 runs, 10 events.
CREATE TABLE telemetry_alert (
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
CREATE TABLE telemetry_event (
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
INSERT INTO "telemetry_event" VALUES(X'00000000000040008000000000000001',X'FB4864DC38D18D93B200108A54E6F1B4',1795721157732065,'usr','telemetry.custom',1,'begin',X'00000000000040008000000000000101',1,3600,'{"build_arch": "amd64", "build_commit": "c0ffee", "build_mode": "release", "build_os": "linux", "build_time": "2026-11-01T00:00:00Z", "build_version": "1.0.0", "instance_id": "00000000-0000-4000-8000-000000000001", "license_key_hash": null, "license_valid": true, "reason": "begin", "custom_id": "Site-1", "checksum": "7a28b27df3b7bf18"}');
INSERT INTO "telemetry_event" VALUES(X'00000000000040008000000000000001',X'7EE54368CF9E8DAABF127E7AC2B841F5',1795721157734853,'usr','telemetry.custom',1,'update',X'00000000000040008000000000000101',2,3600,'{"build_arch": "amd64", "build_commit": "c0ffee", "build_mode": "release", "build_os": "linux", "build_time": "2026-11-01T00:00:00Z", "build_version": "1.0.0", "instance_id": "00000000-0000-4000-8000-000000000001", "license_key_hash": null, "license_valid": true, "reason": "update", "custom_id": "Site-1", "checksum": "c8aa6ba8d6debea9"}');
INSERT INTO "telemetry_event" VALUES(X'00000000000040008000000000000002',X'A24343412950887BA2DB6AA881268D93',1795721157736135,'usr','telemetry.custom',1,'begin',X'00000000000040008000000000000201',1,3600,'{"build_arch": "amd64", "build_commit": "c0ffee", "build_mode": "release", "build_os": "linux", "build_time": "2026-11-01T00:00:00Z", "build_version": "1.4.2-rc.1", "instance_id": "00000000-0000-4000-8000-000000000002", "license_key_hash": null, "license_valid": true, "reason": "begin", "checksum": "54591c2e93cc2b90"}');
INSERT INTO "telemetry_event" VALUES(X'00000000000040008000000000000002',X'773F6066E0A98F4084481CC4A806AF17',1795721157737672,'usr','telemetry.custom',1,'update',X'00000000000040008000000000000201',2,3600,'{"build_arch": "amd64", "build_commit": "c0ffee", "build_mode": "release", "build_os": "linux", "build_time": "2026-11-01T00:00:00Z", "build_version": "1.4.2-rc.1", "instance_id": "00000000-0000-4000-8000-000000000002", "license_key_hash": null, "license_valid": true, "reason": "update", "checksum": "d83efc1cfe90c6c4"}');
INSERT INTO "telemetry_event" VALUES(X'00000000000040008000000000000002',X'4E185720931A8900961589E71D95E443',1795721157738632,'usr','telemetry.custom',1,'end',X'00000000000040008000000000000201',3,3600,'{"build_arch": "amd64", "build_commit": "c0ffee", "build_mode": "release", "build_os": "linux", "build_time": "2026-11-01T00:00:00Z", "build_version": "1.4.2-rc.1", "instance_id": "00000000-0000-4000-8000-000000000002", "license_key_hash": null, "license_valid": true, "reason": "end", "checksum": "33209f8a044a8caa"}');
INSERT INTO "telemetry_event" VALUES(X'00000000000040008000000000000003',X'68F6B2C77FB28E0FAE02B87EEFC2A3E8',1795721157740318,'usr','telemetry.custom',1,'begin',X'00000000000040008000000000000301',1,3600,'{"build_arch": "amd64", "build_commit": "c0ffee", "build_mode": "release", "build_os": "linux", "build_time": "2026-11-01T00:00:00Z", "build_version": "2.0.0", "instance_id": "00000000-0000-4000-8000-000000000003", "license_key_hash": null, "license_valid": true, "reason": "begin", "checksum": "b1f78c69bf3d8a42"}');
INSERT INTO "telemetry_event" VALUES(X'00000000000040008000000000000003',X'2C85DAE4BF9582FCB6C34A48FA5E59D5',1795721157741692,'usr','telemetry.custom',1,'begin',X'00000000000040008000000000000302',1,3600,'{"build_arch": "amd64", "build_commit": "c0ffee", "build_mode": "release", "build_os": "linux", "build_time": "2026-11-01T00:00:00Z", "build_version": "2.0.0", "instance_id": "00000000-0000-4000-8000-000000000003", "license_key_hash": null, "license_valid": true, "reason": "begin", "checksum": "b1f78c69bf3d8a42"}');
INSERT INTO "telemetry_event" VALUES(X'00000000000040008000000000000003',X'9E5AD47823778AB9B6A09EABABDA4313',1795721157745019,'usr','telemetry.custom',1,'update',X'00000000000040008000000000000301',2,3600,'{"build_arch": "amd64", "build_commit": "c0ffee", "build_mode": "release", "build_os": "linux", "build_time": "2026-11-01T00:00:00Z", "build_version": "2.0.0", "instance_id": "00000000-0000-4000-8000-000000000003", "license_key_hash": null, "license_valid": true, "reason": "update", "checksum": "5d165d5dea1a447c"}');
INSERT INTO "telemetry_event" VALUES(X'00000000000040008000000000000004',X'42AE636387FE84E6895372A7AFE33817',1795721157749043,'usr','telemetry.custom',1,'begin',X'00000000000040008000000000000401',1,3600,'{"build_arch": "amd64", "build_commit": "c0ffee", "build_mode": "release", "build_os": "linux", "build_time": "2026-11-01T00:00:00Z", "build_version": "main", "instance_id": "00000000-0000-4000-8000-000000000004", "license_key_hash": null, "license_valid": false, "reason": "begin", "checksum": "6d1ef44de8a18bf8"}');
INSERT INTO "telemetry_event" VALUES(X'00000000000040008000000000000004',X'A9540CC6A7A9842092437B6050FA93F4',1795721157750575,'usr','telemetry.custom',1,'license-state-change',X'00000000000040008000000000000401',2,3600,'{"build_arch": "amd64", "build_commit": "c0ffee", "build_mode": "release", "build_os": "linux", "build_time": "2026-11-01T00:00:00Z", "build_version": "main", "instance_id": "00000000-0000-4000-8000-000000000004", "license_key_hash": null, "license_valid": true, "reason": "license-state-change", "checksum": "b1bcc87a2a362b43"}');
CREATE TABLE telemetry_instance (
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
INSERT INTO "telemetry_instance" VALUES(X'00000000000040008000000000000001',2,1795721157732065,1795721157734853,X'00000000000040008000000000000101',2,1795721157734853,0,0,0,3600,1795725057734853,1795721157833966,'1.0.0','c0ffee','2026-11-01T00:00:00Z','release','linux','amd64',NULL,1,'Site-1','site-1');
INSERT INTO "telemetry_instance" VALUES(X'00000000000040008000000000000002',3,1795721157736135,1795721157738632,X'00000000000040008000000000000201',3,1795721157738632,0,0,0,3600,253402207200999999,1795721157833966,'1.4.2-rc.1','c0ffee','2026-11-01T00:00:00Z','release','linux','amd64',NULL,1,NULL,NULL);
INSERT INTO "telemetry_instance" VALUES(X'00000000000040008000000000000003',3,1795721157740318,1795721157745019,X'00000000000040008000000000000301',2,1795721157745019,0,1,0,3600,1795725057745019,1795721157833966,'2.0.0','c0ffee','2026-11-01T00:00:00Z','release','linux','amd64',NULL,1,NULL,NULL);
INSERT INTO "telemetry_instance" VALUES(X'00000000000040008000000000000004',2,1795721157749043,1795721157750575,X'00000000000040008000000000000401',2,1795721157750575,0,0,0,3600,1795725057750575,1795721157833966,'main','c0ffee','2026-11-01T00:00:00Z','release','linux','amd64',NULL,1,NULL,NULL);
CREATE TABLE telemetry_key (
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
INSERT INTO "telemetry_key" VALUES(X'A2B6B293A46242E99D6E44C8059A4062','customers',X'B68C9472E38DB94F24FE21319DC314207F4170F1476DB0BAFA1734CB38EE118B',NULL,'[]',NULL,1795721155433580,1795721157750575,NULL);
CREATE TABLE telemetry_mark (
    only_one integer primary key check (only_one = 1),
    at integer not null
) strict;
INSERT INTO "telemetry_mark" VALUES(1,1795721160447296);
CREATE TABLE telemetry_outage (
    began_at integer primary key,
    ended_at integer not null
) strict;
CREATE TABLE telemetry_run (
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
INSERT INTO "telemetry_run" VALUES(X'00000000000040008000000000000001',X'00000000000040008000000000000101',1795721157732065,1795721157734853,1,NULL,NULL,2,3600,2,1,1795721157734853,1795721157734853,1795721157734853,'1.0.0','c0ffee','2026-11-01T00:00:00Z','release','linux','amd64',NULL,1,'Site-1');
INSERT INTO "telemetry_run" VALUES(X'00000000000040008000000000000002',X'00000000000040008000000000000201',1795721157736135,1795721157738632,1,1795721157738632,3,3,3600,3,1,1795721157737672,1795721157737672,1795721157738632,'1.4.2-rc.1','c0ffee','2026-11-01T00:00:00Z','release','linux','amd64',NULL,1,NULL);
INSERT INTO "telemetry_run" VALUES(X'00000000000040008000000000000003',X'00000000000040008000000000000301',1795721157740318,1795721157745019,1,NULL,NULL,2,3600,2,1,1795721157745019,1795721157745019,1795721157745019,'2.0.0','c0ffee','2026-11-01T00:00:00Z','release','linux','amd64',NULL,1,NULL);
INSERT INTO "telemetry_run" VALUES(X'00000000000040008000000000000003',X'00000000000040008000000000000302',1795721157741692,1795721157741692,1,NULL,NULL,1,3600,1,0,NULL,NULL,1795721157741692,'2.0.0','c0ffee','2026-11-01T00:00:00Z','release','linux','amd64',NULL,1,NULL);
INSERT INTO "telemetry_run" VALUES(X'00000000000040008000000000000004',X'00000000000040008000000000000401',1795721157749043,1795721157750575,1,NULL,NULL,2,3600,2,0,NULL,NULL,1795721157750575,'main','c0ffee','2026-11-01T00:00:00Z','release','linux','amd64',NULL,1,NULL);
CREATE TABLE telemetry_transition (
    instance_id blob not null,
    at integer not null,
    change text not null,
    "from" text,
    "to" text not null,
    primary key (instance_id, at, change, "to")
) strict, without rowid;
INSERT INTO "telemetry_transition" VALUES(X'00000000000040008000000000000001',1795721157734853,'state',NULL,'up');
INSERT INTO "telemetry_transition" VALUES(X'00000000000040008000000000000002',1795721157738632,'state',NULL,'ended');
INSERT INTO "telemetry_transition" VALUES(X'00000000000040008000000000000003',1795721157745019,'state',NULL,'up');
INSERT INTO "telemetry_transition" VALUES(X'00000000000040008000000000000004',1795721157750575,'state',NULL,'up');
CREATE INDEX telemetry_event_newest on telemetry_event (ts, instance_id, id);
CREATE INDEX telemetry_event_of_reason on telemetry_event (reason, ts, instance_id, id);
CREATE INDEX telemetry_instance_due on telemetry_instance (check_at);
CREATE INDEX telemetry_instance_worst on telemetry_instance (state_rank, state_since desc, instance_id, license_valid,
    crashed, several_runs, restarting, build_version, first_seen_at, searched);
CREATE INDEX telemetry_instance_groups on telemetry_instance (state_rank, license_valid, crashed, several_runs,
    restarting, build_version, first_seen_at);
CREATE INDEX telemetry_transition_oldest on telemetry_transition (at);
CREATE INDEX telemetry_alert_waiting on telemetry_alert (digest_id, at, id) where delivered_at is null;
CREATE INDEX telemetry_alert_due on telemetry_alert (next_try_at, digest_id)
    where delivered_at is null and digest_id is not null;
CREATE INDEX telemetry_alert_delivered on telemetry_alert (delivered_at) where delivered_at is not null;
CREATE UNIQUE INDEX telemetry_key_name on telemetry_key (name) where revoked_at is null;
PRAGMA user_version = 1;
