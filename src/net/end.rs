//! How connections end, as the metric labels it.

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Gracefully, or by the peer.
    Closed,
    /// No preface in time.
    PrefaceTimeout,
    /// The peer speaks another protocol.
    NotHttp2,
    /// A frame or header block did not end in time.
    FrameTimeout,
    /// The frame budget is spent.
    FrameFlood,
    /// The peer did not read its answers.
    UnreadAnswers,
    /// The peer sent no request.
    Idle,
    /// The peer broke the protocol, or exceeded a limit of HTTP/2 itself.
    Protocol,
    /// Cancelled requests or stream errors beyond the limits of HTTP/2.
    Calmed,
    /// It reached its age and did not finish within the grace period.
    Overstayed,
    /// It was for probes alone, and newer ones took its place.
    Evicted,
    /// The drain deadline came first.
    Killed,
}

impl End {
    /// The label of the metric; `None` for a graceful end.
    pub(super) fn reason(self) -> Option<&'static str> {
        match self {
            Self::Closed => None,
            Self::PrefaceTimeout => Some("preface_timeout"),
            Self::NotHttp2 => Some("not_http2"),
            Self::FrameTimeout => Some("frame_timeout"),
            Self::FrameFlood => Some("frame_flood"),
            Self::UnreadAnswers => Some("unread_answers"),
            Self::Idle => Some("idle"),
            Self::Protocol => Some("protocol"),
            Self::Calmed => Some("calmed"),
            Self::Overstayed => Some("overstayed"),
            Self::Evicted => Some("evicted"),
            Self::Killed => Some("drain_timeout"),
        }
    }
}
