//! What surrounds every page: the way to the others, what is down, and the pulse of the receiver itself.

use jiff::Timestamp;

use super::assets;
use super::pulse::Pulse;
use super::words::{Icon, When, clock, dated, dated_to_the_second, day, icon, number, span};
use crate::receiver::api::moment::Moment;
use crate::receiver::app::App;

/// A page that the navigation leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Fleet,
    Adoption,
    Licenses,
    Events,
    Alerts,
    Server,
}

impl Section {
    const ALL: [Section; 6] = [
        Section::Fleet,
        Section::Adoption,
        Section::Licenses,
        Section::Events,
        Section::Alerts,
        Section::Server,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Section::Fleet => "Fleet",
            Section::Adoption => "Adoption",
            Section::Licenses => "Licenses",
            Section::Events => "Events",
            Section::Alerts => "Alerts",
            Section::Server => "Server",
        }
    }

    /// The address of the page, from where the receiver is mounted.
    pub(super) fn address(self) -> &'static str {
        match self {
            Section::Fleet => "./",
            Section::Adoption => "adoption",
            Section::Licenses => "licenses",
            Section::Events => "events",
            Section::Alerts => "alerts",
            Section::Server => "server",
        }
    }

    pub(super) fn icon(self) -> Icon {
        icon(match self {
            Section::Fleet => "i-fleet",
            Section::Adoption => "i-adoption",
            Section::Licenses => "i-licenses",
            Section::Events => "i-events",
            Section::Alerts => "i-alerts",
            Section::Server => "i-server",
        })
    }

    pub(super) fn is_fleet(self) -> bool {
        self == Section::Fleet
    }
}

/// What surrounds a page.
#[derive(Debug)]
pub(super) struct Frame {
    /// The way up to where the receiver is mounted: `../` for each part of the path of the page after its first.
    pub(super) root: String,
    /// The page of the navigation that this one is, or belongs to.
    pub(super) section: Option<Section>,
    /// Number of servers that are down; 0 also where it is not known.
    pub(super) down: i64,
    pub(super) pulse: Pulse,
    pub(super) now: Timestamp,
}

impl Frame {
    /// The frame of a page with `depth` more parts in its path than the first.
    pub(super) async fn of(app: &App, section: Section, depth: usize) -> Self {
        let tally = app.counts.tally().await;
        Self {
            down: tally.map_or(0, |tally| tally.states().down),
            ..Self::without_counts(app, Some(section), depth)
        }
    }

    /// The same of a refusal, or of a page that has counted by itself: the store is asked nothing.
    pub(super) fn without_counts(app: &App, section: Option<Section>, depth: usize) -> Self {
        let (now, judged_at) = (app.now(), app.server.judged.borrow().at);
        let pulse = Pulse::of(app.server.health.read().state, judged_at, now);
        Self { root: "../".repeat(depth), section, down: 0, pulse, now }
    }

    pub(super) fn sections(&self) -> [Section; 6] {
        Section::ALL
    }

    pub(super) fn is_at(&self, section: &Section) -> bool {
        self.section == Some(*section)
    }

    pub(super) fn style(&self) -> String {
        assets::style_address()
    }

    pub(super) fn script(&self) -> String {
        assets::script_address()
    }

    /// The moment that the page shows, for programs.
    pub(super) fn moment(&self) -> String {
        format!("{:.3}", self.now)
    }

    /// The address at which the page listens to what changes while it is open.
    pub(super) fn live(&self) -> String {
        format!("{}live", self.root)
    }

    pub(super) fn number(&self, shown: &i64) -> String {
        number(shown)
    }

    /// A moment, shorter the nearer it is.
    pub(super) fn when(&self, at: &Moment) -> When {
        When { at: at.0, text: clock(at.0, self.now), is_relative: false }
    }

    /// A moment in a list of moments.
    pub(super) fn dated(&self, at: &Moment) -> When {
        When { at: at.0, text: dated(at.0, self.now), is_relative: false }
    }

    /// The same to the second.
    pub(super) fn to_the_second(&self, at: &Moment) -> When {
        When { at: at.0, text: dated_to_the_second(at.0, self.now), is_relative: false }
    }

    /// The day of a moment.
    pub(super) fn day(&self, at: &Moment) -> When {
        When { at: at.0, text: day(at.0), is_relative: false }
    }

    /// How long ago a moment was.
    pub(super) fn ago(&self, at: &Moment) -> When {
        When { at: at.0, text: format!("{} ago", self.since(at)), is_relative: true }
    }

    /// The time since a moment.
    pub(super) fn since(&self, at: &Moment) -> String {
        span(self.now.duration_since(at.0))
    }
}
