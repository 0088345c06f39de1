//! A compiled expression.
use super::check::{Checked, check};
use super::evaluate::{Frame, evaluate};
use super::{Budget, Fault, Scope, Type};
use kube_cel::cel::Value;
use kube_cel::cel::common::ast::{EntryExpr, Expr, IdedExpr};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Longest expression, in bytes.
const LONGEST: usize = 10 * 1024;
/// Deepest nesting of an expression. Longer chains of operators count as nesting, too.
pub(super) const DEEPEST: usize = 160;
/// The parser is recursive; this holds for the longest expression whatever its shape. The pages are not touched unless needed.
const PARSER_STACK: usize = 256 * 1024 * 1024;

/// An expression, parsed and found to be within bounds.
#[derive(Clone, Debug)]
pub struct Program {
    ast: Arc<IdedExpr>,
    source: Arc<str>,
    names: Arc<BTreeSet<String>>,
    depth: usize,
}

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    #[error("expression exceeds the length of {LONGEST} bytes")]
    TooLong,
    #[error("expression is nested deeper than {DEEPEST} levels")]
    TooDeep,
    /// In the form of upstream's compiler, with the place in the source.
    #[error("compilation failed: {0}")]
    Invalid(String),
}

impl Program {
    /// Parses an expression. Costs a thread, since the parser's recursion follows the text's: do it once per expression.
    pub fn compile(source: &str) -> Result<Program, CompileError> {
        if source.len() > LONGEST {
            return Err(CompileError::TooLong);
        }
        let text = source.to_string();
        let thread = std::thread::Builder::new().name("cel-parser".into()).stack_size(PARSER_STACK).spawn(move || parse(&text));
        let parsed = thread.map_err(|e| CompileError::Invalid(format!("ERROR: <input>:1:1: {e}")))?.join();
        let ast = parsed.map_err(|_| syntax("unsupported expression"))??;
        let mut names = BTreeSet::new();
        names_in(&ast, &mut names);
        let depth = depth(&ast);
        Ok(Program { ast: Arc::new(ast), source: source.into(), names: Arc::new(names), depth })
    }

    /// The text that it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the expression mentions a variable of this name.
    pub fn mentions(&self, variable: &str) -> bool {
        self.names.contains(variable)
    }

    /// Checks names, fields and operators against the types of the variables and estimates the cost. The texts are those of
    /// upstream's compiler.
    pub fn check(&self, variables: &[(&str, Type)]) -> Result<Checked, CompileError> {
        check(&self.ast, &self.source, variables).map_err(CompileError::Invalid)
    }

    /// How deep it nests: at most [`DEEPEST`].
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Evaluates. Never panics, and ends when the budget does.
    pub fn evaluate(&self, scope: &dyn Scope, budget: &mut Budget) -> Result<Value, Fault> {
        budget.begin();
        let run = catch_unwind(AssertUnwindSafe(|| evaluate(&self.ast, &Frame::root(scope), budget)));
        run.unwrap_or_else(|_| Err(Fault::Function("internal error in a library function".into())))
    }

    /// Evaluates to a truth value.
    pub fn evaluate_bool(&self, scope: &dyn Scope, budget: &mut Budget) -> Result<bool, Fault> {
        match self.evaluate(scope, budget)? {
            Value::Bool(truth) => Ok(truth),
            _ => Err(Fault::NoSuchOverload),
        }
    }
}

fn syntax(message: &str) -> CompileError {
    CompileError::Invalid(format!("ERROR: <input>:1:1: {message}"))
}

fn parse(source: &str) -> Result<IdedExpr, CompileError> {
    let parser = kube_cel::cel::parser::Parser::new().enable_optional_syntax(true);
    let ast = parser.parse(source).map_err(|errors| {
        let text = errors.to_string();
        // Upstream's parser begins each of its findings with these words.
        CompileError::Invalid(if text.contains("Syntax error") { text } else { text.replacen(": ", ": Syntax error: ", 1) })
    })?;
    if depth(&ast) > DEEPEST {
        return Err(CompileError::TooDeep);
    }
    Ok(ast)
}

/// The direct parts of an expression.
pub(super) fn parts(expr: &IdedExpr) -> Vec<&IdedExpr> {
    match &expr.expr {
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::Comprehension(c) => vec![&c.iter_range, &c.accu_init, &c.loop_cond, &c.loop_step, &c.result],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map.entries.iter().flat_map(|e| entry_parts(&e.expr)).collect(),
        Expr::Struct(s) => s.entries.iter().flat_map(|e| entry_parts(&e.expr)).collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => Vec::new(),
    }
}

fn entry_parts(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
        EntryExpr::StructField(field) => vec![&field.value],
    }
}

fn depth(expr: &IdedExpr) -> usize {
    1 + parts(expr).into_iter().map(depth).max().unwrap_or(0)
}

fn names_in(expr: &IdedExpr, names: &mut BTreeSet<String>) {
    if let Expr::Ident(name) = &expr.expr {
        names.insert(name.clone());
    }
    parts(expr).into_iter().for_each(|part| names_in(part, names));
}
