//! Why an evaluation has no result, in the words of upstream's evaluator.

/// An error of evaluation. It is a value to `&&`, `||`, `all` and `exists`: they may not need the part that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("no such key: {0}")]
    NoSuchKey(String),
    #[error("no such overload")]
    NoSuchOverload,
    #[error("undeclared reference to '{0}'")]
    Undeclared(String),
    #[error("index out of bounds: {0}")]
    OutOfBounds(i64),
    #[error("division by zero")]
    DivisionByZero,
    #[error("modulus by zero")]
    ModulusByZero,
    #[error("integer overflow")]
    Overflow,
    #[error("{0}")]
    Function(String),
    /// One expression cost too much.
    #[error("operation cancelled: actual cost limit exceeded")]
    CostLimit,
    /// All expressions for the object together did.
    #[error("validation failed due to running out of cost budget, no further validation rules will be run")]
    OutOfBudget,
}

impl Fault {
    /// Nothing more is evaluated after these.
    pub fn ends_everything(&self) -> bool {
        matches!(self, Fault::CostLimit | Fault::OutOfBudget)
    }
}
