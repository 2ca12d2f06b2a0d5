//! Pipes and terminals that do not wait: another process that shares one may have set `O_NONBLOCK`.

use std::io::{self, Read, Write};
use std::time::Duration;

/// Pause before another try.
const AGAIN: Duration = Duration::from_millis(1);

/// Waits until the reader has bytes, or the writer has room, where it would give `EAGAIN` instead.
#[derive(Debug)]
pub struct Patient<T>(pub T);

impl<T> Patient<T> {
    fn wait<R>(&mut self, mut attempt: impl FnMut(&mut T) -> io::Result<R>) -> io::Result<R> {
        loop {
            match attempt(&mut self.0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(AGAIN),
                result => return result,
            }
        }
    }
}

impl<T: Read> Read for Patient<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait(|reader| reader.read(buffer))
    }
}

impl<T: Write> Write for Patient<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait(|writer| writer.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wait(Write::flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Is busy at two of three calls; reads and writes one byte.
    #[derive(Default)]
    struct Stuttering {
        calls: u8,
        written: Vec<u8>,
    }

    impl Stuttering {
        fn may(&mut self) -> io::Result<()> {
            self.calls += 1;
            if self.calls.is_multiple_of(3) { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
        }
    }

    impl Read for Stuttering {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.may()?;
            buffer[0] = self.calls;
            Ok(usize::from(self.calls <= 9))
        }
    }

    impl Write for Stuttering {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.may()?;
            self.written.push(bytes[0]);
            Ok(1)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.may()
        }
    }

    #[test]
    fn what_would_not_wait_is_read_and_written_to_its_end() {
        let mut bytes = Vec::new();
        Patient(Stuttering::default()).read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, [3, 6, 9]);
        let mut patient = Patient(Stuttering::default());
        patient.write_all(b"abc").unwrap();
        patient.flush().unwrap();
        assert_eq!((&patient.0.written[..], patient.0.calls), (&b"abc"[..], 12));
    }
}
