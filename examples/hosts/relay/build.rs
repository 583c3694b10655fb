fn main() {
    deployment_telemetry_build::emit();
}
