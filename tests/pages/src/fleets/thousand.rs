//! A thousand servers of ten owners, most of which are well.

use uuid::Uuid;

use crate::past::{Build, DAY, HOUR, License, MINUTE, Past, Run, Server};

const COUNT: u32 = 1_000;
const OWNERS: u32 = 10;

/// Tells of a thousand servers, each with at most two runs and few events.
pub(crate) fn thousand() -> Past {
    let keys = (1..=OWNERS).map(|number| format!("customer {number}")).collect();
    Past { keys, servers: (0..COUNT).map(server).collect(), mutes: Vec::new(), together: 6 * HOUR }
}

fn server(number: u32) -> Server {
    // Spread without chance, by numbers that have no factor in common.
    let spread = |step: u32, below: u32| i64::from(number * step % below);
    let heard = match number % 100 {
        0..2 => 5 * DAY + spread(31, 90) * HOUR,
        2..5 => 52 * HOUR + spread(7, 30) * HOUR,
        _ => 10 * MINUTE + spread(37, 47) * HOUR,
    };
    let installed = heard + HOUR + spread(61, 13) * DAY;
    let upgraded = heard + 20 * MINUTE + spread(17, 5) * 10 * HOUR;
    let is_upgraded = !number.is_multiple_of(3) && upgraded < installed - HOUR;
    let last_began = if is_upgraded { upgraded } else { installed };
    let mut runs = vec![Run {
        build: build(spread(29, 7) + i64::from(is_upgraded)),
        began: last_began,
        heard,
        stopped: number % 20 == 19,
    }];
    if is_upgraded {
        let before =
            Run { build: build(spread(29, 7)), began: installed, heard: upgraded + MINUTE, stopped: true };
        runs.insert(0, before);
    }
    Server {
        id: id(number + 1),
        name: (number % 4 != 3)
            .then(|| format!("{}-{number:04}", ["shop", "api", "edge", "archive"][number as usize % 4])),
        key: (number % OWNERS) as usize,
        product: "Sirveo".to_owned(),
        mode: "licenced".to_owned(),
        os: ["linux", "linux", "linux", "windows"][number as usize % 4].to_owned(),
        arch: ["amd64", "amd64", "arm64"][number as usize % 3].to_owned(),
        every: 2 * DAY,
        licenses: match number % 25 {
            0 => (License::Invalid("lapsed"), Vec::new()),
            1 => (License::None, Vec::new()),
            _ => (License::Valid("site"), Vec::new()),
        },
        runs,
        reason: None,
    }
}

/// An id that begins unlike those of its neighbours.
fn id(number: u32) -> Uuid {
    let spread = number.wrapping_mul(0x9e37_79b9);
    Uuid::from_fields(spread, 0, 0x4000, &(0x8000_0000_0000_0000 | u64::from(number)).to_be_bytes())
}

/// The release of this number, of which there is one a week.
fn build(release: i64) -> Build {
    let (minor, patch) = (release / 2, release % 2);
    Build {
        version: format!("2.{minor}.{patch}"),
        commit: format!("{:07x}", 0x4a_1c3 + release * 0x1_0f31),
        age: (9 - release) * 7 * DAY,
    }
}
