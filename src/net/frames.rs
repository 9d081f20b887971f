//! Finds frame heads in a stream of HTTP/2 bytes (RFC 9113, section 4.1), however it is cut into
//! pieces. Reads no payload; a frame costs some nanoseconds.

/// Bytes of a head.
pub(super) const HEAD_LEN: usize = 9;

/// Types of frames, by their number on the wire.
pub(super) mod kind {
    pub(in super::super) const DATA: u8 = 0;
    pub(in super::super) const HEADERS: u8 = 1;
    pub(in super::super) const RST_STREAM: u8 = 3;
    pub(in super::super) const CONTINUATION: u8 = 9;
}

/// What stands before a frame's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes of the payload.
    pub(super) len: usize,
    pub(super) kind: u8,
    flags: u8,
    pub(super) stream: u32,
}

impl Head {
    pub(super) const END_STREAM: u8 = 0x1;
    pub(super) const END_HEADERS: u8 = 0x4;

    pub(super) fn parse(bytes: &[u8; HEAD_LEN]) -> Self {
        let [a, b, c, kind, flags, d, e, f, g] = *bytes;
        Self {
            len: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            // The first bit is reserved.
            stream: u32::from_be_bytes([d & 0x7f, e, f, g]),
        }
    }

    /// Of DATA and HEADERS: nothing more comes on this stream.
    pub(super) fn ends_stream(self) -> bool {
        self.flags & Self::END_STREAM != 0
    }

    /// The last frame on this stream, graceful or not.
    pub(super) fn ends_answer(self) -> bool {
        match self.kind {
            kind::DATA | kind::HEADERS => self.ends_stream(),
            kind => kind == kind::RST_STREAM,
        }
    }

    /// Of HEADERS and CONTINUATION: more of the header block follows.
    pub(super) fn leaves_headers_open(self) -> bool {
        matches!(self.kind, kind::HEADERS | kind::CONTINUATION)
            && self.flags & Self::END_HEADERS == 0
    }
}

/// Where in the stream of frames the bytes so far have ended.
#[derive(Debug, Default)]
pub(super) struct Frames {
    head: [u8; HEAD_LEN],
    head_len: usize,
    payload_left: usize,
}

impl Frames {
    /// Calls `seen` with every head that is complete with these bytes, and what is there of its payload.
    pub(super) fn read(&mut self, mut bytes: &[u8], mut seen: impl FnMut(Head, &[u8])) {
        loop {
            let skipped = self.payload_left.min(bytes.len());
            self.payload_left -= skipped;
            bytes = &bytes[skipped..];
            if bytes.is_empty() {
                return;
            }
            let taken = (HEAD_LEN - self.head_len).min(bytes.len());
            self.head[self.head_len..self.head_len + taken].copy_from_slice(&bytes[..taken]);
            self.head_len += taken;
            bytes = &bytes[taken..];
            if self.head_len < HEAD_LEN {
                return;
            }
            let head = Head::parse(&self.head);
            self.head_len = 0;
            self.payload_left = head.len;
            seen(head, &bytes[..head.len.min(bytes.len())]);
        }
    }

    /// Whether a frame has begun and is not there as a whole.
    pub(super) fn is_within_frame(&self) -> bool {
        self.head_len > 0 || self.payload_left > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, len: usize) -> Vec<u8> {
        let mut bytes = u32::try_from(len).unwrap().to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(std::iter::repeat_n(0xab, len));
        bytes
    }

    #[test]
    fn heads_are_found_however_the_bytes_are_cut() {
        let bytes = [
            frame(kind::HEADERS, 0x4, 1, 30),
            frame(kind::DATA, 0x1, 1, 0),
            frame(6, 0, 0, 8),
            frame(kind::HEADERS, 0, 0x8000_0003, 300),
            frame(kind::CONTINUATION, 0x4, 3, 17_000),
        ]
        .concat();
        let mut whole = Vec::new();
        Frames::default().read(&bytes, |head, _| whole.push(head));
        let kinds: Vec<_> = whole.iter().map(|h| (h.kind, h.len, h.stream)).collect();
        let expected = [
            (1, 30, 1),
            (0, 0, 1),
            (6, 8, 0),
            (1, 300, 3),
            (9, 17_000, 3),
        ];
        assert_eq!(kinds, expected);
        let open: Vec<_> = whole.iter().map(|h| h.leaves_headers_open()).collect();
        assert_eq!(open, [false, false, false, true, false]);
        assert!(whole[1].ends_stream() && !whole[0].ends_stream());
        for step in [1, 2, 8, 9, 10, 1000] {
            let (mut frames, mut pieces) = (Frames::default(), Vec::new());
            for piece in bytes.chunks(step) {
                frames.read(piece, |head, _| pieces.push(head));
            }
            assert_eq!(pieces, whole, "in pieces of {step}");
            assert!(!frames.is_within_frame());
        }
    }

    #[test]
    fn frame_that_is_not_there_as_a_whole_is_known() {
        let bytes = frame(kind::DATA, 0, 1, 5);
        let mut frames = Frames::default();
        for len in 1..bytes.len() {
            frames.read(&bytes[len - 1..len], |_, _| {});
            assert!(frames.is_within_frame(), "{len}");
        }
        frames.read(&bytes[bytes.len() - 1..], |_, _| {});
        assert!(!frames.is_within_frame());
    }
}
