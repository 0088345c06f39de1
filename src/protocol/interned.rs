//! Texts that live as long as the process: the names of kinds made at run time stand where built-in ones have literals.
use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

static TEXTS: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);
static LISTS: LazyLock<Mutex<HashSet<&'static [&'static str]>>> = LazyLock::new(Mutex::default);

/// The text, kept for good. Each distinct one is kept once, so that a definition that comes and goes costs nothing the second time.
pub fn interned(text: &str) -> &'static str {
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = texts.get(text) {
        return known;
    }
    let kept: &'static str = Box::leak(text.to_string().into_boxed_str());
    texts.insert(kept);
    kept
}

/// A list of texts, kept for good; each distinct list once.
pub fn interned_list<'a>(texts: impl IntoIterator<Item = &'a str>) -> &'static [&'static str] {
    let list: Vec<&'static str> = texts.into_iter().map(interned).collect();
    let mut lists = LISTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = lists.get(list.as_slice()) {
        return known;
    }
    let kept: &'static [&'static str] = Box::leak(list.into_boxed_slice());
    lists.insert(kept);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_is_kept_once() {
        let (a, b) = (interned(&String::from("crontabs")), interned("crontabs"));
        assert!(std::ptr::eq(a, b));
        let (a, b) = (interned_list(["ct", "cts"]), interned_list(["ct", "cts"]));
        assert!(std::ptr::eq(a, b) && a == ["ct", "cts"]);
    }
}
