//! How deep a YAML document nests, told before anybody reads the whole of it.
//!
//! The reader looks at every open bracket anew for each one that opens inside it, so its time grows with the square of the
//! nesting, and it hears no limit before it has read everything. Here the same parser is asked event by event, and left alone at
//! the first level too many: brackets in texts and comments don't count, because it is the parser who tells them apart.
use std::mem::MaybeUninit;
use unsafe_libyaml as unsafe_yaml;

/// Whether collections stand within each other more than `limit` deep. What cannot be parsed does not nest: the reader proper
/// says what is wrong with it.
pub(super) fn deeper_than(body: &[u8], limit: usize) -> bool {
    let mut events = Events::new(body);
    let mut open = 0usize;
    while let Some(event) = events.next() {
        match event {
            unsafe_yaml::YAML_SEQUENCE_START_EVENT | unsafe_yaml::YAML_MAPPING_START_EVENT => open += 1,
            unsafe_yaml::YAML_SEQUENCE_END_EVENT | unsafe_yaml::YAML_MAPPING_END_EVENT => open = open.saturating_sub(1),
            _ => {}
        }
        if open > limit {
            return true;
        }
    }
    false
}

/// The parser over one body.
struct Events<'a> {
    parser: Box<MaybeUninit<unsafe_yaml::yaml_parser_t>>,
    ended: bool,
    body: std::marker::PhantomData<&'a [u8]>,
}

impl<'a> Events<'a> {
    fn new(body: &'a [u8]) -> Self {
        let mut parser = Box::new(MaybeUninit::uninit());
        // SAFETY: initialising writes the whole parser; when it fails nothing else is done with it. The input is borrowed for as
        // long as this struct lives, and the parser stays where it is, in its box.
        let ready = unsafe {
            let ready = unsafe_yaml::yaml_parser_initialize(parser.as_mut_ptr()).ok;
            if ready {
                unsafe_yaml::yaml_parser_set_encoding(parser.as_mut_ptr(), unsafe_yaml::YAML_UTF8_ENCODING);
                unsafe_yaml::yaml_parser_set_input_string(parser.as_mut_ptr(), body.as_ptr(), body.len() as u64);
            }
            ready
        };
        Events { parser, ended: !ready, body: std::marker::PhantomData }
    }

    /// The next event's type; `None` at the end, and at an error.
    fn next(&mut self) -> Option<unsafe_yaml::yaml_event_type_t> {
        if self.ended {
            return None;
        }
        let mut event = MaybeUninit::<unsafe_yaml::yaml_event_t>::uninit();
        // SAFETY: the parser was initialised, or `ended` would be set; the event is read and deleted only when parsing said that
        // it was written.
        let kind = unsafe {
            if unsafe_yaml::yaml_parser_parse(self.parser.as_mut_ptr(), event.as_mut_ptr()).fail {
                self.ended = true;
                return None;
            }
            let kind = (*event.as_ptr()).type_;
            unsafe_yaml::yaml_event_delete(event.as_mut_ptr());
            kind
        };
        self.ended = matches!(kind, unsafe_yaml::YAML_STREAM_END_EVENT | unsafe_yaml::YAML_NO_EVENT);
        Some(kind)
    }
}

impl Drop for Events<'_> {
    fn drop(&mut self) {
        // SAFETY: initialisation zeroes the parser before it can fail, and deleting a zeroed one frees nothing.
        unsafe { unsafe_yaml::yaml_parser_delete(self.parser.as_mut_ptr()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn nested(open: &str, levels: usize) -> String {
        open.repeat(levels)
    }

    #[test]
    fn only_collections_count() {
        assert!(!deeper_than(b"a: [[[]]]", 4));
        assert!(deeper_than(b"a: [[[]]]", 3));
        assert!(deeper_than(b"- - - 1", 2));
        assert!(!deeper_than(b"- - - 1", 3));
        let texts = format!(
            "a: \"{0}\"\nb: '{0}'\nc: |\n  {0}\n  - - - - -\nd: x{0}\n# {0}\ne: [\"]\", \"{0}\"] # {0}\nf: >-\n  {0}\n",
            nested("[", 500)
        );
        assert!(!deeper_than(texts.as_bytes(), 2));
        // A closing bracket in a text closes nothing.
        assert!(deeper_than("[\"]\", ".repeat(200).as_bytes(), 128));
        assert!(!deeper_than(b"a: [", 128), "what is broken is for the reader to tell");
        assert!(!deeper_than(b"\xff\xfe\x00", 1) && !deeper_than(b"", 1));
    }

    #[test]
    fn a_megabyte_of_anything_takes_no_time() {
        let begun = Instant::now();
        for open in ["[", "{", "[{", "- ", "? ", "{a: ", "[\"]\",", "a: [", "&a [", "!x [", "- - [", "-\n", "[\n"] {
            let body = nested(open, (1 << 20) / open.len());
            deeper_than(body.as_bytes(), 128);
            let took = begun.elapsed();
            assert!(took < Duration::from_secs(20), "{open:?} after {took:?}");
        }
    }
}
