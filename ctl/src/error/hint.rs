//! What the user can do about each failure.

use admin_api::API_VERSION;

use super::reach::{denied_hint, unreachable_hint};
use super::{Error, sentence};
use crate::output::plain;

impl Error {
    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { tried } => Some(unreachable_hint(tried)),
            Self::Denied { obstacle, .. } => Some(denied_hint(obstacle.as_ref())),
            Self::Timeout { .. } => {
                Some("The daemon may be overloaded. Check its log, or wait longer with --timeout.".into())
            }
            Self::Disconnected { .. } | Self::EndedEarly { .. } => {
                Some("The daemon may have restarted. Try again, and check its log.".into())
            }
            Self::Version { daemon, .. } if *daemon > API_VERSION => {
                Some("Use the cachectl that came with the daemon.".into())
            }
            Self::Version { .. } | Self::TooOld { .. } => {
                Some("Restart the daemon if it was upgraded; otherwise use the cachectl that came with it.".into())
            }
            Self::Malformed { .. } | Self::TooLarge { .. } | Self::Unexplained { .. } => Some(
                "Check that the admin socket of a cache-server is there, and that the daemon and cachectl (\
                 `cachectl --version`) come from the same release."
                    .into(),
            ),
            Self::Daemon(error) => error.hint.as_deref().map(sentence),
            Self::EndlessList { .. } => Some("The daemon's log may say more.".into()),
            Self::NoCaches | Self::Unwell { .. } => None,
            Self::Problems { .. } => Some("`cachectl doctor` says what to do.".into()),
            Self::NoSuchPeer { .. } => Some("`cachectl peer list` shows the nodes.".into()),
            Self::SilentPeers { .. } => {
                Some("Check that the daemon runs there and that its port is reachable from here.".into())
            }
            Self::FailedUpstreams { .. } => {
                Some("Check the URL and the credentials in the configuration.".into())
            }
            Self::WhichCache { .. } => Some("Pass --cache NAME to choose one.".into()),
            Self::WhichKey { several: true, .. } => {
                Some("Pass its public key instead, which `cachectl key list` shows.".into())
            }
            Self::WhichKey { .. } | Self::NoSuchKey { .. } => {
                Some("`cachectl key list` shows the keys.".into())
            }
            Self::Unconfirmed { .. } => Some("Pass --yes to skip the confirmation.".into()),
            Self::KeyFile { .. } => {
                Some("The file must hold what `nix key generate-secret` prints: NAME:BASE64.".into())
            }
            Self::FaultyConfig { hint, .. } => hint.as_deref().map(sentence),
            Self::Job(error) => Some(error.hint()),
            Self::Push(error) => error.hint(),
            Self::NoCacheHolds { .. } => {
                Some("`cachectl path list` shows the paths of a cache.".into())
            }
            Self::TokenLost { id, .. } => Some(format!("Revoke it with `cachectl token revoke {}`.", plain(id))),
            Self::Specification { .. } => Some(
                "The file must hold JSON: {\"agents\": {\"NAME\": \"/nix/store/HASH-NAME\"}, \"rollbackScript\": \
                 {\"SYSTEM\": \"/nix/store/HASH-NAME\"}}. The second part is optional."
                    .into(),
            ),
            Self::PathList { .. } => {
                Some("Write a store path a line, as `nix path-info --recursive ./result` does.".into())
            }
            Self::NotCollected
            | Self::DeploymentFailed { .. }
            | Self::ManPages { .. }
            | Self::Output(_)
            | Self::Runtime(_) => None,
        }
    }
}
