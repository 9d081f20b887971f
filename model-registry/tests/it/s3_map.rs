//! A small S3 store over a map: one bucket, whose name nobody asks. Creates are atomic under one
//! lock, unless a request is marked as a careless one.

use bytes::Bytes;
use futures::TryStreamExt;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CommonPrefix,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag,
    GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, ListObjectsV2Input,
    ListObjectsV2Output, Object, PutObjectInput, PutObjectOutput, StreamingBlob, Timestamp,
    UploadPartInput, UploadPartOutput,
};
use s3s::{Body, S3, S3Request, S3Response, S3Result, s3_error};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// Objects of one page of a listing: few, so that listings have several.
const PAGE: usize = 20;

/// Marks a request whose condition is not kept.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Careless {
    /// It is not looked at.
    Ignores,
    /// Check and write are two steps, and this time lies between them; of none, a turn of the
    /// scheduler.
    ChecksFirst(Duration),
}

#[derive(Clone)]
struct Stored {
    bytes: Bytes,
    generation: u64,
}

impl Stored {
    fn e_tag(&self) -> ETag {
        ETag::Strong(format!("generation-{}", self.generation))
    }
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Stored>,
    uploads: BTreeMap<String, BTreeMap<i32, Bytes>>,
    next: u64,
}

impl State {
    fn put(&mut self, key: String, bytes: Bytes) -> ETag {
        self.next += 1;
        let generation = self.next;
        let stored = Stored { bytes, generation };
        let e_tag = stored.e_tag();
        self.objects.insert(key, stored);
        e_tag
    }
}

/// The store; clones share it.
#[derive(Clone, Default)]
pub(crate) struct S3Map(Arc<Mutex<State>>);

impl S3Map {
    /// Uploads that were begun and neither completed nor aborted.
    pub(crate) fn open_uploads(&self) -> usize {
        self.0.lock().unwrap().uploads.len()
    }

    pub(crate) fn put(&self, key: String, bytes: Bytes) -> ETag {
        self.0.lock().unwrap().put(key, bytes)
    }

    /// One lock over the check and the write.
    fn create(&self, key: String, bytes: Bytes) -> S3Result<ETag> {
        let mut state = self.0.lock().unwrap();
        if state.objects.contains_key(&key) {
            return Err(s3_error!(PreconditionFailed));
        }
        Ok(state.put(key, bytes))
    }

    fn get(&self, key: &str) -> S3Result<Stored> {
        let state = self.0.lock().unwrap();
        let found = state.objects.get(key).cloned();
        found.ok_or_else(|| s3_error!(NoSuchKey))
    }
}

async fn gathered(body: Option<StreamingBlob>) -> S3Result<Bytes> {
    let Some(body) = body else {
        return Ok(Bytes::new());
    };
    let chunks: Vec<Bytes> = body
        .try_collect()
        .await
        .map_err(|_| s3_error!(IncompleteBody))?;
    Ok(chunks.concat().into())
}

fn now() -> Option<Timestamp> {
    Some(Timestamp::from(SystemTime::now()))
}

fn answer<T>(output: T) -> S3Result<S3Response<T>> {
    Ok(S3Response::new(output))
}

#[async_trait::async_trait]
impl S3 for S3Map {
    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let careless = request.extensions.get::<Careless>().copied();
        let input = request.input;
        let bytes = gathered(input.body).await?;
        let is_create = input.if_none_match.is_some();
        let e_tag = match careless.filter(|_| is_create) {
            Some(Careless::Ignores) => self.put(input.key, bytes),
            Some(Careless::ChecksFirst(window)) => {
                if self.get(&input.key).is_ok() {
                    return Err(s3_error!(PreconditionFailed));
                }
                if window.is_zero() {
                    tokio::task::yield_now().await;
                } else {
                    tokio::time::sleep(window).await;
                }
                self.put(input.key, bytes)
            }
            None if is_create => self.create(input.key, bytes)?,
            None => self.put(input.key, bytes),
        };
        answer(PutObjectOutput {
            e_tag: Some(e_tag),
            ..PutObjectOutput::default()
        })
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let stored = self.get(&input.key)?;
        let size = stored.bytes.len() as u64;
        let range = match input.range {
            Some(range) => range.check(size).map_err(|_| s3_error!(InvalidRange))?,
            None => 0..size,
        };
        let is_part = input.range.is_some();
        let content_range = format!(
            "bytes {}-{}/{size}",
            range.start,
            range.end.saturating_sub(1)
        );
        let bytes = stored.bytes.slice(range.start as usize..range.end as usize);
        answer(GetObjectOutput {
            content_length: Some(bytes.len() as i64),
            content_range: is_part.then_some(content_range),
            e_tag: Some(stored.e_tag()),
            last_modified: now(),
            body: Some(StreamingBlob::from(Body::from(bytes))),
            ..GetObjectOutput::default()
        })
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let stored = self.get(&request.input.key)?;
        answer(HeadObjectOutput {
            content_length: Some(stored.bytes.len() as i64),
            e_tag: Some(stored.e_tag()),
            last_modified: now(),
            ..HeadObjectOutput::default()
        })
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let mut state = self.0.lock().unwrap();
        let deleted = request.input.delete.objects.into_iter().map(|object| {
            state.objects.remove(&object.key);
            DeletedObject {
                key: Some(object.key),
                ..DeletedObject::default()
            }
        });
        answer(DeleteObjectsOutput {
            deleted: Some(deleted.collect()),
            ..DeleteObjectsOutput::default()
        })
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let prefix = input.prefix.unwrap_or_default();
        let state = self.0.lock().unwrap();
        let after = input.continuation_token.or(input.start_after);
        let after = after.unwrap_or_default();
        let page = input.max_keys.map_or(PAGE, |max| (max as usize).min(PAGE));
        let below = state
            .objects
            .iter()
            .filter(|(key, _)| key.starts_with(&prefix));
        let (mut folders, mut contents) = (BTreeSet::new(), Vec::new());
        for (key, stored) in below {
            let rest = &key[prefix.len()..];
            if *key <= after {
                continue;
            }
            // Folders and objects of one page together: a page ends after so many of either.
            if let Some((folder, _)) = input.delimiter.as_ref().and_then(|_| rest.split_once('/')) {
                folders.insert(format!("{prefix}{folder}/"));
                if folders.len() + contents.len() > page {
                    break;
                }
            } else {
                contents.push(Object {
                    key: Some(key.clone()),
                    size: Some(stored.bytes.len() as i64),
                    e_tag: Some(stored.e_tag()),
                    last_modified: now(),
                    ..Object::default()
                });
            }
        }
        let is_truncated = folders.len() + contents.len() > page;
        if is_truncated && input.delimiter.is_some() {
            // The one that did not fit is the last in order, and of whichever kind.
            let last_key = contents
                .last()
                .and_then(|object: &Object| object.key.clone());
            match folders.last().cloned() {
                Some(folder) if last_key.is_none_or(|key| key < folder) => {
                    folders.remove(&folder);
                }
                _ => drop(contents.pop()),
            }
        }
        contents.truncate(page);
        let last_object = contents.last().and_then(|object| object.key.clone());
        let last_folder = folders.last().map(|folder| format!("{folder}\u{10ffff}"));
        let last = last_object.max(last_folder);
        let prefixes = folders.into_iter().map(|prefix| CommonPrefix {
            prefix: Some(prefix),
        });
        answer(ListObjectsV2Output {
            is_truncated: Some(is_truncated),
            next_continuation_token: last.filter(|_| is_truncated),
            common_prefixes: Some(prefixes.collect()),
            contents: Some(contents),
            prefix: Some(prefix),
            ..ListObjectsV2Output::default()
        })
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let mut state = self.0.lock().unwrap();
        state.next += 1;
        let upload_id = format!("upload-{}", state.next);
        state.uploads.insert(upload_id.clone(), BTreeMap::new());
        answer(CreateMultipartUploadOutput {
            bucket: Some(request.input.bucket),
            key: Some(request.input.key),
            upload_id: Some(upload_id),
            ..CreateMultipartUploadOutput::default()
        })
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = request.input;
        let bytes = gathered(input.body).await?;
        let mut state = self.0.lock().unwrap();
        let upload = state.uploads.get_mut(&input.upload_id);
        let upload = upload.ok_or_else(|| s3_error!(NoSuchUpload))?;
        upload.insert(input.part_number, bytes);
        answer(UploadPartOutput {
            e_tag: Some(ETag::Strong(format!("piece-{}", input.part_number))),
            ..UploadPartOutput::default()
        })
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        let pieces = self.0.lock().unwrap().uploads.remove(&input.upload_id);
        let pieces = pieces.ok_or_else(|| s3_error!(NoSuchUpload))?;
        let named = input.multipart_upload.and_then(|upload| upload.parts);
        let named: Vec<_> = named
            .into_iter()
            .flatten()
            .filter_map(|part| part.part_number)
            .collect();
        if named != pieces.keys().copied().collect::<Vec<_>>() {
            return Err(s3_error!(InvalidPart));
        }
        let whole: Vec<Bytes> = pieces.into_values().collect();
        let e_tag = self.put(input.key.clone(), whole.concat().into());
        answer(CompleteMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(e_tag),
            ..CompleteMultipartUploadOutput::default()
        })
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let mut state = self.0.lock().unwrap();
        match state.uploads.remove(&request.input.upload_id) {
            Some(_) => answer(AbortMultipartUploadOutput::default()),
            None => Err(s3_error!(NoSuchUpload)),
        }
    }
}
