#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| deployment_telemetry::receiver::fuzzing::import(input));
