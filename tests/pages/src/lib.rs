//! The receiver's pages in a real browser. The program of this package checks them; [`browser`] is for others that measure
//! pages as people see them.

#![forbid(unsafe_code)]

pub mod browser;

/// A result, or what went wrong.
pub type Outcome<T> = Result<T, String>;
