//! Words and signs of a label selector's text.

/// A piece of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// Also `in` and `notin`: whether they are operators depends on their place.
    Word(&'a str),
    Sign(&'static str),
    /// Signs that make no operator, such as a lone `!(`.
    Bad(&'a str),
    End,
}

impl Token<'_> {
    /// How an error quotes it.
    pub(super) fn quoted(&self) -> String {
        match self {
            Token::Word(text) => (*text).to_string(),
            Token::Sign(text) => (*text).to_string(),
            Token::Bad(text) => format!("error expected: keyword found '{text}'"),
            Token::End => String::new(),
        }
    }
}

/// Reads one token after another, with one of look-ahead.
pub(super) struct Lexer<'a> {
    rest: &'a str,
    next: Option<Token<'a>>,
}

/// Longer ones first, so that `==` is not read as `=` twice.
const SIGNS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Lexer { rest: text, next: None }
    }

    pub(super) fn peek(&mut self) -> Token<'a> {
        let token = self.take();
        self.next = Some(token.clone());
        token
    }

    pub(super) fn take(&mut self) -> Token<'a> {
        match self.next.take() {
            Some(token) => token,
            None => self.read(),
        }
    }

    fn read(&mut self) -> Token<'a> {
        self.rest = self.rest.trim_start_matches(is_space);
        let rest = self.rest;
        let Some(first) = rest.chars().next() else { return Token::End };
        if !is_special(first) {
            let end = rest.find(|c| is_special(c) || is_space(c)).unwrap_or(rest.len());
            return Token::Word(self.cut(end));
        }
        match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            Some(sign) => {
                self.cut(sign.len());
                Token::Sign(sign)
            }
            None => Token::Bad(self.cut(first.len_utf8())),
        }
    }

    fn cut(&mut self, at: usize) -> &'a str {
        let (head, tail) = self.rest.split_at(at);
        self.rest = tail;
        head
    }
}

fn is_special(c: char) -> bool {
    matches!(c, '=' | '!' | '(' | ')' | ',' | '>' | '<')
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}
