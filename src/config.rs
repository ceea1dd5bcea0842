//! What the operator wrote, and what the program may rely on.
