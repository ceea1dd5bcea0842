//! Takes out of a check what must not leave the process, and makes the report of it.
