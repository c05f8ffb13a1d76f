//! One body on its way through a coding.

use std::io::{self, Write};

use brotli::CompressorWriter;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use palisade_core::Transformation;

use super::Coding;

/// Compresses one body, chunk by chunk.
pub(super) struct Coder {
    /// Nothing once the body has ended, or after a failure: then nothing more is given.
    open: Option<Open>,
}

enum Open {
    Zstd(zstd::Encoder<'static, Vec<u8>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Gzip(GzEncoder<Vec<u8>>),
}

/// Fast levels: the best of those that take at most about 20 ms for a mebibyte of JSON.
const ZSTD_LEVEL: i32 = 2;
const BROTLI_QUALITY: u32 = 3;
const GZIP_LEVEL: u32 = 2;

/// 128 KiB look-back: it bounds a coder's memory, and the bodies it is for are hardly longer.
const WINDOW_LOG: u32 = 17;

/// Where brotli puts its output before it goes on.
const BROTLI_BUFFER: usize = 4 << 10;

impl Coder {
    /// Begins. `None` if there is no memory for it.
    pub(super) fn new(coding: Coding) -> Option<Self> {
        let out = Vec::new();
        let open = match coding {
            Coding::Zstd => {
                let mut encoder = zstd::Encoder::new(out, ZSTD_LEVEL).ok()?;
                encoder.window_log(WINDOW_LOG).ok()?;
                Open::Zstd(encoder)
            }
            Coding::Brotli => {
                Open::Brotli(Box::new(CompressorWriter::new(out, BROTLI_BUFFER, BROTLI_QUALITY, WINDOW_LOG)))
            }
            Coding::Gzip => Open::Gzip(GzEncoder::new(out, Compression::new(GZIP_LEVEL))),
        };
        Some(Self { open: Some(open) })
    }
}

impl Transformation for Coder {
    fn feed(&mut self, chunk: Bytes) -> Bytes {
        // Flushing without anything new would still write a few bytes.
        if chunk.is_empty() {
            return Bytes::new();
        }
        let Some(open) = &mut self.open else { return Bytes::new() };
        match open.pass(&chunk) {
            Ok(out) => out.into(),
            Err(_) => {
                self.open = None;
                Bytes::new()
            }
        }
    }

    fn end(&mut self) -> Bytes {
        self.open.take().and_then(|open| open.finish().ok()).unwrap_or_default().into()
    }
}

impl Open {
    /// Takes a chunk and gives everything that a reader needs to see it.
    fn pass(&mut self, chunk: &[u8]) -> io::Result<Vec<u8>> {
        let writer: &mut dyn Write = match self {
            Self::Zstd(encoder) => encoder,
            Self::Brotli(encoder) => encoder,
            Self::Gzip(encoder) => encoder,
        };
        writer.write_all(chunk)?;
        writer.flush()?;
        let out = match self {
            Self::Zstd(encoder) => encoder.get_mut(),
            Self::Brotli(encoder) => encoder.get_mut(),
            Self::Gzip(encoder) => encoder.get_mut(),
        };
        Ok(std::mem::take(out))
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Zstd(encoder) => encoder.finish(),
            Self::Brotli(encoder) => Ok(encoder.into_inner()),
            Self::Gzip(encoder) => encoder.finish(),
        }
    }
}
