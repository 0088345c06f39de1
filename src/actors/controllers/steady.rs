//! A clock that never jumps, for what is measured and not shown: how long a node was silent, how long a taint has stood.
//!
//! The wall clock is set now and then, by hand or from the network. Whoever compares times of it drops nodes that were heard a
//! second ago. Times of this clock look like wall times of the process's start and go on from there at the kernel's steady pace;
//! they mean nothing outside of this process, and a machine that slept does not count its sleep.
use jiff::Timestamp;
use std::sync::OnceLock;
use std::time::Instant;

/// Now, by the clock that never jumps.
pub fn now() -> Timestamp {
    static START: OnceLock<(Timestamp, Instant)> = OnceLock::new();
    let (wall, instant) = START.get_or_init(|| (crate::protocol::time::now(), Instant::now()));
    wall.checked_add(instant.elapsed()).unwrap_or(*wall)
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_goes_on() {
        let first = super::now();
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(super::now() > first);
    }
}
