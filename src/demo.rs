//! Two small embedded stacks with known defects between them, and traffic for them.
