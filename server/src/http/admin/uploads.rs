//! Unfinished uploads.

use admin_api::{AbortUpload, ErrorCode, ListUploads, UploadInfo};
use uuid::Uuid;

use super::Answer;
use super::error::failure;
use crate::http::state::State;
use crate::uploads::Upload;

pub(super) async fn list(state: &State, _: ListUploads) -> Answer<Vec<UploadInfo>> {
    let mut uploads: Vec<_> = state.uploads.all().iter().map(|upload| info(state, upload)).collect();
    uploads.sort_by(|a, b| (a.last_active, &a.id).cmp(&(b.last_active, &b.id)));
    Ok(uploads)
}

pub(super) async fn abort(state: &State, AbortUpload { upload: id }: AbortUpload) -> Answer<UploadInfo> {
    let parsed = id.parse::<Uuid>().ok();
    let uploads = state.uploads.all();
    let upload = uploads.iter().find(|upload| Some(upload.id) == parsed).ok_or_else(|| {
        let hint = Some("`cachectl upload list` shows the uploads of this daemon");
        failure(ErrorCode::NotFound, format!("there is no unfinished upload with the id `{id}`"), hint)
    })?;
    let info = info(state, upload);
    state.uploads.end(upload.id);
    tracing::info!(upload = %upload.id, cache = info.cache, "ended an upload");
    Ok(info)
}

fn info(state: &State, upload: &Upload) -> UploadInfo {
    let cache =
        state.caches().iter().find(|cache| cache.id == upload.cache).map(|cache| cache.name().to_owned());
    let token = upload.owner.map(|owner| owner.id());
    UploadInfo {
        id: upload.id.to_string(),
        cache: cache.unwrap_or_default(),
        token: token.map(|token| token.to_string()),
        subject: token.and_then(|token| state.tokens.subject_of(token)),
        bytes: upload.spool.size(),
        last_active: upload.last_active().0,
    }
}
