//! What admission has to say about a request beyond yes and no, for the audit log.
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;

/// Notes by key. A key that was said once stays as it was said, as upstream has it.
pub type Notes = BTreeMap<String, String>;

tokio::task_local! {
    static NOTES: RefCell<Notes>;
}

/// Runs a request; answers with what was noted meanwhile on its behalf.
pub async fn noting<F: Future>(request: F) -> (F::Output, Notes) {
    let run = async {
        let outcome = request.await;
        (outcome, NOTES.with(RefCell::take))
    };
    NOTES.scope(RefCell::default(), run).await
}

/// Whether anybody wants to know.
pub fn is_noting() -> bool {
    NOTES.try_with(|_| ()).is_ok()
}

/// Notes something about the request that this task works on, if anybody wants to know.
pub fn note(key: impl Into<String>, value: impl Into<String>) {
    let _ = NOTES.try_with(|notes| _ = notes.borrow_mut().entry(key.into()).or_insert(value.into()));
}

/// The same, in place of what was noted before.
pub fn note_over(key: impl Into<String>, value: impl Into<String>) {
    let _ = NOTES.try_with(|notes| _ = notes.borrow_mut().insert(key.into(), value.into()));
}

/// What begins the key of notes that only those want who want request bodies as well.
pub const DETAIL: char = '\u{1}';

/// Notes something at length, for those who record the request's body as well.
pub fn note_detail(key: impl AsRef<str>, value: impl Into<String>) {
    note(format!("{DETAIL}{}", key.as_ref()), value);
}

/// Adds to a note, behind a comma.
pub fn note_more(key: &str, value: &str) {
    let _ = NOTES.try_with(|notes| {
        let mut notes = notes.borrow_mut();
        match notes.get_mut(key) {
            Some(held) if held == value => {}
            Some(held) => *held = format!("{held}, {value}"),
            None => _ = notes.insert(key.into(), value.into()),
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn notes_belong_to_their_request() {
        note("nobody", "listens");
        let ((), notes) = noting(async {
            note("a", "1");
            note("a", "2");
            note_more("b", "x");
            note_more("b", "y");
        })
        .await;
        assert_eq!(notes, Notes::from([("a".into(), "1".into()), ("b".into(), "x, y".into())]));
    }
}
