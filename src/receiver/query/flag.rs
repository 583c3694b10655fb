//! Remarks on an instance, as people ask for them.

/// A flag in a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flag {
    Crashed,
    SeveralRuns,
    Cloned,
    Restarting,
    New,
    Muted,
}

impl Flag {
    pub(crate) const ALL: [Flag; 6] =
        [Flag::Crashed, Flag::SeveralRuns, Flag::Cloned, Flag::Restarting, Flag::New, Flag::Muted];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Flag::Crashed => "crashed",
            Flag::SeveralRuns => "several-runs",
            Flag::Cloned => "cloned",
            Flag::Restarting => "restarting",
            Flag::New => "new",
            Flag::Muted => "muted",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|flag| flag.as_str() == text)
    }
}
