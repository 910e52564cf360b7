//! The fixed strings of the format.

/// A fixed string.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Keyword {
    Magic,
    Open,
    Close,
    Type,
    Regular,
    Directory,
    Symlink,
    Executable,
    Contents,
    Target,
    Entry,
    Name,
    Node,
}

impl Keyword {
    /// Bytes of the longest one.
    pub(super) const MAX_LEN: usize = 13;

    const ALL: [Self; 13] = [
        Self::Magic,
        Self::Open,
        Self::Close,
        Self::Type,
        Self::Regular,
        Self::Directory,
        Self::Symlink,
        Self::Executable,
        Self::Contents,
        Self::Target,
        Self::Entry,
        Self::Name,
        Self::Node,
    ];

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Magic => "nix-archive-1",
            Self::Open => "(",
            Self::Close => ")",
            Self::Type => "type",
            Self::Regular => "regular",
            Self::Directory => "directory",
            Self::Symlink => "symlink",
            Self::Executable => "executable",
            Self::Contents => "contents",
            Self::Target => "target",
            Self::Entry => "entry",
            Self::Name => "name",
            Self::Node => "node",
        }
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|keyword| keyword.text().as_bytes() == bytes)
    }
}
