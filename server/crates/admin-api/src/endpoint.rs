//! What makes a type a request: its method, its path, and its reply.

use std::marker::PhantomData;

use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A request of the admin API, and everything about it that both ends must agree on.
///
/// The fields of the type are the parameters of the request. A field that [`PATH`](Self::PATH) names in braces travels
/// as a percent-encoded segment of the path and must be a string. The other fields travel in the query of a `GET`
/// request, and in the JSON body of a `POST` request.
pub trait Endpoint: Serialize + DeserializeOwned + Send + 'static {
    /// The content of a successful reply: a type that travels as JSON, or [`Lines`] of such a type.
    type Reply;

    /// `GET` for a request that changes nothing, else `POST`.
    const METHOD: Method;

    /// The path, with a field's name in braces where the value of that field goes: `/v1/caches/{cache}/keys`.
    const PATH: &'static str;

    /// The part of the API that the endpoint belongs to.
    const SINCE: Since = Since::First;
}

/// A reply that is a stream of values, one JSON object per line. See [`EVENTS_MEDIA_TYPE`](crate::EVENTS_MEDIA_TYPE).
#[derive(Debug)]
pub struct Lines<T>(PhantomData<T>);

/// The part of the API that an endpoint belongs to.
///
/// A daemon that lacks an endpoint and one that cannot find the thing that a request names both answer 404. A client
/// tells them apart by asking for the list of the same part, which every daemon with that part has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// The first part, which every daemon has. Also endpoints whose 404 can be taken at its word.
    First,
    /// The part that came with [`ListJobs`](crate::ListJobs).
    Jobs,
    /// The part that came with [`ListWorkers`](crate::ListWorkers).
    Workers,
}
