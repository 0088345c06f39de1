//! What the names of an expression stand for, besides plain values: variables that are evaluated when somebody asks for them.
use super::program::DEEPEST;
use super::{Budget, Fault, Program, Value, Variables};
use std::cell::{Cell, RefCell};

/// Where an expression's names come from.
pub trait Scope {
    /// The value of a name.
    fn get(&self, name: &str) -> Option<Value>;

    /// `name.field`, for names that have no value of their own.
    fn member(&self, _name: &str, _field: &str, _budget: &mut Budget) -> Option<Result<Value, Fault>> {
        None
    }
}

impl Scope for Variables {
    fn get(&self, name: &str) -> Option<Value> {
        Variables::get(self, name).cloned()
    }
}

/// A policy's variable: its name, and what it is or why it does not compile.
pub type Definition = (String, Result<Program, String>);

/// Values, and definitions that are evaluated once, when they are first needed: `variables.x`. A definition sees those before it.
pub struct Defined<'a> {
    values: &'a Variables,
    definitions: &'a [Definition],
    results: RefCell<Vec<Option<Result<Value, Fault>>>>,
    /// How deep the expressions nest that are under way.
    depth: Cell<usize>,
}

impl<'a> Defined<'a> {
    pub fn new(values: &'a Variables, definitions: &'a [Definition]) -> Self {
        let results = RefCell::new(vec![None; definitions.len()]);
        Defined { values, definitions, results, depth: Cell::new(0) }
    }

    /// The result of the latest definition of that name among the first `below`.
    fn result(&self, name: &str, below: usize, budget: &mut Budget) -> Option<Result<Value, Fault>> {
        let visible = self.definitions.get(..below).unwrap_or_default();
        let at = visible.iter().rposition(|(known, _)| known == name)?;
        if let Some(Some(known)) = self.results.borrow().get(at) {
            return Some(known.clone());
        }
        let outcome = self.evaluate(at, budget);
        if let Some(place) = self.results.borrow_mut().get_mut(at) {
            *place = Some(outcome.clone());
        }
        Some(outcome)
    }

    fn evaluate(&self, at: usize, budget: &mut Budget) -> Result<Value, Fault> {
        let Some((name, definition)) = self.definitions.get(at) else { return Err(Fault::NoSuchOverload) };
        let program = match definition {
            Ok(program) => program,
            Err(why) => return Err(Fault::Function(format!("composited variable \"{name}\" fails to compile: {why}"))),
        };
        // The evaluator's recursion follows the nesting, also that of definitions which use definitions.
        let before = self.depth.get();
        if before + program.depth() > DEEPEST {
            return Err(Fault::Function(format!("composited variable \"{name}\" is nested deeper than {DEEPEST} levels")));
        }
        self.depth.set(before + program.depth());
        let outcome = budget.aside(|budget| program.evaluate(&Below { all: self, below: at }, budget));
        self.depth.set(before);
        outcome.map_err(|fault| match fault {
            fault if fault.ends_everything() => fault,
            fault => Fault::Function(format!("composited variable \"{name}\" fails to evaluate: {fault}")),
        })
    }

    fn member(&self, name: &str, field: &str, below: usize, budget: &mut Budget) -> Option<Result<Value, Fault>> {
        if name != "variables" {
            return None;
        }
        Some(self.result(field, below, budget).unwrap_or_else(|| Err(Fault::NoSuchKey(field.into()))))
    }
}

impl Scope for Defined<'_> {
    fn get(&self, name: &str) -> Option<Value> {
        self.values.get(name).cloned()
    }

    fn member(&self, name: &str, field: &str, budget: &mut Budget) -> Option<Result<Value, Fault>> {
        Defined::member(self, name, field, self.definitions.len(), budget)
    }
}

/// What a definition sees.
struct Below<'a> {
    all: &'a Defined<'a>,
    below: usize,
}

impl Scope for Below<'_> {
    fn get(&self, name: &str) -> Option<Value> {
        self.all.values.get(name).cloned()
    }

    fn member(&self, name: &str, field: &str, budget: &mut Budget) -> Option<Result<Value, Fault>> {
        self.all.member(name, field, self.below, budget)
    }
}
