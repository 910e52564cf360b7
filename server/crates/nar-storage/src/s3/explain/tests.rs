use super::*;

fn refused(status: u16, code: Option<&str>, message: Option<&str>) -> Failure {
    Failure::from_refusal(Refusal { status, code, message, region: None })
}

fn reason(failure: Failure) -> String {
    match failure {
        Failure::Unavailable(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_a_service_that_knows_the_bucket_may_say_that_an_object_is_missing() {
    assert_eq!(refused(404, Some("NoSuchKey"), None), Failure::NoSuchKey);
    assert_eq!(refused(404, Some("NotFound"), None), Failure::NotFoundOrNoBucket);
    // A bucket that is gone, and a web server in the place of the service.
    assert!(reason(refused(404, Some("NoSuchBucket"), None)).starts_with("there is no such bucket"));
    assert!(reason(refused(404, None, None)).starts_with("it does not answer like S3"));
}

#[test]
fn a_bucket_that_may_not_grow_is_full() {
    assert_eq!(refused(403, Some("QuotaExceeded"), None), Failure::Full);
    assert_eq!(refused(507, None, None), Failure::Full);
    let garage = "Forbidden: Bucket size quota is reached, maximum total size of objects for this bucket: 9";
    assert_eq!(refused(403, Some("AccessDenied"), Some(garage)), Failure::Full);
}

#[test]
fn every_refusal_says_what_to_look_at() {
    for (status, code, says) in [
        (403, Some("InvalidAccessKeyId"), "the access key is unknown"),
        (403, Some("SignatureDoesNotMatch"), "the secret key"),
        (403, Some("AccessDenied"), "access is denied"),
        (403, None, "access is denied"),
        (403, Some("RequestTimeTooSkewed"), "clock"),
        (400, Some("ExpiredToken"), "expired"),
        (400, Some("AuthorizationHeaderMalformed"), "the region is wrong"),
        (301, Some("PermanentRedirect"), "the region is wrong"),
        (301, None, "the region is wrong"),
        (503, Some("SlowDown"), "overloaded"),
        (429, None, "overloaded"),
        (500, Some("InternalError"), "it fails"),
        (418, None, "refuses"),
    ] {
        let reason = reason(refused(status, code, None));
        assert!(reason.contains(says) && reason.contains(&status.to_string()), "{reason}");
    }
    let elsewhere = Refusal { status: 301, region: Some("eu-west-3"), ..Refusal::default() };
    assert!(reason(Failure::from_refusal(elsewhere)).contains("eu-west-3"));
}

#[test]
fn foreign_words_stay_on_one_line_and_short() {
    let reason = reason(refused(500, Some("Oh\nno"), Some(&"\r\n\x1b[31m".repeat(1000))));
    assert!(!reason.contains(char::is_control), "{reason:?}");
    assert!(reason.starts_with("it fails (status 500, Oh no"));
    assert!(reason.len() < 300, "{}", reason.len());
}
