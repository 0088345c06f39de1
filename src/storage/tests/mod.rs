//! The storage room under test.
