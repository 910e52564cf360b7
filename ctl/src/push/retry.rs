//! When a request is sent again.

use std::time::Duration;

use super::client::{Answer, Call, Client};
use super::error::PushError;

/// The first wait is at most that long; each further one may be twice as long as the last.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait that is our own choice.
const LONGEST: Duration = Duration::from_secs(15);
/// How long a request is repeated altogether.
const ALTOGETHER: Duration = Duration::from_secs(90);

impl Client {
    /// Sends a request, and again while the failure may pass: after a random part of a growing time, so that many clients that
    /// failed together do not come back together, or when the server says.
    ///
    /// # Errors
    ///
    /// The last failure.
    pub async fn send_repeatedly(&self, call: &Call) -> Result<Answer, PushError> {
        let (mut most, mut waited) = (FIRST, Duration::ZERO);
        loop {
            let error = match self.send(call).await {
                Err(error) if error.may_pass() => error,
                result => return result,
            };
            let wait = match &error {
                PushError::Refused { retry_after: Some(wait), .. } if !wait.is_zero() => *wait,
                _ => random_part(most),
            };
            waited += wait;
            if waited > ALTOGETHER {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            most = (most * 2).min(LONGEST);
        }
    }
}

fn random_part(of: Duration) -> Duration {
    // Without randomness the wait is as long as it may be.
    let random = getrandom::u32().unwrap_or(u32::MAX);
    of.mul_f64(f64::from(random) / f64::from(u32::MAX))
}
