//! `EventService`: the edge of `crate::events`.

use super::proto::event_service_server::EventService;
use super::proto::{Event as WireEvent, EventRejection, RecordEventsRequest, RecordEventsResponse};
use crate::error::CallError;
use crate::events::{EventFields, Events, Recorded, Rejection};
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Largest request, where `message_bytes_max` allows less (chosen: 1,000 events of the longest ids take
/// 1.4 MB).
pub(super) const BATCH_BYTES_MAX: usize = 2 << 20;

/// The service of the data listener; `None`: this server takes no events.
#[derive(Clone)]
pub(super) struct EventEdge(pub(super) Option<Arc<Events>>);

#[tonic::async_trait]
impl EventService for EventEdge {
    async fn record_events(
        &self,
        request: Request<RecordEventsRequest>,
    ) -> Result<Response<RecordEventsResponse>, Status> {
        let events = self.0.as_ref().ok_or(CallError::EventsOff)?;
        let batch = request.into_inner().events.into_iter();
        let recorded = events.record(batch.map(Into::into).collect()).await?;
        Ok(Response::new(recorded.into()))
    }
}

impl From<WireEvent> for EventFields {
    fn from(event: WireEvent) -> Self {
        Self {
            event_id: event.event_id,
            user_id: event.user_id,
            session_id: event.session_id,
            product_id: event.product_id,
            event_type: event.r#type,
            occurred_at: event.occurred_at.map(|at| (at.seconds, at.nanos)),
            quantity: event.quantity,
            order_value: event.order_value,
            answer_id: event.answer_id,
        }
    }
}

impl From<Recorded> for RecordEventsResponse {
    fn from(recorded: Recorded) -> Self {
        // A batch has at most 1,000 events.
        let count = |events: usize| events as u32;
        let rejections = recorded.rejections.into_iter();
        Self {
            accepted: count(recorded.accepted),
            duplicates: count(recorded.duplicates),
            rejected: count(recorded.rejected),
            rejections: rejections.map(Into::into).collect(),
            unknown_products: count(recorded.unknown_products),
        }
    }
}

impl From<Rejection> for EventRejection {
    fn from(rejection: Rejection) -> Self {
        Self {
            index: rejection.index as u32,
            field: rejection.bad.field,
            reason: rejection.bad.why,
        }
    }
}
