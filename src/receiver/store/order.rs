//! The orders of a list of instances, and where a page of it begins.

use jiff::Timestamp;
use uuid::Uuid;

use super::filter::{InstanceFilter, searched};
use super::instance::{Instance, State};
use super::release::Release;

/// The order of a list of instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sort {
    /// By state, the worst first; in a state the latest change first.
    #[default]
    Worst,
    /// By state, the worst first; in a state the one first that has been in it for longest.
    Silent,
    /// By the custom id in lower case; those without one last.
    Name,
    /// By version, the oldest first; versions that are not made of numbers last.
    Version,
    /// By the time of the first sight, the latest first.
    FirstSeen,
}

impl Sort {
    pub(crate) const ALL: [Sort; 5] = [Sort::Worst, Sort::Silent, Sort::Name, Sort::Version, Sort::FirstSeen];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Sort::Worst => "worst",
            Sort::Silent => "silent",
            Sort::Name => "name",
            Sort::Version => "version",
            Sort::FirstSeen => "first-seen",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sort| sort.as_str() == text)
    }

    /// The queries that together answer a page, each of one state or, where it is `None`, of all that are asked for. The
    /// index in the order of [`Worst`](Self::Worst) holds the order of [`Silent`](Self::Silent) too, state by state.
    pub(super) fn pieces(
        self,
        filter: &InstanceFilter,
        after: Option<&InstanceCursor>,
    ) -> Vec<Option<State>> {
        if self != Self::Silent {
            return vec![None];
        }
        let is_left = |state: &State| match after {
            Some(InstanceCursor::Silent(last, ..)) => last.rank() <= state.rank(),
            _ => true,
        };
        let is_asked = |state: &State| filter.states.is_empty() || filter.states.contains(state);
        State::ALL.into_iter().filter(is_asked).filter(is_left).map(Some).collect()
    }
}

/// The last instance of a page, after which the next one begins, by what the list is ordered by.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum InstanceCursor {
    Worst(State, Timestamp, Uuid),
    Silent(State, Timestamp, Uuid),
    Name(Option<String>, Uuid),
    /// The key of a [`Release`].
    Version(String, Uuid),
    FirstSeen(Timestamp, Uuid),
}

impl InstanceCursor {
    /// The place of an instance in an order.
    pub(crate) fn of(sort: Sort, instance: &Instance) -> Self {
        let id = instance.instance_id;
        match sort {
            Sort::Worst => Self::Worst(instance.state, instance.state_since, id),
            Sort::Silent => Self::Silent(instance.state, instance.state_since, id),
            Sort::Name => Self::Name(searched(&instance.facts), id),
            Sort::Version => Self::Version(Release::of(&instance.facts.build_version).key, id),
            Sort::FirstSeen => Self::FirstSeen(instance.first_seen_at, id),
        }
    }

    /// The order that it is a place in.
    pub(crate) fn sort(&self) -> Sort {
        match self {
            Self::Worst(..) => Sort::Worst,
            Self::Silent(..) => Sort::Silent,
            Self::Name(..) => Sort::Name,
            Self::Version(..) => Sort::Version,
            Self::FirstSeen(..) => Sort::FirstSeen,
        }
    }
}
