#![allow(clippy::unwrap_used)]

use super::*;

fn endpoint(variables: &[(&str, &str)]) -> Result<Option<String>, String> {
    let find =
        |name: &str| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned());
    wanted_endpoint(find).map_err(|error| error.to_string())
}

#[test]
fn nothing_is_sent_unless_the_environment_says_where() {
    assert_eq!(endpoint(&[]), Ok(None));
    assert_eq!(endpoint(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), Ok(None));
    let there = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
    assert_eq!(endpoint(&[there]), Ok(Some("http://collector:4318".to_owned())));
    assert_eq!(endpoint(&[there, ("OTEL_SDK_DISABLED", "TRUE")]), Ok(None));
    assert_eq!(endpoint(&[there, ("OTEL_TRACES_EXPORTER", "none")]), Ok(None));
    assert_eq!(endpoint(&[("OTEL_TRACES_EXPORTER", "otlp")]), Ok(Some("http://localhost:4318".to_owned())));
    let traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://user:secret@collector/v1/traces");
    assert_eq!(endpoint(&[there, traces]), Ok(Some("https://collector/v1/traces".to_owned())));
}

#[test]
fn what_is_not_supported_is_said() {
    let there = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");
    let error = endpoint(&[there, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).unwrap_err();
    assert_eq!(error, "OTEL_EXPORTER_OTLP_PROTOCOL is `grpc`: only `http/protobuf` is supported");
    let error = endpoint(&[there, ("OTEL_TRACES_EXPORTER", "zipkin")]).unwrap_err();
    assert_eq!(error, "OTEL_TRACES_EXPORTER is `zipkin`: only `otlp` is supported");
    assert!(endpoint(&[there, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]).is_ok());
}
