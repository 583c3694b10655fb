//! Embeds what every telemetry payload says of the build: the commit and the time.

fn main() {
    deployment_telemetry_build::emit();
}
