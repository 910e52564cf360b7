//! Certificates of the ports.

use admin_api::{Finding, FindingLevel};
use catalog::UnixTime;

use super::{advise, finding};
use crate::clock::span;
use crate::tls::CertificateInfo;

/// A certificate that is renewed as usual has more left than this, in seconds: a third of the 47 days that authorities will
/// give at most.
const SOON: u64 = 14 * 86_400;

/// How long a certificate lasts.
pub(super) fn examine(certificate: &CertificateInfo) -> Finding {
    let subject = format!("certificate {}", certificate.file);
    let left = certificate.ends.saturating_sub(UnixTime::now().0);
    let advice = "renew it: the daemon takes the new file within seconds";
    match u64::try_from(left) {
        Ok(left) if left > SOON => finding(FindingLevel::Ok, subject, format!("it ends in {}", span(left))),
        Ok(left) => {
            advise(finding(FindingLevel::Warn, subject, format!("it ends in {}", span(left))), advice)
        }
        Err(_) => {
            let text = format!("it ended {} ago, so clients refuse it", span(left.unsigned_abs()));
            advise(finding(FindingLevel::Error, subject, text), advice)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_before_its_end() {
        let level = |left: i64| {
            let ends = UnixTime::now().0 + left;
            examine(&CertificateInfo { cache: None, file: "c.pem".to_owned(), names: Vec::new(), ends }).level
        };
        assert_eq!(level(60 * 86_400), FindingLevel::Ok);
        assert_eq!(level(86_400), FindingLevel::Warn);
        assert_eq!(level(-10), FindingLevel::Error);
    }
}
