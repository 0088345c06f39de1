//! The grammar of label selectors, with upstream's error sentences:
//! `requirement ("," requirement)*`, a requirement being `key`, `!key`, `key op value` or `key [not]in (values)`.
use super::SelectorError;
use super::label::{Operator, Requirement};
use super::lexer::{Lexer, Token};
use crate::names;
use crate::status::FieldError;

/// The requirements of a text, in its order.
pub(super) fn parse(text: &str) -> Result<Vec<Requirement>, SelectorError> {
    let mut lexer = Lexer::new(text);
    let mut requirements = Vec::new();
    loop {
        match lexer.peek() {
            Token::End => return Ok(requirements),
            Token::Word(_) | Token::Sign("!") => {}
            other => return fail(format!("found '{}', expected: !, identifier, or 'end of string'", other.quoted())),
        }
        requirements.push(requirement(&mut lexer).map_err(|e| SelectorError::Syntax(format!("unable to parse requirement: {e}")))?);
        match lexer.take() {
            Token::End => return Ok(requirements),
            Token::Sign(",") => {}
            other => return fail(format!("found '{}', expected: ',' or 'end of string'", other.quoted())),
        }
        if !matches!(lexer.peek(), Token::Word(_) | Token::Sign("!")) {
            return fail(format!("found '{}', expected: identifier after ','", lexer.peek().quoted()));
        }
    }
}

fn fail<T>(text: String) -> Result<T, SelectorError> {
    Err(SelectorError::Syntax(text))
}

fn requirement(lexer: &mut Lexer<'_>) -> Result<Requirement, SelectorError> {
    let mut token = lexer.take();
    let absent = token == Token::Sign("!");
    if absent {
        token = lexer.take();
    }
    let Token::Word(key) = token else { return fail(format!("found '{}', expected: identifier", token.quoted())) };
    let faults = names::qualified_name(key);
    if !faults.is_empty() {
        // Upstream has no field to name here, and prints its nil.
        return fail(FieldError::invalid("<nil>", key, faults.join("; ")).to_string());
    }
    if absent {
        return Requirement::new(key, Operator::DoesNotExist, Vec::new());
    }
    if matches!(lexer.peek(), Token::End | Token::Sign(",")) {
        return Requirement::new(key, Operator::Exists, Vec::new());
    }
    let operator = operator(lexer)?;
    let values = match operator {
        Operator::In | Operator::NotIn => value_set(lexer)?,
        _ => vec![exact_value(lexer)?],
    };
    Requirement::new(key, operator, values)
}

fn operator(lexer: &mut Lexer<'_>) -> Result<Operator, SelectorError> {
    match lexer.take() {
        Token::Word("in") => Ok(Operator::In),
        Token::Word("notin") => Ok(Operator::NotIn),
        Token::Sign("=") => Ok(Operator::Equals),
        Token::Sign("==") => Ok(Operator::DoubleEquals),
        Token::Sign("!=") => Ok(Operator::NotEquals),
        Token::Sign(">") => Ok(Operator::GreaterThan),
        Token::Sign("<") => Ok(Operator::LessThan),
        other => fail(format!("found '{}', expected: in, notin, =, ==, !=, gt, lt", other.quoted())),
    }
}

/// A value may be absent: `a=` asks for the empty one.
fn exact_value(lexer: &mut Lexer<'_>) -> Result<String, SelectorError> {
    match lexer.peek() {
        Token::End | Token::Sign(",") => Ok(String::new()),
        Token::Word(value) => {
            lexer.take();
            Ok(value.to_string())
        }
        other => fail(format!("found '{}', expected: identifier", other.quoted())),
    }
}

/// `(a,b)`; a gap between commas or parentheses is the empty value.
fn value_set(lexer: &mut Lexer<'_>) -> Result<Vec<String>, SelectorError> {
    match lexer.take() {
        Token::Sign("(") => {}
        other => return fail(format!("found '{}' expected: '('", other.quoted())),
    }
    match lexer.peek() {
        Token::Word(_) | Token::Sign("," | ")") => {}
        other => return fail(format!("found '{}', expected: ',', ')' or identifier", other.quoted())),
    }
    let mut values = Vec::new();
    loop {
        let value = match lexer.peek() {
            Token::Word(word) => {
                lexer.take();
                word
            }
            Token::Sign("," | ")") => "",
            other => return fail(format!("found '{}', expected: ',', or identifier", other.quoted())),
        };
        values.push(value.to_string());
        match lexer.take() {
            Token::Sign(",") => {}
            Token::Sign(")") => return Ok(values),
            other => return fail(format!("found '{}', expected: ',' or ')'", other.quoted())),
        }
    }
}
