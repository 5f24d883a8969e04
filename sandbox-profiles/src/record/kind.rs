//! What may be asked of the launcher, and of which root.

use crate::Error;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Host,
    Prepare,
    Launch,
    Facts,
    Usage,
    Kill,
    Erase,
    Run,
    Probe,
    Swap,
    Revert,
    Settle,
    Discard,
}

impl Kind {
    const ALL: [Self; 13] = [
        Self::Host,
        Self::Prepare,
        Self::Launch,
        Self::Facts,
        Self::Usage,
        Self::Kill,
        Self::Erase,
        Self::Run,
        Self::Probe,
        Self::Swap,
        Self::Revert,
        Self::Settle,
        Self::Discard,
    ];

    pub(super) fn from_number(number: u16) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    pub(super) fn number(self) -> u16 {
        match self {
            Self::Host => 0,
            Self::Prepare => 1,
            Self::Launch => 2,
            Self::Facts => 3,
            Self::Usage => 4,
            Self::Kill => 5,
            Self::Erase => 6,
            Self::Run => 7,
            Self::Probe => 8,
            Self::Swap => 9,
            Self::Revert => 10,
            Self::Settle => 11,
            Self::Discard => 12,
        }
    }

    /// How many descriptors come with it.
    pub(crate) fn descriptors(self) -> usize {
        match self {
            Self::Launch => 3,
            Self::Run => 5,
            Self::Probe => 1,
            Self::Host
            | Self::Prepare
            | Self::Facts
            | Self::Usage
            | Self::Kill
            | Self::Erase
            | Self::Swap
            | Self::Revert
            | Self::Settle
            | Self::Discard => 0,
        }
    }

    /// Whether it starts processes, which have limits.
    pub(super) fn starts(self) -> bool {
        matches!(self, Self::Launch | Self::Run)
    }

    pub(super) fn names_tenant(self) -> bool {
        matches!(self, Self::Prepare | Self::Launch | Self::Run | Self::Erase) || self.replaces()
    }

    /// Whether it may mean the staged root.
    pub(super) fn has_either_root(self) -> bool {
        matches!(self, Self::Prepare | Self::Launch)
    }

    /// Whether it is a step of replacing a tenant's root.
    fn replaces(self) -> bool {
        matches!(self, Self::Swap | Self::Revert | Self::Settle | Self::Discard)
    }

    pub(super) fn names_worker(self) -> bool {
        matches!(self, Self::Facts | Self::Usage | Self::Kill | Self::Probe)
    }
}

/// Which of a tenant's roots is meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Which {
    /// The one that its worker and its programs use.
    #[default]
    Live,
    /// The one beside it, which may take its place.
    Staged,
}

impl Which {
    pub(super) fn number(self) -> u32 {
        u32::from(self == Self::Staged)
    }

    pub(super) fn from_number(number: u32) -> Result<Self, Error> {
        match number {
            0 => Ok(Self::Live),
            1 => Ok(Self::Staged),
            _ => Err(Error::Record("root")),
        }
    }
}
