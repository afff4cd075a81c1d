//! Does a device compute right?
