//! What a refusal carries beside its code and text.

use tonic::Status;
use tonic_types::{ErrorDetail, StatusExt};

/// The reason of its one ErrorInfo.
pub(crate) fn error_reason(status: &Status) -> String {
    let details = status.get_error_details_vec();
    let infos: Vec<_> = details
        .iter()
        .filter_map(|detail| match detail {
            ErrorDetail::ErrorInfo(info) => Some(info),
            _ => None,
        })
        .collect();
    assert_eq!(infos.len(), 1, "{status:?}");
    assert_eq!(infos[0].domain, "hotshelf.dev");
    infos[0].reason.clone()
}

/// The `kind` that its ErrorInfo names: why a version was refused.
pub(crate) fn error_kind(status: &Status) -> String {
    let info = status.get_details_error_info().unwrap();
    info.metadata.get("kind").cloned().unwrap_or_default()
}

/// The fields of its BadRequest.
pub(crate) fn violations(status: &Status) -> Vec<String> {
    let bad = status.get_details_bad_request().unwrap();
    bad.field_violations
        .into_iter()
        .map(|violation| violation.field)
        .collect()
}
