//! Groups of this machine.

use std::io;

use rustix::process::{getegid, geteuid, getgroups};

/// Where the names of groups are.
const GROUPS: &str = "/etc/group";

/// Why a group is not known.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// The list of groups cannot be read.
    #[error("cannot look up the group `{name}` in {GROUPS}")]
    Unreadable {
        /// What was looked for.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// No group has the name.
    #[error("there is no group `{0}` in {GROUPS}: name one that is there, or give its number")]
    Unknown(String),
}

/// The number of a group that is given by its name or its number.
pub fn find_group(group: &str) -> Result<u32, GroupError> {
    if let Ok(number) = group.parse() {
        return Ok(number);
    }
    let groups = std::fs::read_to_string(GROUPS)
        .map_err(|source| GroupError::Unreadable { name: group.to_owned(), source })?;
    find_in(&groups, group).ok_or_else(|| GroupError::Unknown(group.to_owned()))
}

/// The number of a group according to the text of `/etc/group`.
fn find_in(groups: &str, group: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != group {
            return None;
        }
        fields.nth(1)?.parse().ok()
    })
}

/// Whether this process may give a file to the group, as far as can be told without trying.
pub fn may_give_to(gid: u32) -> bool {
    let is_member = || getgroups().is_ok_and(|groups| groups.iter().any(|group| group.as_raw() == gid));
    geteuid().is_root() || getegid().as_raw() == gid || is_member()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_by_name_or_number() {
        let groups = "root:x:0:\nwheel:x:998:anna,bert\nodd\nbad:x:y:\n";
        assert_eq!(find_in(groups, "wheel"), Some(998));
        for absent in ["whee", "odd", "bad", "anna", ""] {
            assert_eq!(find_in(groups, absent), None, "{absent}");
        }
        assert!(matches!(find_group("998"), Ok(998)));
        assert!(matches!(find_group("no group has this name"), Err(GroupError::Unknown(_))));
    }
}
