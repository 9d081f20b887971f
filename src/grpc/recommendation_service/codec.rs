//! Decodes request messages, and copies responses that are encoded already.

use bytes::{BufMut, Bytes};
use prost::Message;
use std::marker::PhantomData;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, EncodeBuf, Encoder};
use tonic_prost::ProstDecoder;

/// Initial size of both buffers of a call: most requests and answers of ten products fit, and larger
/// ones grow it. tonic's own 8 KiB are made for streams.
const BUFFER_BYTES: usize = 1024;
/// What a buffer holds before it is handed on; an answer is always one piece.
const YIELD_BYTES: usize = 32 * 1024;

/// Messages of type `T` in, bytes out.
pub(super) struct EncodedCodec<T>(PhantomData<fn() -> T>);

impl<T> Default for EncodedCodec<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Message + Default + Send + 'static> Codec for EncodedCodec<T> {
    type Encode = Bytes;
    type Decode = T;
    type Encoder = Copying;
    type Decoder = ProstDecoder<T>;

    fn encoder(&mut self) -> Copying {
        Copying
    }

    fn decoder(&mut self) -> ProstDecoder<T> {
        ProstDecoder::new(BufferSettings::new(BUFFER_BYTES, YIELD_BYTES))
    }
}

/// Copies an encoded message.
pub(super) struct Copying;

impl Encoder for Copying {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(message.len());
        buffer.put_slice(&message);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}
