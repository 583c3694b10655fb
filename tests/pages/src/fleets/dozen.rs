//! A dozen servers with believable names, in every state and with every flag.

use uuid::Uuid;

use crate::past::{Ago, Build, DAY, HOUR, License, MINUTE, Past, Run, Server};

/// The owners of servers, by their numbers.
const OWNERS: [&str; 6] =
    ["Acme GmbH", "Klinikum Nord", "Ostsee Logistik", "Kiwi Hosting", "Universiteit Gent", "staging"];

const ACME: usize = 0;
const KLINIKUM: usize = 1;
const OSTSEE: usize = 2;
const KIWI: usize = 3;
const GENT: usize = 4;
const STAGING: usize = 5;

/// Versions, their commits and how old they are.
const BUILDS: [(&str, &str, Ago); 6] = [
    ("2.1.4", "91c04de", 168 * DAY),
    ("2.2.0", "07be1f2", 121 * DAY),
    ("2.2.4", "e55a190", 64 * DAY),
    ("2.3.0", "b3d8c47", 31 * DAY),
    ("2.3.1", "4379644", 15 * DAY),
    ("2.4.0-rc.2", "c1f07aa", 6 * DAY),
];

/// Tells of a dozen servers.
pub(crate) fn dozen() -> Past {
    let (crashed, restarting, muted) = (campus(), kiwi_build(), staging());
    let mutes = vec![(muted.id, 29 * HOUR, "rebuilt until Friday".to_owned())];
    let of_acme = [eu_west(), acme_fra()];
    let others = [pay_gateway(), klinikum(), ostsee_hub(), unnamed(), nord_archiv(), gent_lib(), old_hub()];
    let servers = of_acme.into_iter().chain(others).chain([crashed, restarting, muted]).collect();
    Past { keys: OWNERS.map(str::to_owned).to_vec(), servers, mutes, together: 1 }
}

/// Silent for 18 hours, after a run that was lost and a second run beside it.
fn eu_west() -> Server {
    let mut server = server(0x0b8f_0c9e, Some("eu-west 3"), ACME, 8 * HOUR);
    let last = 18 * HOUR + 12 * MINUTE;
    server.runs = vec![
        run("2.2.4", 59 * DAY, 5 * DAY + 21 * HOUR).ended(),
        run("2.3.0", 5 * DAY + 21 * HOUR - 2 * MINUTE, 2 * DAY + 17 * HOUR),
        run("2.3.1", 2 * DAY + 13 * HOUR, last),
        run("2.3.1", DAY + 19 * HOUR, DAY + 8 * HOUR).ended(),
    ];
    server.licenses.1 =
        vec![(9 * DAY + 17 * HOUR, License::Invalid("acme")), (8 * DAY + 19 * HOUR, License::Valid("acme"))];
    server
}

/// Two processes of one instance, both alive.
fn acme_fra() -> Server {
    let mut server = server(0x7b60_f3d8, Some("acme-fra-2"), ACME, 8 * HOUR);
    server.runs = vec![
        run("2.3.0", 28 * DAY, 13 * DAY).ended(),
        run("2.3.1", 13 * DAY - 3 * MINUTE, 2 * HOUR + 20 * MINUTE),
        run("2.3.1", 3 * DAY, 5 * HOUR + 10 * MINUTE),
    ];
    server
}

/// Reports each hour, and is down for 28 minutes.
fn pay_gateway() -> Server {
    let mut server = server(0x5e0c_71b4, Some("pay-gateway-2"), KIWI, HOUR);
    server.licenses.0 = License::Valid("kiwi");
    server.runs = vec![run("2.3.1", 9 * DAY, 2 * HOUR + 33 * MINUTE + 20)];
    server
}

/// Down, far behind, and without a valid license.
fn klinikum() -> Server {
    let mut server = server(0x91d2_aa07, Some("klinikum-nord prod"), KLINIKUM, 8 * HOUR);
    server.licenses = (License::Valid("klinikum"), vec![(6 * DAY + 2 * HOUR, License::Invalid("klinikum"))]);
    server.runs = vec![run("2.1.4", 88 * DAY, 23 * HOUR + 4 * MINUTE + 20)];
    server
}

/// Late for four minutes, without a license.
fn ostsee_hub() -> Server {
    let mut server = server(0xc441_7e20, Some("ostsee-hub-7"), OSTSEE, 8 * HOUR);
    "arm64".clone_into(&mut server.arch);
    server.licenses.0 = License::None;
    server.runs = vec![run("2.2.4", 44 * DAY, 8 * HOUR + 28 * MINUTE + 20)];
    server
}

/// Late, and without a name.
fn unnamed() -> Server {
    let mut server = server(0x3fa2_9c11, None, KIWI, HOUR);
    server.licenses.0 = License::Valid("kiwi");
    server.runs = vec![run("2.3.0", 7 * DAY, HOUR + 56 * MINUTE + 20)];
    server
}

fn nord_archiv() -> Server {
    let mut server = server(0xa61d_0e37, Some("nord-archiv"), KLINIKUM, 8 * HOUR);
    server.licenses.0 = License::Valid("klinikum archive");
    server.runs = vec![
        run("2.2.0", 80 * DAY, 40 * DAY).ended(),
        run("2.2.4", 40 * DAY - 4 * MINUTE, 12 * DAY).ended(),
        run("2.3.1", 12 * DAY - 4 * MINUTE, 6 * HOUR + 3 * MINUTE),
    ];
    server
}

/// New since five hours.
fn gent_lib() -> Server {
    let mut server = server(0xd09b_5a61, Some("gent-lib-02"), GENT, 8 * HOUR);
    "windows".clone_into(&mut server.os);
    server.licenses.0 = License::Valid("gent library");
    server.runs = vec![run("2.3.1", 5 * HOUR + 14 * MINUTE, 5 * HOUR + 14 * MINUTE)];
    server
}

/// Ended three hours ago.
fn old_hub() -> Server {
    let mut server = server(0x20c8_b7ef, Some("ostsee-hub-3"), OSTSEE, 12 * HOUR);
    server.licenses.0 = License::Valid("ostsee");
    server.runs = vec![run("2.2.4", 50 * DAY, 3 * HOUR + 9 * MINUTE).ended()];
    server
}

/// A run of it was lost two days ago.
fn campus() -> Server {
    let mut server = server(0xe812_5d94, Some("campus-mensa"), GENT, 8 * HOUR);
    server.licenses.0 = License::Valid("gent mensa");
    server.runs = vec![
        run("2.2.4", 37 * DAY, 2 * DAY + 9 * HOUR),
        run("2.3.1", 2 * DAY + 3 * HOUR, 3 * HOUR + 40 * MINUTE),
    ];
    server
}

/// Its process dies every seven minutes.
fn kiwi_build() -> Server {
    let mut server = server(0x18e4_5cc3, Some("kiwi-build"), KIWI, 8 * HOUR);
    server.licenses.0 = License::Valid("kiwi");
    server.runs = vec![run("2.3.0", 20 * DAY, 9 * HOUR).ended()];
    let loops = (1..=9).rev().map(|number| number * 7 * MINUTE);
    server.runs.extend(loops.map(|began| run("2.3.1", began, began)));
    server
}

/// Late, on a version of tomorrow, and muted.
fn staging() -> Server {
    let mut server = server(0xf4a7_6b02, Some("staging-4"), STAGING, 8 * HOUR);
    server.licenses.0 = License::None;
    "trial".clone_into(&mut server.mode);
    server.runs = vec![
        run("2.3.1", 14 * DAY, 5 * DAY).ended(),
        run("2.4.0-rc.2", 5 * DAY - MINUTE, 12 * HOUR + 39 * MINUTE + 20),
    ];
    server
}

fn server(id: u32, name: Option<&str>, key: usize, every: Ago) -> Server {
    let id = Uuid::from_fields(id, 0x71d4, 0x4a0b, &[0x9c, 0x55, 0x2f, 0x1f, 0x3b, 0x6e, 0x8a, 0x10]);
    Server {
        id,
        name: name.map(str::to_owned),
        key,
        product: "Sirveo".to_owned(),
        mode: "licenced".to_owned(),
        os: "linux".to_owned(),
        arch: "amd64".to_owned(),
        every,
        licenses: (License::Valid("acme"), Vec::new()),
        runs: Vec::new(),
        reason: None,
    }
}

fn run(version: &str, began: Ago, heard: Ago) -> Run {
    Run { build: build(version), began, heard, stopped: false }
}

impl Run {
    fn ended(self) -> Self {
        Self { stopped: true, ..self }
    }
}

fn build(version: &str) -> Build {
    let known = BUILDS.into_iter().find(|(known, _, _)| *known == version);
    let (version, commit, age) = known.expect("a version of the list");
    Build { version: version.to_owned(), commit: commit.to_owned(), age }
}
