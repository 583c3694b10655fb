-- A fleet of version 2 as pg_dump wrote it: 4 instances, 5 runs, 10 events.
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.telemetry_alert (
    instance_id uuid NOT NULL,
    id uuid NOT NULL,
    at timestamp with time zone NOT NULL,
    change text NOT NULL,
    "from" text,
    "to" text NOT NULL,
    custom_id text,
    build_version text NOT NULL,
    digest_id uuid,
    tries integer DEFAULT 0 NOT NULL,
    next_try_at timestamp with time zone,
    delivered_at timestamp with time zone
);
CREATE TABLE public.telemetry_event (
    instance_id uuid NOT NULL,
    id uuid NOT NULL,
    day date NOT NULL,
    ts timestamp with time zone NOT NULL,
    kind text DEFAULT 'usr'::text NOT NULL,
    type text DEFAULT 'telemetry.custom'::text NOT NULL,
    persistent boolean DEFAULT true NOT NULL,
    reason text NOT NULL,
    run_id uuid NOT NULL,
    sequence bigint NOT NULL,
    frequency integer,
    data json NOT NULL
)
PARTITION BY RANGE (day);
CREATE TABLE public.telemetry_event_2026_11_25 (
    instance_id uuid NOT NULL,
    id uuid NOT NULL,
    day date NOT NULL,
    ts timestamp with time zone NOT NULL,
    kind text DEFAULT 'usr'::text NOT NULL,
    type text DEFAULT 'telemetry.custom'::text NOT NULL,
    persistent boolean DEFAULT true NOT NULL,
    reason text NOT NULL,
    run_id uuid NOT NULL,
    sequence bigint NOT NULL,
    frequency integer,
    data json NOT NULL
);
CREATE TABLE public.telemetry_event_2026_11_26 (
    instance_id uuid NOT NULL,
    id uuid NOT NULL,
    day date NOT NULL,
    ts timestamp with time zone NOT NULL,
    kind text DEFAULT 'usr'::text NOT NULL,
    type text DEFAULT 'telemetry.custom'::text NOT NULL,
    persistent boolean DEFAULT true NOT NULL,
    reason text NOT NULL,
    run_id uuid NOT NULL,
    sequence bigint NOT NULL,
    frequency integer,
    data json NOT NULL
);
CREATE TABLE public.telemetry_event_2026_11_27 (
    instance_id uuid NOT NULL,
    id uuid NOT NULL,
    day date NOT NULL,
    ts timestamp with time zone NOT NULL,
    kind text DEFAULT 'usr'::text NOT NULL,
    type text DEFAULT 'telemetry.custom'::text NOT NULL,
    persistent boolean DEFAULT true NOT NULL,
    reason text NOT NULL,
    run_id uuid NOT NULL,
    sequence bigint NOT NULL,
    frequency integer,
    data json NOT NULL
);
CREATE TABLE public.telemetry_event_2026_11_28 (
    instance_id uuid NOT NULL,
    id uuid NOT NULL,
    day date NOT NULL,
    ts timestamp with time zone NOT NULL,
    kind text DEFAULT 'usr'::text NOT NULL,
    type text DEFAULT 'telemetry.custom'::text NOT NULL,
    persistent boolean DEFAULT true NOT NULL,
    reason text NOT NULL,
    run_id uuid NOT NULL,
    sequence bigint NOT NULL,
    frequency integer,
    data json NOT NULL
);
CREATE TABLE public.telemetry_event_2026_11_29 (
    instance_id uuid NOT NULL,
    id uuid NOT NULL,
    day date NOT NULL,
    ts timestamp with time zone NOT NULL,
    kind text DEFAULT 'usr'::text NOT NULL,
    type text DEFAULT 'telemetry.custom'::text NOT NULL,
    persistent boolean DEFAULT true NOT NULL,
    reason text NOT NULL,
    run_id uuid NOT NULL,
    sequence bigint NOT NULL,
    frequency integer,
    data json NOT NULL
);
CREATE TABLE public.telemetry_event_2026_11_30 (
    instance_id uuid NOT NULL,
    id uuid NOT NULL,
    day date NOT NULL,
    ts timestamp with time zone NOT NULL,
    kind text DEFAULT 'usr'::text NOT NULL,
    type text DEFAULT 'telemetry.custom'::text NOT NULL,
    persistent boolean DEFAULT true NOT NULL,
    reason text NOT NULL,
    run_id uuid NOT NULL,
    sequence bigint NOT NULL,
    frequency integer,
    data json NOT NULL
);
CREATE TABLE public.telemetry_event_2026_12_01 (
    instance_id uuid NOT NULL,
    id uuid NOT NULL,
    day date NOT NULL,
    ts timestamp with time zone NOT NULL,
    kind text DEFAULT 'usr'::text NOT NULL,
    type text DEFAULT 'telemetry.custom'::text NOT NULL,
    persistent boolean DEFAULT true NOT NULL,
    reason text NOT NULL,
    run_id uuid NOT NULL,
    sequence bigint NOT NULL,
    frequency integer,
    data json NOT NULL
);
CREATE TABLE public.telemetry_event_2026_12_02 (
    instance_id uuid NOT NULL,
    id uuid NOT NULL,
    day date NOT NULL,
    ts timestamp with time zone NOT NULL,
    kind text DEFAULT 'usr'::text NOT NULL,
    type text DEFAULT 'telemetry.custom'::text NOT NULL,
    persistent boolean DEFAULT true NOT NULL,
    reason text NOT NULL,
    run_id uuid NOT NULL,
    sequence bigint NOT NULL,
    frequency integer,
    data json NOT NULL
);
CREATE TABLE public.telemetry_event_2026_12_03 (
    instance_id uuid NOT NULL,
    id uuid NOT NULL,
    day date NOT NULL,
    ts timestamp with time zone NOT NULL,
    kind text DEFAULT 'usr'::text NOT NULL,
    type text DEFAULT 'telemetry.custom'::text NOT NULL,
    persistent boolean DEFAULT true NOT NULL,
    reason text NOT NULL,
    run_id uuid NOT NULL,
    sequence bigint NOT NULL,
    frequency integer,
    data json NOT NULL
);
CREATE TABLE public.telemetry_instance (
    instance_id uuid NOT NULL,
    first_seen_at timestamp with time zone NOT NULL,
    last_seen_at timestamp with time zone NOT NULL,
    run_id uuid NOT NULL,
    state_rank smallint NOT NULL,
    state_since timestamp with time zone NOT NULL,
    crashed boolean DEFAULT false NOT NULL,
    several_runs boolean DEFAULT false NOT NULL,
    restarting boolean DEFAULT false NOT NULL,
    frequency integer DEFAULT 0 NOT NULL,
    check_at timestamp with time zone NOT NULL,
    judged_at timestamp with time zone,
    build_version text NOT NULL,
    build_commit text NOT NULL,
    build_time text NOT NULL,
    build_mode text NOT NULL,
    build_os text NOT NULL,
    build_arch text NOT NULL,
    license_key_hash text,
    license_valid boolean NOT NULL,
    custom_id text,
    searched text
)
WITH (fillfactor='85');
CREATE TABLE public.telemetry_key (
    id uuid NOT NULL,
    name text NOT NULL,
    hash bytea NOT NULL,
    token_hash bytea,
    secrets text[] NOT NULL,
    rate integer,
    created_at timestamp with time zone NOT NULL,
    last_used_at timestamp with time zone,
    revoked_at timestamp with time zone
);
CREATE TABLE public.telemetry_mark (
    single boolean DEFAULT true NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT telemetry_mark_single_check CHECK (single)
);
CREATE TABLE public.telemetry_outage (
    began_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone NOT NULL
);
CREATE TABLE public.telemetry_run (
    instance_id uuid NOT NULL,
    run_id uuid NOT NULL,
    first_seen_at timestamp with time zone NOT NULL,
    last_seen_at timestamp with time zone NOT NULL,
    begun boolean NOT NULL,
    ended_at timestamp with time zone,
    end_sequence bigint,
    last_sequence bigint NOT NULL,
    frequency integer,
    frequency_sequence bigint,
    updates integer NOT NULL,
    first_update_at timestamp with time zone,
    last_update_at timestamp with time zone,
    facts_at timestamp with time zone NOT NULL,
    is_steady boolean DEFAULT false NOT NULL,
    fingerprint bigint NOT NULL,
    build_version text NOT NULL,
    build_commit text NOT NULL,
    build_time text NOT NULL,
    build_mode text NOT NULL,
    build_os text NOT NULL,
    build_arch text NOT NULL,
    license_key_hash text,
    license_valid boolean NOT NULL,
    custom_id text
)
WITH (fillfactor='50');
CREATE TABLE public.telemetry_schema (
    version integer NOT NULL
);
CREATE TABLE public.telemetry_transition (
    instance_id uuid NOT NULL,
    at timestamp with time zone NOT NULL,
    change text NOT NULL,
    "from" text,
    "to" text NOT NULL
);
ALTER TABLE ONLY public.telemetry_event ATTACH PARTITION public.telemetry_event_2026_11_25 FOR VALUES FROM ('2026-11-25') TO ('2026-11-26');
ALTER TABLE ONLY public.telemetry_event ATTACH PARTITION public.telemetry_event_2026_11_26 FOR VALUES FROM ('2026-11-26') TO ('2026-11-27');
ALTER TABLE ONLY public.telemetry_event ATTACH PARTITION public.telemetry_event_2026_11_27 FOR VALUES FROM ('2026-11-27') TO ('2026-11-28');
ALTER TABLE ONLY public.telemetry_event ATTACH PARTITION public.telemetry_event_2026_11_28 FOR VALUES FROM ('2026-11-28') TO ('2026-11-29');
ALTER TABLE ONLY public.telemetry_event ATTACH PARTITION public.telemetry_event_2026_11_29 FOR VALUES FROM ('2026-11-29') TO ('2026-11-30');
ALTER TABLE ONLY public.telemetry_event ATTACH PARTITION public.telemetry_event_2026_11_30 FOR VALUES FROM ('2026-11-30') TO ('2026-12-01');
ALTER TABLE ONLY public.telemetry_event ATTACH PARTITION public.telemetry_event_2026_12_01 FOR VALUES FROM ('2026-12-01') TO ('2026-12-02');
ALTER TABLE ONLY public.telemetry_event ATTACH PARTITION public.telemetry_event_2026_12_02 FOR VALUES FROM ('2026-12-02') TO ('2026-12-03');
ALTER TABLE ONLY public.telemetry_event ATTACH PARTITION public.telemetry_event_2026_12_03 FOR VALUES FROM ('2026-12-03') TO ('2026-12-04');
INSERT INTO public.telemetry_event_2026_11_26 VALUES ('00000000-0000-4000-8000-000000000001', 'fb4864dc-38d1-8d93-b200-108a54e6f1b4', '2026-11-26', '2026-11-26 19:26:16.297921+00', 'usr', 'telemetry.custom', true, 'begin', '00000000-0000-4000-8000-000000000101', 1, 3600, '{"build_arch": "amd64", "build_commit": "c0ffee", "build_mode": "release", "build_os": "linux", "build_time": "2026-11-01T00:00:00Z", "build_version": "1.0.0", "instance_id": "00000000-0000-4000-8000-000000000001", "license_key_hash": null, "license_valid": true, "reason": "begin", "custom_id": "Site-1", "checksum": "7a28b27df3b7bf18"}');
INSERT INTO public.telemetry_event_2026_11_26 VALUES ('00000000-0000-4000-8000-000000000001', '7ee54368-cf9e-8daa-bf12-7e7ac2b841f5', '2026-11-26', '2026-11-26 19:26:16.317258+00', 'usr', 'telemetry.custom', true, 'update', '00000000-0000-4000-8000-000000000101', 2, 3600, '{"build_arch": "amd64", "build_commit": "c0ffee", "build_mode": "release", "build_os": "linux", "build_time": "2026-11-01T00:00:00Z", "build_version": "1.0.0", "instance_id": "00000000-0000-4000-8000-000000000001", "license_key_hash": null, "license_valid": true, "reason": "update", "custom_id": "Site-1", "checksum": "c8aa6ba8d6debea9"}');
INSERT INTO public.telemetry_event_2026_11_26 VALUES ('00000000-0000-4000-8000-000000000002', 'a2434341-2950-887b-a2db-6aa881268d93', '2026-11-26', '2026-11-26 19:26:16.321781+00', 'usr', 'telemetry.custom', true, 'begin', '00000000-0000-4000-8000-000000000201', 1, 3600, '{"build_arch": "amd64", "build_commit": "c0ffee", "build_mode": "release", "build_os": "linux", "build_time": "2026-11-01T00:00:00Z", "build_version": "1.4.2-rc.1", "instance_id": "00000000-0000-4000-8000-000000000002", "license_key_hash": null, "license_valid": true, "reason": "begin", "checksum": "54591c2e93cc2b90"}');
INSERT INTO public.telemetry_event_2026_11_26 VALUES ('00000000-0000-4000-8000-000000000002', '773f6066-e0a9-8f40-8448-1cc4a806af17', '2026-11-26', '2026-11-26 19:26:16.322949+00', 'usr', 'telemetry.custom', true, 'update', '00000000-0000-4000-8000-000000000201', 2, 3600, '{"build_arch": "amd64", "build_commit": "c0ffee", "build_mode": "release", "build_os": "linux", "build_time": "2026-11-01T00:00:00Z", "build_version": "1.4.2-rc.1", "instance_id": "00000000-0000-4000-8000-000000000002", "license_key_hash": null, "license_valid": true, "reason": "update", "checksum": "d83efc1cfe90c6c4"}');
INSERT INTO public.telemetry_event_2026_11_26 VALUES ('00000000-0000-4000-8000-000000000002', '4e185720-931a-8900-9615-89e71d95e443', '2026-11-26', '2026-11-26 19:26:16.32662+00', 'usr', 'telemetry.custom', true, 'end', '00000000-0000-4000-8000-000000000201', 3, 3600, '{"build_arch": "amd64", "build_commit": "c0ffee", "build_mode": "release", "build_os": "linux", "build_time": "2026-11-01T00:00:00Z", "build_version": "1.4.2-rc.1", "instance_id": "00000000-0000-4000-8000-000000000002", "license_key_hash": null, "license_valid": true, "reason": "end", "checksum": "33209f8a044a8caa"}');
INSERT INTO public.telemetry_event_2026_11_26 VALUES ('00000000-0000-4000-8000-000000000003', '68f6b2c7-7fb2-8e0f-ae02-b87eefc2a3e8', '2026-11-26', '2026-11-26 19:26:16.327954+00', 'usr', 'telemetry.custom', true, 'begin', '00000000-0000-4000-8000-000000000301', 1, 3600, '{"build_arch": "amd64", "build_commit": "c0ffee", "build_mode": "release", "build_os": "linux", "build_time": "2026-11-01T00:00:00Z", "build_version": "2.0.0", "instance_id": "00000000-0000-4000-8000-000000000003", "license_key_hash": null, "license_valid": true, "reason": "begin", "checksum": "b1f78c69bf3d8a42"}');
INSERT INTO public.telemetry_event_2026_11_26 VALUES ('00000000-0000-4000-8000-000000000003', '2c85dae4-bf95-82fc-b6c3-4a48fa5e59d5', '2026-11-26', '2026-11-26 19:26:16.329507+00', 'usr', 'telemetry.custom', true, 'begin', '00000000-0000-4000-8000-000000000302', 1, 3600, '{"build_arch": "amd64", "build_commit": "c0ffee", "build_mode": "release", "build_os": "linux", "build_time": "2026-11-01T00:00:00Z", "build_version": "2.0.0", "instance_id": "00000000-0000-4000-8000-000000000003", "license_key_hash": null, "license_valid": true, "reason": "begin", "checksum": "b1f78c69bf3d8a42"}');
INSERT INTO public.telemetry_event_2026_11_26 VALUES ('00000000-0000-4000-8000-000000000003', '9e5ad478-2377-8ab9-b6a0-9eababda4313', '2026-11-26', '2026-11-26 19:26:16.330892+00', 'usr', 'telemetry.custom', true, 'update', '00000000-0000-4000-8000-000000000301', 2, 3600, '{"build_arch": "amd64", "build_commit": "c0ffee", "build_mode": "release", "build_os": "linux", "build_time": "2026-11-01T00:00:00Z", "build_version": "2.0.0", "instance_id": "00000000-0000-4000-8000-000000000003", "license_key_hash": null, "license_valid": true, "reason": "update", "checksum": "5d165d5dea1a447c"}');
INSERT INTO public.telemetry_event_2026_11_26 VALUES ('00000000-0000-4000-8000-000000000004', '42ae6363-87fe-84e6-8953-72a7afe33817', '2026-11-26', '2026-11-26 19:26:16.332576+00', 'usr', 'telemetry.custom', true, 'begin', '00000000-0000-4000-8000-000000000401', 1, 3600, '{"build_arch": "amd64", "build_commit": "c0ffee", "build_mode": "release", "build_os": "linux", "build_time": "2026-11-01T00:00:00Z", "build_version": "main", "instance_id": "00000000-0000-4000-8000-000000000004", "license_key_hash": null, "license_valid": false, "reason": "begin", "checksum": "6d1ef44de8a18bf8"}');
INSERT INTO public.telemetry_event_2026_11_26 VALUES ('00000000-0000-4000-8000-000000000004', 'a9540cc6-a7a9-8420-9243-7b6050fa93f4', '2026-11-26', '2026-11-26 19:26:16.334584+00', 'usr', 'telemetry.custom', true, 'license-state-change', '00000000-0000-4000-8000-000000000401', 2, 3600, '{"build_arch": "amd64", "build_commit": "c0ffee", "build_mode": "release", "build_os": "linux", "build_time": "2026-11-01T00:00:00Z", "build_version": "main", "instance_id": "00000000-0000-4000-8000-000000000004", "license_key_hash": null, "license_valid": true, "reason": "license-state-change", "checksum": "b1bcc87a2a362b43"}');
INSERT INTO public.telemetry_instance VALUES ('00000000-0000-4000-8000-000000000001', '2026-11-26 19:26:16.297921+00', '2026-11-26 19:26:16.317258+00', '00000000-0000-4000-8000-000000000101', 2, '2026-11-26 19:26:16.317258+00', false, false, false, 3600, '2026-11-26 20:31:16.317258+00', '2026-11-26 19:26:16.417482+00', '1.0.0', 'c0ffee', '2026-11-01T00:00:00Z', 'release', 'linux', 'amd64', NULL, true, 'Site-1', 'site-1');
INSERT INTO public.telemetry_instance VALUES ('00000000-0000-4000-8000-000000000002', '2026-11-26 19:26:16.321781+00', '2026-11-26 19:26:16.32662+00', '00000000-0000-4000-8000-000000000201', 3, '2026-11-26 19:26:16.32662+00', false, false, false, 3600, '9999-12-30 22:00:00.999999+00', '2026-11-26 19:26:16.417482+00', '1.4.2-rc.1', 'c0ffee', '2026-11-01T00:00:00Z', 'release', 'linux', 'amd64', NULL, true, NULL, NULL);
INSERT INTO public.telemetry_instance VALUES ('00000000-0000-4000-8000-000000000003', '2026-11-26 19:26:16.327954+00', '2026-11-26 19:26:16.330892+00', '00000000-0000-4000-8000-000000000301', 2, '2026-11-26 19:26:16.330892+00', false, true, false, 3600, '2026-11-26 20:31:16.330892+00', '2026-11-26 19:26:16.417482+00', '2.0.0', 'c0ffee', '2026-11-01T00:00:00Z', 'release', 'linux', 'amd64', NULL, true, NULL, NULL);
INSERT INTO public.telemetry_instance VALUES ('00000000-0000-4000-8000-000000000004', '2026-11-26 19:26:16.332576+00', '2026-11-26 19:26:16.334584+00', '00000000-0000-4000-8000-000000000401', 2, '2026-11-26 19:26:16.334584+00', false, false, false, 3600, '2026-11-26 20:31:16.334584+00', '2026-11-26 19:26:16.417482+00', 'main', 'c0ffee', '2026-11-01T00:00:00Z', 'release', 'linux', 'amd64', NULL, true, NULL, NULL);
INSERT INTO public.telemetry_key VALUES ('d1a72ed0-e867-4fde-b7c4-464ccfc7c196', 'customers', '\x20a93efef565695bec11c6a19f3a47d9e412f7af3339c1cf2139936ada5de87a', NULL, '{}', NULL, '2026-11-26 19:26:12.991999+00', '2026-11-26 19:26:16.334584+00', NULL);
INSERT INTO public.telemetry_mark VALUES (true, '2026-11-26 19:26:18.291577+00');
INSERT INTO public.telemetry_run VALUES ('00000000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-000000000201', '2026-11-26 19:26:16.321781+00', '2026-11-26 19:26:16.32662+00', true, '2026-11-26 19:26:16.32662+00', 3, 3, 3600, 3, 1, '2026-11-26 19:26:16.322949+00', '2026-11-26 19:26:16.322949+00', '2026-11-26 19:26:16.32662+00', false, 2613869323303487964, '1.4.2-rc.1', 'c0ffee', '2026-11-01T00:00:00Z', 'release', 'linux', 'amd64', NULL, true, NULL);
INSERT INTO public.telemetry_run VALUES ('00000000-0000-4000-8000-000000000003', '00000000-0000-4000-8000-000000000302', '2026-11-26 19:26:16.329507+00', '2026-11-26 19:26:16.329507+00', true, NULL, NULL, 1, 3600, 1, 0, NULL, NULL, '2026-11-26 19:26:16.329507+00', false, 6624863626382355993, '2.0.0', 'c0ffee', '2026-11-01T00:00:00Z', 'release', 'linux', 'amd64', NULL, true, NULL);
INSERT INTO public.telemetry_run VALUES ('00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000101', '2026-11-26 19:26:16.297921+00', '2026-11-26 19:26:16.317258+00', true, NULL, NULL, 2, 3600, 2, 1, '2026-11-26 19:26:16.317258+00', '2026-11-26 19:26:16.317258+00', '2026-11-26 19:26:16.317258+00', true, 6220622373007628542, '1.0.0', 'c0ffee', '2026-11-01T00:00:00Z', 'release', 'linux', 'amd64', NULL, true, 'Site-1');
INSERT INTO public.telemetry_run VALUES ('00000000-0000-4000-8000-000000000003', '00000000-0000-4000-8000-000000000301', '2026-11-26 19:26:16.327954+00', '2026-11-26 19:26:16.330892+00', true, NULL, NULL, 2, 3600, 2, 1, '2026-11-26 19:26:16.330892+00', '2026-11-26 19:26:16.330892+00', '2026-11-26 19:26:16.330892+00', true, 6624863626382355993, '2.0.0', 'c0ffee', '2026-11-01T00:00:00Z', 'release', 'linux', 'amd64', NULL, true, NULL);
INSERT INTO public.telemetry_run VALUES ('00000000-0000-4000-8000-000000000004', '00000000-0000-4000-8000-000000000401', '2026-11-26 19:26:16.332576+00', '2026-11-26 19:26:16.334584+00', true, NULL, NULL, 2, 3600, 2, 0, NULL, NULL, '2026-11-26 19:26:16.334584+00', true, 5449014101296845240, 'main', 'c0ffee', '2026-11-01T00:00:00Z', 'release', 'linux', 'amd64', NULL, true, NULL);
INSERT INTO public.telemetry_schema VALUES (1);
INSERT INTO public.telemetry_schema VALUES (2);
INSERT INTO public.telemetry_transition VALUES ('00000000-0000-4000-8000-000000000001', '2026-11-26 19:26:16.317258+00', 'state', NULL, 'up');
INSERT INTO public.telemetry_transition VALUES ('00000000-0000-4000-8000-000000000002', '2026-11-26 19:26:16.32662+00', 'state', NULL, 'ended');
INSERT INTO public.telemetry_transition VALUES ('00000000-0000-4000-8000-000000000003', '2026-11-26 19:26:16.330892+00', 'state', NULL, 'up');
INSERT INTO public.telemetry_transition VALUES ('00000000-0000-4000-8000-000000000004', '2026-11-26 19:26:16.334584+00', 'state', NULL, 'up');
ALTER TABLE ONLY public.telemetry_alert
    ADD CONSTRAINT telemetry_alert_pkey PRIMARY KEY (instance_id, id);
ALTER TABLE ONLY public.telemetry_event
    ADD CONSTRAINT telemetry_event_pkey PRIMARY KEY (instance_id, id, day);
ALTER TABLE ONLY public.telemetry_event_2026_11_25
    ADD CONSTRAINT telemetry_event_2026_11_25_pkey PRIMARY KEY (instance_id, id, day);
ALTER TABLE ONLY public.telemetry_event_2026_11_26
    ADD CONSTRAINT telemetry_event_2026_11_26_pkey PRIMARY KEY (instance_id, id, day);
ALTER TABLE ONLY public.telemetry_event_2026_11_27
    ADD CONSTRAINT telemetry_event_2026_11_27_pkey PRIMARY KEY (instance_id, id, day);
ALTER TABLE ONLY public.telemetry_event_2026_11_28
    ADD CONSTRAINT telemetry_event_2026_11_28_pkey PRIMARY KEY (instance_id, id, day);
ALTER TABLE ONLY public.telemetry_event_2026_11_29
    ADD CONSTRAINT telemetry_event_2026_11_29_pkey PRIMARY KEY (instance_id, id, day);
ALTER TABLE ONLY public.telemetry_event_2026_11_30
    ADD CONSTRAINT telemetry_event_2026_11_30_pkey PRIMARY KEY (instance_id, id, day);
ALTER TABLE ONLY public.telemetry_event_2026_12_01
    ADD CONSTRAINT telemetry_event_2026_12_01_pkey PRIMARY KEY (instance_id, id, day);
ALTER TABLE ONLY public.telemetry_event_2026_12_02
    ADD CONSTRAINT telemetry_event_2026_12_02_pkey PRIMARY KEY (instance_id, id, day);
ALTER TABLE ONLY public.telemetry_event_2026_12_03
    ADD CONSTRAINT telemetry_event_2026_12_03_pkey PRIMARY KEY (instance_id, id, day);
ALTER TABLE ONLY public.telemetry_instance
    ADD CONSTRAINT telemetry_instance_pkey PRIMARY KEY (instance_id);
ALTER TABLE ONLY public.telemetry_key
    ADD CONSTRAINT telemetry_key_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.telemetry_mark
    ADD CONSTRAINT telemetry_mark_pkey PRIMARY KEY (single);
ALTER TABLE ONLY public.telemetry_outage
    ADD CONSTRAINT telemetry_outage_pkey PRIMARY KEY (began_at);
ALTER TABLE ONLY public.telemetry_run
    ADD CONSTRAINT telemetry_run_pkey PRIMARY KEY (instance_id, run_id);
ALTER TABLE ONLY public.telemetry_transition
    ADD CONSTRAINT telemetry_transition_pkey PRIMARY KEY (instance_id, at, change, "to");
CREATE INDEX telemetry_alert_waiting ON public.telemetry_alert USING btree (digest_id, next_try_at) WHERE (delivered_at IS NULL);
CREATE INDEX telemetry_event_newest ON ONLY public.telemetry_event USING btree (ts);
CREATE INDEX telemetry_event_2026_11_25_ts_idx ON public.telemetry_event_2026_11_25 USING btree (ts);
CREATE INDEX telemetry_event_2026_11_26_ts_idx ON public.telemetry_event_2026_11_26 USING btree (ts);
CREATE INDEX telemetry_event_2026_11_27_ts_idx ON public.telemetry_event_2026_11_27 USING btree (ts);
CREATE INDEX telemetry_event_2026_11_28_ts_idx ON public.telemetry_event_2026_11_28 USING btree (ts);
CREATE INDEX telemetry_event_2026_11_29_ts_idx ON public.telemetry_event_2026_11_29 USING btree (ts);
CREATE INDEX telemetry_event_2026_11_30_ts_idx ON public.telemetry_event_2026_11_30 USING btree (ts);
CREATE INDEX telemetry_event_2026_12_01_ts_idx ON public.telemetry_event_2026_12_01 USING btree (ts);
CREATE INDEX telemetry_event_2026_12_02_ts_idx ON public.telemetry_event_2026_12_02 USING btree (ts);
CREATE INDEX telemetry_event_2026_12_03_ts_idx ON public.telemetry_event_2026_12_03 USING btree (ts);
CREATE INDEX telemetry_instance_due ON public.telemetry_instance USING btree (check_at);
CREATE INDEX telemetry_instance_worst ON public.telemetry_instance USING btree (state_rank, state_since DESC, instance_id);
CREATE UNIQUE INDEX telemetry_key_name ON public.telemetry_key USING btree (name) WHERE (revoked_at IS NULL);
ALTER INDEX public.telemetry_event_pkey ATTACH PARTITION public.telemetry_event_2026_11_25_pkey;
ALTER INDEX public.telemetry_event_newest ATTACH PARTITION public.telemetry_event_2026_11_25_ts_idx;
ALTER INDEX public.telemetry_event_pkey ATTACH PARTITION public.telemetry_event_2026_11_26_pkey;
ALTER INDEX public.telemetry_event_newest ATTACH PARTITION public.telemetry_event_2026_11_26_ts_idx;
ALTER INDEX public.telemetry_event_pkey ATTACH PARTITION public.telemetry_event_2026_11_27_pkey;
ALTER INDEX public.telemetry_event_newest ATTACH PARTITION public.telemetry_event_2026_11_27_ts_idx;
ALTER INDEX public.telemetry_event_pkey ATTACH PARTITION public.telemetry_event_2026_11_28_pkey;
ALTER INDEX public.telemetry_event_newest ATTACH PARTITION public.telemetry_event_2026_11_28_ts_idx;
ALTER INDEX public.telemetry_event_pkey ATTACH PARTITION public.telemetry_event_2026_11_29_pkey;
ALTER INDEX public.telemetry_event_newest ATTACH PARTITION public.telemetry_event_2026_11_29_ts_idx;
ALTER INDEX public.telemetry_event_pkey ATTACH PARTITION public.telemetry_event_2026_11_30_pkey;
ALTER INDEX public.telemetry_event_newest ATTACH PARTITION public.telemetry_event_2026_11_30_ts_idx;
ALTER INDEX public.telemetry_event_pkey ATTACH PARTITION public.telemetry_event_2026_12_01_pkey;
ALTER INDEX public.telemetry_event_newest ATTACH PARTITION public.telemetry_event_2026_12_01_ts_idx;
ALTER INDEX public.telemetry_event_pkey ATTACH PARTITION public.telemetry_event_2026_12_02_pkey;
ALTER INDEX public.telemetry_event_newest ATTACH PARTITION public.telemetry_event_2026_12_02_ts_idx;
ALTER INDEX public.telemetry_event_pkey ATTACH PARTITION public.telemetry_event_2026_12_03_pkey;
ALTER INDEX public.telemetry_event_newest ATTACH PARTITION public.telemetry_event_2026_12_03_ts_idx;
