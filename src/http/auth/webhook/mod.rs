//! Webhooks that know users and rights: a TokenReview or SubjectAccessReview is posted to a server that a kubeconfig names, and its
//! answers are kept for a while.
//!
//! Decisions are made from memory and never wait. What nobody has been asked yet counts as no, and is noted; [`Webhooks::deciding`]
//! then asks, and has it decided anew.
mod access;
mod caller;
#[cfg(test)]
mod tests;
mod tokens;

pub use access::{AccessWebhook, Lifetimes};
pub use caller::{Caller, CallerError};
pub use tokens::TokenWebhook;

use crate::protocol::status::ApiError;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One decision may rest on several questions, each of which shows only when the one before is answered.
const ROUNDS: usize = 8;
/// Answers that are kept; above that all are forgotten.
const KEPT: usize = 8192;
/// How long a server that gave no answer is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// A question that memory had no answer to.
#[derive(Debug)]
pub(super) enum Question {
    Token { token: String, audiences: Vec<String> },
    Access(Value),
}

thread_local! {
    static MISSED: RefCell<Vec<Question>> = const { RefCell::new(Vec::new()) };
}

/// Questions noted at once. On threads where nobody asks, the list stays as long as this.
const NOTED: usize = 32;

fn miss(question: Question) {
    MISSED.with_borrow_mut(|missed| {
        if missed.len() < NOTED {
            missed.push(question);
        }
    });
}

/// Both webhooks, as far as there are any.
#[derive(Default)]
pub struct Webhooks {
    pub tokens: Option<Arc<TokenWebhook>>,
    pub access: Option<Arc<AccessWebhook>>,
}

impl Webhooks {
    /// Has something decided; what nobody knows yet is asked for in between. `decide` must do the same however often it is called.
    pub async fn deciding<T>(&self, mut decide: impl FnMut() -> Result<T, ApiError>) -> Result<T, ApiError> {
        MISSED.take();
        let mut outcome = decide();
        for _ in 0..ROUNDS {
            let missed = MISSED.take();
            if missed.is_empty() {
                break;
            }
            for question in missed {
                match (question, &self.tokens, &self.access) {
                    (Question::Token { token, audiences }, Some(tokens), _) => tokens.ask(&token, &audiences).await,
                    (Question::Access(spec), _, Some(access)) => access.ask(spec).await,
                    _ => {}
                }
            }
            outcome = decide();
        }
        outcome
    }
}

/// Answers by question, each until its time.
struct Answers<T> {
    held: Mutex<HashMap<String, (Instant, T)>>,
}

impl<T: Clone> Answers<T> {
    fn new() -> Self {
        Answers { held: Mutex::default() }
    }

    fn get(&self, key: &str) -> Option<T> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(key).filter(|(until, _)| *until > Instant::now()).map(|(_, answer)| answer.clone())
    }

    fn put(&self, key: String, answer: T, life: Duration) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= KEPT {
            let now = Instant::now();
            held.retain(|_, (until, _)| *until > now);
            if held.len() >= KEPT {
                held.clear();
            }
        }
        held.insert(key, (Instant::now() + life, answer));
    }
}
