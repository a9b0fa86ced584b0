//! Damaged files: set aside with their bytes intact, salvaged page by page.
