//! What there is to say of a fleet, in a sentence. Pure.

use super::words::number;
use crate::receiver::counts::States;

/// What there is to say of a fleet, in a sentence.
pub(super) fn headline(states: &States) -> String {
    let are = |count: i64| if count == 1 { "server is" } else { "servers are" };
    match states {
        States { down: 0, late: 0, up: 0, ended: 0 } => "No server has reported yet".to_owned(),
        States { down: 0, late: 0, up: 0, ended: 1 } => "The one server has ended".to_owned(),
        States { down: 0, late: 0, up: 0, ended } => format!("All {} servers have ended", number(*ended)),
        States { down: 0, late: 0, up: 1, .. } => "The one active server is up".to_owned(),
        States { down: 0, late: 0, up, .. } => format!("All {} active servers are up", number(*up)),
        States { down: 0, late, .. } => format!("{} {} late", number(*late), are(*late)),
        States { down, late: 0, .. } => format!("{} {} down", number(*down), are(*down)),
        States { down, late, .. } => {
            let is = if *late == 1 { "is" } else { "are" };
            format!("{} {} down, {} {is} late", number(*down), are(*down), number(*late))
        }
    }
}

/// The same for the title of a tab.
pub(super) fn title(states: &States) -> String {
    match states {
        States { down: 0, late: 0, up: 0, .. } => "Fleet".to_owned(),
        States { down: 0, late: 0, .. } => "All up".to_owned(),
        States { down: 0, late, .. } => format!("{} late", number(*late)),
        States { down, late: 0, .. } => format!("{} down", number(*down)),
        States { down, late, .. } => format!("{} down, {} late", number(*down), number(*late)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sentence_says_what_is_wrong() {
        for ((down, late, up, ended), sentence, of_tab) in [
            ((3, 7, 1_238, 64), "3 servers are down, 7 are late", "3 down, 7 late"),
            ((1, 1, 0, 0), "1 server is down, 1 is late", "1 down, 1 late"),
            ((1_000, 0, 5, 0), "1,000 servers are down", "1,000 down"),
            ((0, 1, 5, 0), "1 server is late", "1 late"),
            ((0, 0, 1_245, 64), "All 1,245 active servers are up", "All up"),
            ((0, 0, 1, 0), "The one active server is up", "All up"),
            ((0, 0, 0, 0), "No server has reported yet", "Fleet"),
            ((0, 0, 0, 1), "The one server has ended", "Fleet"),
            ((0, 0, 0, 64), "All 64 servers have ended", "Fleet"),
        ] {
            let states = States { down, late, up, ended };
            assert_eq!((headline(&states), title(&states)), (sentence.to_owned(), of_tab.to_owned()));
        }
    }
}
