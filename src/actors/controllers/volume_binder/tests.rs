//! Tables of decisions are in here; whatever state, see the convergence tests.
