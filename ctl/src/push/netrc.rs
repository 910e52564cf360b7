//! netrc files, in which Nix and the cachix client keep tokens.

/// Finds the password for a host in the text of a netrc file: that of the first entry for the host, or of `default`.
///
/// An entry needs no login. Ports are not part of netrc; neither curl nor we look at them.
pub fn find_password(text: &str, hosts: &[&str]) -> Option<String> {
    let mut words =
        text.lines().map(|line| line.split('#').next().unwrap_or_default()).flat_map(str::split_whitespace);
    // Whether the current entry is for the host.
    let mut applies = false;
    while let Some(word) = words.next() {
        match word {
            "machine" => applies = words.next().is_some_and(|name| hosts.contains(&name)),
            "default" => applies = true,
            "password" => {
                let password = words.next()?;
                if applies {
                    return Some(password.to_owned());
                }
            }
            "login" | "account" => {
                words.next();
            }
            _ => {}
        }
    }
    None
}
